/* Reads the shared figures of both slots into ops->shared. Internal to ops/. */
#ifndef WP_OPS_SHARED_H
#define WP_OPS_SHARED_H
#include "ops/ops_internal.h"

typedef void (*shared_done)(void *ctx);

struct shared_reader *shared_reader_new(struct wp_ops *ops);
/* Asks both slots, or joins in when they are being asked. done is called once both have answered or cannot
 * (maybe at once); of two that wait the first is called. What does not answer keeps what was known last. */
void shared_read(struct shared_reader *reader, shared_done done, void *ctx);
/* The same for a page that shows what is known: at most once a second, and nobody waits. NULL is fine. */
void shared_read_if_old(struct shared_reader *reader);
/* No done is called any more. NULL is fine. */
void shared_reader_free(struct shared_reader *reader);

#endif
