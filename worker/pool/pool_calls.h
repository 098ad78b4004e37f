/* The pool concern: its events as arguments of Redis functions (redis/README.md). Its records: pool_reply.h.
 */
#ifndef WP_POOL_POOL_CALLS_H
#define WP_POOL_POOL_CALLS_H
#include "store/columns.h"

/* Columns of the topics' batches. */
enum { WP_ACQUIRE_COLUMNS = 9, WP_RELEASE_COLUMNS = 6 };

void wp_add_acquire(struct wp_columns *columns, const struct wp_meta *meta, const union wp_event *event,
                    const char *invalid);
void wp_add_release(struct wp_columns *columns, const struct wp_meta *meta, const union wp_event *event,
                    const char *invalid);
void wp_add_control(struct wp_columns *columns, const struct wp_meta *meta, const union wp_event *event,
                    const char *invalid);
void wp_add_container_event(struct wp_columns *columns, const struct wp_meta *meta,
                            const union wp_event *event, const char *invalid);

/* An acquire as a row, whatever it asks for. */
void wp_pack_acquire(struct wp_buf *out, const struct wp_meta *meta, const union wp_event *event,
                     const char *invalid);

/* The {pool} slot's settings, as a MessagePack map. */
void wp_pack_pool_settings(struct wp_buf *out, const struct wp_config *config);

#endif
