/* Reads Redis' public functions for top: one round of calls, in turn on a connection a slot. Blocks, up to
 * redis.timeout_ms a call; one thread. */
#ifndef WP_TOP_REDIS_SOURCE_H
#define WP_TOP_REDIS_SOURCE_H
#include <hiredis/hiredis.h>
#include "core/config.h"
#include "store/slot.h"
#include "top/news.h"

struct top_redis {
    const struct wp_config *config;         /* borrowed */
    redisContext *slots[WP_SLOT_CACHE + 1]; /* owned; NULL: not connected */
};

/* Connects what is not connected, reads everything, and the contents of `pool` if that is not empty, and
 * posts it. After an error the connections are closed: the next call begins anew. */
enum wp_err top_redis_read(struct top_redis *redis, const char *pool, struct top_news *news,
                           struct wp_error *error) WP_MUST_CHECK;
void top_redis_close(struct top_redis *redis);

#endif
