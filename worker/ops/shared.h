/* The shared figures of both slots, and who reads them. Internal to ops/. */
#ifndef WP_OPS_SHARED_H
#define WP_OPS_SHARED_H
#include <jansson.h>
#include "ops/base.h"

/* What the read functions of both slots said last; the same from every worker. NULL: never known yet. */
struct shared {
    json_t *pool, *cache; /* owned: wp_pool_stats, wp_cache_stats (redis/README.md) */
    int64_t pool_wall_ms; /* when the pools' figures came; 0: never */
};

typedef void (*shared_done)(void *ctx);

/* `into` is borrowed, and changed by the reader alone. */
struct shared_reader *shared_reader_new(const struct ops_base *base, struct shared *into);
/* Asks both slots, or joins in when they are being asked. done is called once both have answered or cannot
 * (maybe at once); of two that wait the first is called. What does not answer keeps what was known last. */
void shared_read(struct shared_reader *reader, shared_done done, void *ctx);
/* The same for a page that shows what is known: at most once a second, and nobody waits. NULL is fine. */
void shared_read_if_old(struct shared_reader *reader);
/* No done is called any more. NULL is fine. */
void shared_reader_free(struct shared_reader *reader);

#endif
