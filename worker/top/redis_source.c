/* The calls of Redis: see redis_source.h. */
#include "top/redis_source.h"
#include "pool/pool_pages.h"
#include "store/sync_call.h"

void top_redis_close(struct top_redis *redis) {
    for (int slot = WP_SLOT_POOL; slot <= WP_SLOT_CACHE; slot++) {
        if (redis->slots[slot]) redisFree(redis->slots[slot]);
        redis->slots[slot] = NULL;
    }
}

static enum wp_err connect_all(struct top_redis *redis, struct wp_error *error) {
    enum wp_err err = WP_OK;
    for (int slot = WP_SLOT_POOL; slot <= WP_SLOT_CACHE && !err; slot++)
        if (!redis->slots[slot])
            err = wp_redis_connect(&redis->slots[slot], redis->config, (enum wp_slot)slot, error);
    return err;
}

static enum wp_err call(json_t **ret, struct top_redis *redis, enum wp_slot slot, const char *function,
                        const struct wp_str *args, size_t count, struct wp_error *error) {
    return wp_redis_read(ret, redis->slots[slot], redis->config, slot, function, args, count, error);
}

/* Reads what a function says, and posts it. */
static enum wp_err post(struct top_redis *redis, struct top_news *news, enum top_news_kind kind,
                        enum wp_slot slot, const char *function, const char *pool, struct wp_error *error) {
    const struct wp_str arg = wp_str(pool);
    json_t *answer;
    enum wp_err err = call(&answer, redis, slot, function, &arg, pool ? 1 : 0, error);
    if (!err) top_news_post(news, kind, answer, pool, 0);
    return err;
}

static enum wp_err post_pools(struct top_redis *redis, struct top_news *news, struct wp_error *error) {
    struct wp_str from = WP_STR("");
    json_t *all = NULL, *page;
    do {
        enum wp_err err = call(&page, redis, WP_SLOT_POOL, "pool_stats", &from, 1, error);
        if (err) {
            json_decref(all);
            return err;
        }
        wp_pool_pages_add(&all, page);
        from = wp_pool_pages_next(all);
    } while (from.len > 0);
    top_news_post(news, TOP_NEWS_POOL_STATS, all, NULL, 0);
    return WP_OK;
}

static enum wp_err read_all(struct top_redis *redis, const char *pool, struct top_news *news,
                            struct wp_error *error) {
    enum wp_err err = connect_all(redis, error);
    if (!err) err = post(redis, news, TOP_NEWS_HOSTS, WP_SLOT_POOL, "hosts", NULL, error);
    if (!err) err = post(redis, news, TOP_NEWS_CACHE_STATS, WP_SLOT_CACHE, "cache_stats", NULL, error);
    if (!err) err = post_pools(redis, news, error);
    if (!err && pool[0])
        err = post(redis, news, TOP_NEWS_CONTAINERS, WP_SLOT_POOL, "pool_containers", pool, error);
    if (!err && pool[0]) err = post(redis, news, TOP_NEWS_WAITING, WP_SLOT_POOL, "waiting", pool, error);
    return err;
}

enum wp_err top_redis_read(struct top_redis *redis, const char *pool, struct top_news *news,
                           struct wp_error *error) {
    enum wp_err err = read_all(redis, pool, news, error);
    if (err) top_redis_close(redis);
    return err;
}
