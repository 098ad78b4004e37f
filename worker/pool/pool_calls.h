/* The pool concern: its events as arguments of Redis functions, and the functions' records as structs.
 * Layouts: redis/README.md. Readers return false when the record is not what that file says (a library of
 * another convention). */
#ifndef WP_POOL_POOL_CALLS_H
#define WP_POOL_POOL_CALLS_H
#include "store/event_args.h"

void wp_pack_acquire(struct wp_buf *out, const struct wp_meta *meta, const union wp_event *event,
                     const char *invalid);
void wp_pack_release(struct wp_buf *out, const struct wp_meta *meta, const union wp_event *event,
                     const char *invalid);
void wp_pack_control(struct wp_buf *out, const struct wp_meta *meta, const union wp_event *event,
                     const char *invalid);
void wp_pack_container_event(struct wp_buf *out, const struct wp_meta *meta, const union wp_event *event,
                             const char *invalid);

/* After the record's offset and kind were read. Strings borrow from the reply. */
bool wp_read_assignment(struct wp_unpack *in, struct wp_assignment *ret, struct wp_str *ret_key,
                        struct wp_str *ret_trace);
/* After the record's head (offset, kind, key, trace) was read. */
bool wp_read_command(struct wp_unpack *in, struct wp_command *ret);
bool wp_read_container_event(struct wp_unpack *in, struct wp_container_event *ret);

/* The {pool} slot's settings, as a MessagePack map. */
void wp_pack_pool_settings(struct wp_buf *out, const struct wp_config *config);

#endif
