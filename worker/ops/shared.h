/* The shared figures of both slots, and their reader. Internal to ops/. */
#ifndef WP_OPS_SHARED_H
#define WP_OPS_SHARED_H
#include <jansson.h>
#include "ops/base.h"

/* The latest answers of the read functions of both slots, which are the same for every worker. NULL: none
 * yet. */
struct shared {
    json_t *pool, *cache; /* owned: wp_pool_stats, wp_cache_stats (redis/README.md) */
    int64_t pool_wall_ms; /* when the pools' figures came; 0: never */
};

typedef void (*shared_done)(void *ctx);

/* `into` is borrowed, and changed by the reader alone. */
struct shared_reader *shared_reader_new(const struct ops_base *base, struct shared *into);
/* Asks both slots, or joins the calls under way. `done` is called when both have answered or cannot be asked,
 * which may be at once; while another `done` waits this one is dropped. A slot that does not answer keeps its
 * figures. */
void shared_read(struct shared_reader *reader, shared_done done, void *ctx);
/* The same without a callback, and at most once a second. NULL is fine. */
void shared_read_if_old(struct shared_reader *reader);
/* No done is called any more. NULL is fine. */
void shared_reader_free(struct shared_reader *reader);

#endif
