/* Packs the rows of the function recover (redis/recover.lua), which rebuilds the {pool} slot after it has
 * lost its data. Layouts: redis/README.md. */
#ifndef WP_POOL_RECOVER_CALLS_H
#define WP_POOL_RECOVER_CALLS_H
#include <jansson.h>
#include "store/event_args.h"

/* A lease that may still hold. assignment: the record that began it (status assigned); key: that record's
 * key; tenant: empty when it is not known any more, and then the container serves no other tenant. */
void wp_pack_lease(struct wp_buf *out, const json_t *assignment, struct wp_str key, struct wp_str tenant);
/* An acquire without an answer. meta->record_age_ms: since it was sent. */
void wp_pack_waiting(struct wp_buf *out, const struct wp_meta *meta, const union wp_event *acquire);
/* A request that has ended. */
void wp_pack_ended(struct wp_buf *out, struct wp_str request_id);

#endif
