/* Owns the pre-warming policy: publishes pool-control events. Workers that want the same pre-warming publish
 * the same id, so it is done once. The loop's thread. */
#include "ops/prewarm.h"
#include "core/clock.h"
#include "core/log.h"
#include "ops/figures.h"
#include "pool/pool_pages.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { START_RETRY_MS = 200 };

struct prewarm {
    const struct ops_base *base;
    uv_timer_t start, interval;
    struct wp_settings wanted; /* philosophy -> containers, of pool.prewarm and pool.min_idle */
    struct wp_settings due; /* of these, what is to be made ready: at the start all; later what has grown */
    size_t published;       /* how many of `due` */
    int64_t due_since_ms;   /* tells these events from those of an earlier configuration */
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
static struct wp_settings find_wanted(const struct wp_config *config) {
    const struct wp_settings *prewarms = &config->pool.prewarm, *min_idle = &config->pool.min_idle_of;
    struct wp_settings wanted = {0};
    if (!config->pool.enabled) return wanted;
    for (size_t i = 0; i < prewarms->count; i++)
        wp_settings_set(&wanted, prewarms->list[i].key, prewarms->list[i].value);
    for (size_t i = 0; i < min_idle->count; i++) {
        const struct wp_setting *pool = &min_idle->list[i];
        if (strtoll(pool->value, NULL, 10) > wp_settings_int(prewarms, pool->key, 0))
            wp_settings_set(&wanted, pool->key, pool->value);
    }
    return wanted;
}

/* Publishes these once for each worker, as soon as the topic exists and the producer takes records. */
static void on_start(uv_timer_t *timer) {
    struct prewarm *prewarm = timer->data;
    const struct wp_settings *due = &prewarm->due;
    if (wp_producer_partitions(prewarm->base->producer, WP_TOPIC_CONTROL) == 0) return;
    while (prewarm->published < due->count) {
        const struct wp_setting *pool = &due->list[prewarm->published];
        char id[256];
        snprintf(id, sizeof id, "prewarm/start/%s/%s/%" PRId64, pool->key, prewarm->base->worker_id,
                 prewarm->due_since_ms);
        if (!publish(prewarm, pool->key, strtoll(pool->value, NULL, 10), id)) return;
        prewarm->published++;
    }
    uv_timer_stop(timer);
}

static bool is_unpublished(const struct prewarm *prewarm, const char *philosophy) {
    for (size_t i = prewarm->published; i < prewarm->due.count; i++)
        if (strcmp(prewarm->due.list[i].key, philosophy) == 0) return true;
    return false;
}

/* Makes due what has grown since `prewarm->wanted`, and what is wanted still and was not published yet. */
static void set_wanted(struct prewarm *prewarm, int64_t now_ms) {
    struct wp_settings wanted = find_wanted(prewarm->base->config), due = {0};
    for (size_t i = 0; i < wanted.count; i++) {
        const struct wp_setting *pool = &wanted.list[i];
        bool grown = strtoll(pool->value, NULL, 10) > wp_settings_int(&prewarm->wanted, pool->key, -1);
        if (grown || is_unpublished(prewarm, pool->key)) wp_settings_set(&due, pool->key, pool->value);
    }
    wp_settings_done(&prewarm->wanted);
    wp_settings_done(&prewarm->due);
    prewarm->wanted = wanted;
    prewarm->due = due;
    prewarm->published = 0;
    prewarm->due_since_ms = now_ms;
    if (due.count > 0) uv_timer_start(&prewarm->start, on_start, 0, START_RETRY_MS);
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
    wp_settings_done(&prewarm->due);
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
    int64_t interval = prewarm->base->config->pool.prewarm_interval;
    if (interval == 0) return; /* a reload has turned it off meanwhile */
    json_t *stats = wp_ops_parse(reply);
    int64_t number = count_of(stats, "now") / 1000 / interval;
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

static void set_interval(struct prewarm *prewarm) {
    const struct wp_config *config = prewarm->base->config;
    uint64_t interval = config->pool.enabled ? (uint64_t)config->pool.prewarm_interval * 1000 : 0;
    bool runs = uv_is_active((uv_handle_t *)&prewarm->interval);
    if (runs && uv_timer_get_repeat(&prewarm->interval) == interval) return;
    uv_timer_stop(&prewarm->interval);
    if (interval > 0) uv_timer_start(&prewarm->interval, on_interval, interval, interval);
}

void prewarm_configure(struct prewarm *prewarm) {
    set_wanted(prewarm, wp_clock_wall_ms());
    set_interval(prewarm);
}

struct prewarm *prewarm_new(const struct ops_base *base) {
    struct prewarm *prewarm = wp_calloc(1, sizeof *prewarm);
    prewarm->base = base;
    prewarm->open_handles = 2;
    uv_timer_init(base->loop, &prewarm->start);
    uv_timer_init(base->loop, &prewarm->interval);
    prewarm->start.data = prewarm->interval.data = prewarm;
    set_wanted(prewarm, base->started_wall_ms);
    set_interval(prewarm);
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
