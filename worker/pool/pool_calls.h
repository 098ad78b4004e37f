/* The pool concern: packs its events as arguments of the {pool} functions (redis/README.md). pool_reply.h
 * reads the answers. */
#ifndef WP_POOL_POOL_CALLS_H
#define WP_POOL_POOL_CALLS_H
#include "store/columns.h"

/* The number of columns in a batch of each topic. */
enum { WP_ACQUIRE_COLUMNS = 9, WP_RELEASE_COLUMNS = 6 };

void wp_add_acquire(struct wp_columns *columns, const struct wp_meta *meta, const union wp_event *event,
                    const char *invalid);
void wp_add_release(struct wp_columns *columns, const struct wp_meta *meta, const union wp_event *event,
                    const char *invalid);
void wp_add_control(struct wp_columns *columns, const struct wp_meta *meta, const union wp_event *event,
                    const char *invalid);
void wp_add_container_event(struct wp_columns *columns, const struct wp_meta *meta,
                            const union wp_event *event, const char *invalid);

/* Packs any acquire as a row. invalid: NULL, or why it is answered `rejected`. */
void wp_pack_acquire(struct wp_buf *out, const struct wp_meta *meta, const union wp_event *event,
                     const char *invalid);

/* The {pool} slot's settings, as a MessagePack map. */
void wp_pack_pool_settings(struct wp_buf *out, const struct wp_config *config);

#endif
