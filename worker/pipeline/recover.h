/* What Kafka still tells when Redis has forgotten the {pool} slot (delivery rule 9, docs/reliability.md):
 * reads container-acquire, -assignment and -release from their beginning, and puts the leases that are still
 * on, who waits, and the requests that ended lately, back into Redis. Several workers may do it at once, and
 * again. One thread: the loop's. */
#ifndef WP_PIPELINE_RECOVER_H
#define WP_PIPELINE_RECOVER_H
#include <uv.h>
#include "store/link.h"
#include "wire/wire.h"

struct recovery;

/* Borrows all. */
struct recovery *recovery_new(uv_loop_t *loop, const struct wp_config *config, struct wp_link *link,
                              struct wp_wire *wire);
/* Begins, unless it is under way; when it could not be done to its end it waits to be asked again. */
void recovery_start(struct recovery *recovery);
void recovery_free(struct recovery *recovery); /* NULL is fine; run the loop once more afterwards */

#endif
