/* Owns the pre-warming policy. It publishes pool-control events; their ids make N workers that say the same
 * change it once. The loop's thread. */
#include "ops/prewarm.h"
#include "core/log.h"
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum { START_RETRY_MS = 200 };

struct prewarm {
    struct wp_ops *ops;
    uv_timer_t start, interval;
    size_t started; /* how many of pool.prewarm were published */
    bool asking, freed;
    int open_handles;
};

static bool publish(struct prewarm *prewarm, const char *philosophy, int64_t count, const char *id) {
    struct wp_control control = {
        .control_id = wp_str(id), .philosophy = wp_str(philosophy), .op = WP_STR("pre_warm"), .count = count};
    return wp_ops_publish(prewarm->ops, WP_TOPIC_CONTROL, wp_str(philosophy), &control);
}

/* At start: once a worker, as soon as the sink takes it. */
static void on_start(uv_timer_t *timer) {
    struct prewarm *prewarm = timer->data;
    const struct wp_settings *wanted = &prewarm->ops->config->pool.prewarm;
    while (prewarm->started < wanted->count) {
        const struct wp_setting *pool = &wanted->list[prewarm->started];
        char id[256];
        snprintf(id, sizeof id, "prewarm/start/%s/%s/%" PRId64, pool->key, prewarm->ops->worker_id,
                 prewarm->ops->started_wall_ms);
        if (!publish(prewarm, pool->key, strtoll(pool->value, NULL, 10), id)) return;
        prewarm->started++;
    }
    uv_timer_stop(timer);
}

static int64_t whole(const json_t *object, const char *name) {
    return (int64_t)json_number_value(json_object_get(object, name));
}

static void consider(struct prewarm *prewarm, const char *philosophy, const json_t *pool,
                     int64_t interval_number) {
    const struct wp_config *config = prewarm->ops->config;
    if (json_number_value(json_object_get(pool, "utilization_percent")) >= config->pool.prewarm_below) return;
    if (json_is_true(json_object_get(pool, "draining")) || !json_is_true(json_object_get(pool, "active")))
        return;
    int64_t size = whole(pool, "pool_size"),
            count = whole(pool, "available") + whole(pool, "creating") + config->pool.prewarm_count;
    char id[128];
    snprintf(id, sizeof id, "prewarm/%s/%" PRId64, philosophy, interval_number);
    if (!publish(prewarm, philosophy, count < size ? count : size, id))
        wp_log(WP_LOG_WARN, "prewarm_skipped", "philosophy=%s reason=%s", philosophy,
               "Kafka takes no records now");
}

static void on_stats(void *ctx, const redisReply *reply, const char *error) {
    struct prewarm *prewarm = ctx;
    (void)error;
    prewarm->asking = false;
    if (prewarm->freed) {
        free(prewarm);
        return;
    }
    json_t *stats =
        reply && reply->type == REDIS_REPLY_STRING ? json_loadb(reply->str, reply->len, 0, NULL) : NULL;
    int64_t number = whole(stats, "now") / 1000 / prewarm->ops->config->pool.prewarm_interval;
    const char *philosophy;
    json_t *pool;
    json_object_foreach(json_object_get(stats, "pools"), philosophy, pool)
        consider(prewarm, philosophy, pool, number);
    json_decref(stats);
}

static void on_interval(uv_timer_t *timer) {
    struct prewarm *prewarm = timer->data;
    if (!prewarm->asking)
        prewarm->asking = wp_link_call(prewarm->ops->links[WP_SLOT_POOL], "pool_stats", NULL, 0, on_stats,
                                       prewarm) == WP_OK;
}

struct prewarm *prewarm_new(struct wp_ops *ops) {
    struct prewarm *prewarm = wp_calloc(1, sizeof *prewarm);
    prewarm->ops = ops;
    prewarm->open_handles = 2;
    uv_timer_init(ops->loop, &prewarm->start);
    uv_timer_init(ops->loop, &prewarm->interval);
    prewarm->start.data = prewarm->interval.data = prewarm;
    if (!ops->config->pool.enabled) return prewarm;
    uv_timer_start(&prewarm->start, on_start, 0, START_RETRY_MS);
    uint64_t interval = (uint64_t)ops->config->pool.prewarm_interval * 1000;
    if (interval > 0) uv_timer_start(&prewarm->interval, on_interval, interval, interval);
    return prewarm;
}

void prewarm_stop(struct prewarm *prewarm) {
    uv_timer_stop(&prewarm->start);
    uv_timer_stop(&prewarm->interval);
}

static void on_closed(uv_handle_t *handle) {
    struct prewarm *prewarm = handle->data;
    if (--prewarm->open_handles > 0) return;
    prewarm->freed = true;
    if (!prewarm->asking) free(prewarm); /* else its answer frees it */
}

void prewarm_free(struct prewarm *prewarm) {
    if (!prewarm) return;
    uv_close((uv_handle_t *)&prewarm->start, on_closed);
    uv_close((uv_handle_t *)&prewarm->interval, on_closed);
}
