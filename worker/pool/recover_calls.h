/* What is handed to Redis after it has forgotten everything, as rows of recover (redis/recover.lua). Layouts:
 * redis/README.md. */
#ifndef WP_POOL_RECOVER_CALLS_H
#define WP_POOL_RECOVER_CALLS_H
#include <jansson.h>
#include "store/event_args.h"

/* A lease that may be on; assignment: the record that began it (of status assigned), key: that record's;
 * tenant: empty when it is not known any more, and then nobody else gets the container. */
void wp_pack_lease(struct wp_buf *out, const json_t *assignment, struct wp_str key, struct wp_str tenant);
/* An acquire that has no answer yet. meta->record_age_ms: since it was sent. */
void wp_pack_waiting(struct wp_buf *out, const struct wp_meta *meta, const union wp_event *acquire);
/* A request that had its last answer. */
void wp_pack_ended(struct wp_buf *out, struct wp_str request_id);

#endif
