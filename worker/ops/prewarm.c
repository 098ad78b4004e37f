/* Owns the pre-warming policy: publishes pool-control events. Workers that want the same pre-warming publish
 * the same id, so it is done once. The loop's thread. */
#include "ops/prewarm.h"
#include "core/log.h"
#include "ops/figures.h"
#include "pool/pool_pages.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { START_RETRY_MS = 200 };

struct prewarm {
    const struct ops_base *base;
    uv_timer_t start, interval;
    struct wp_settings wanted; /* at the start: philosophy -> containers, of pool.prewarm and pool.min_idle */
    size_t started;            /* how many of them were published */
    bool asking, freed;
    int open_handles;
};

static bool publish(struct prewarm *prewarm, const char *philosophy, int64_t count, const char *id) {
    struct wp_control control = {
        .control_id = wp_str(id), .philosophy = wp_str(philosophy), .op = WP_STR("pre_warm"), .count = count};
    return wp_ops_publish(prewarm->base, WP_TOPIC_CONTROL, wp_str(philosophy), &control);
}

/* What is kept ready begins to be when an event names its pool: so each pool that the configuration names
 * gets one. */
static void set_wanted(struct prewarm *prewarm) {
    const struct wp_settings *prewarms = &prewarm->base->config->pool.prewarm,
                             *min_idle = &prewarm->base->config->pool.min_idle_of;
    for (size_t i = 0; i < prewarms->count; i++)
        wp_settings_set(&prewarm->wanted, prewarms->list[i].key, prewarms->list[i].value);
    for (size_t i = 0; i < min_idle->count; i++) {
        const struct wp_setting *pool = &min_idle->list[i];
        if (strtoll(pool->value, NULL, 10) > wp_settings_int(prewarms, pool->key, 0))
            wp_settings_set(&prewarm->wanted, pool->key, pool->value);
    }
}

/* Publishes these once for each worker, as soon as the topic exists and the producer takes records. */
static void on_start(uv_timer_t *timer) {
    struct prewarm *prewarm = timer->data;
    const struct wp_settings *wanted = &prewarm->wanted;
    if (wp_producer_partitions(prewarm->base->producer, WP_TOPIC_CONTROL) == 0) return;
    while (prewarm->started < wanted->count) {
        const struct wp_setting *pool = &wanted->list[prewarm->started];
        char id[256];
        snprintf(id, sizeof id, "prewarm/start/%s/%s/%" PRId64, pool->key, prewarm->base->worker_id,
                 prewarm->base->started_wall_ms);
        if (!publish(prewarm, pool->key, strtoll(pool->value, NULL, 10), id)) return;
        prewarm->started++;
    }
    uv_timer_stop(timer);
}

static void consider(struct prewarm *prewarm, const char *philosophy, const json_t *pool,
                     int64_t interval_number) {
    const struct wp_config *config = prewarm->base->config;
    if (figure_of(pool, "utilization_percent") >= config->pool.prewarm_below) return;
    if (json_is_true(json_object_get(pool, "draining"))) return;
    int64_t surplus = count_of(pool, "creating") - count_of(pool, "waiting"),
            coming = count_of(pool, "available") + (surplus > 0 ? surplus : 0),
            size = count_of(pool, "pool_size"), count = coming + config->pool.prewarm_count;
    if (count > size) count = size;
    if (count <= coming) return;
    char id[128];
    snprintf(id, sizeof id, "prewarm/%s/%" PRId64, philosophy, interval_number);
    if (!publish(prewarm, philosophy, count, id))
        wp_log(WP_LOG_WARN, "prewarm_skipped", "philosophy=%s reason=%s", philosophy,
               "Kafka takes no records now");
}

/* Frees it when the handles are closed and the reply has come. */
static void release(struct prewarm *prewarm) {
    if (!prewarm->freed || prewarm->open_handles > 0 || prewarm->asking) return;
    wp_settings_done(&prewarm->wanted);
    free(prewarm);
}

static void ask(struct prewarm *prewarm, struct wp_str from);

/* One page of pools. */
static void on_stats(void *ctx, const redisReply *reply, const char *error) {
    struct prewarm *prewarm = ctx;
    (void)error;
    prewarm->asking = false;
    if (prewarm->freed) {
        release(prewarm);
        return;
    }
    json_t *stats = wp_ops_parse(reply);
    int64_t number = count_of(stats, "now") / 1000 / prewarm->base->config->pool.prewarm_interval;
    const char *philosophy;
    json_t *pool;
    json_object_foreach(json_object_get(stats, "pools"), philosophy, pool)
        consider(prewarm, philosophy, pool, number);
    if (wp_pool_pages_next(stats).len > 0) ask(prewarm, wp_pool_pages_next(stats));
    json_decref(stats);
}

static void ask(struct prewarm *prewarm, struct wp_str from) {
    prewarm->asking =
        wp_link_call(prewarm->base->links[WP_SLOT_POOL], "pool_stats", &from, 1, on_stats, prewarm) == WP_OK;
}

static void on_interval(uv_timer_t *timer) {
    struct prewarm *prewarm = timer->data;
    if (!prewarm->asking) ask(prewarm, WP_STR(""));
}

struct prewarm *prewarm_new(const struct ops_base *base) {
    struct prewarm *prewarm = wp_calloc(1, sizeof *prewarm);
    prewarm->base = base;
    prewarm->open_handles = 2;
    uv_timer_init(base->loop, &prewarm->start);
    uv_timer_init(base->loop, &prewarm->interval);
    prewarm->start.data = prewarm->interval.data = prewarm;
    if (!base->config->pool.enabled) return prewarm;
    set_wanted(prewarm);
    uv_timer_start(&prewarm->start, on_start, 0, START_RETRY_MS);
    uint64_t interval = (uint64_t)base->config->pool.prewarm_interval * 1000;
    if (interval > 0) uv_timer_start(&prewarm->interval, on_interval, interval, interval);
    return prewarm;
}

void prewarm_stop(struct prewarm *prewarm) {
    uv_timer_stop(&prewarm->start);
    uv_timer_stop(&prewarm->interval);
}

static void on_closed(uv_handle_t *handle) {
    struct prewarm *prewarm = handle->data;
    prewarm->open_handles--;
    release(prewarm);
}

void prewarm_free(struct prewarm *prewarm) {
    if (!prewarm) return;
    prewarm->freed = true;
    uv_close((uv_handle_t *)&prewarm->start, on_closed);
    uv_close((uv_handle_t *)&prewarm->interval, on_closed);
}
