/* Rebuilds the {pool} slot from Kafka after Redis has lost it (delivery rule 9, docs/reliability.md): reads
 * container-acquire, -assignment and -release from their beginning, and writes the leases that still hold,
 * the waiting requests and the requests that ended lately to Redis. Several workers may do it at the same
 * time, and repeatedly. One thread: the loop's. */
#ifndef WP_PIPELINE_RECOVER_H
#define WP_PIPELINE_RECOVER_H
#include <uv.h>
#include "store/link.h"
#include "wire/wire.h"

struct recovery;

/* Borrows all. */
struct recovery *recovery_new(uv_loop_t *loop, const struct wp_config *config, struct wp_link *link,
                              struct wp_wire *wire);
/* Begins, unless it is under way. After a failure it ends, and begins anew when it is called again. */
void recovery_start(struct recovery *recovery);
void recovery_free(struct recovery *recovery); /* NULL is fine; run the loop once more afterwards */

#endif
