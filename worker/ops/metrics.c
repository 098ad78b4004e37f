/* Owns the metrics rounds: reads the shared figures of both slots, keeps them for /metrics, looks for
 * warnings, lets the tuning look, and publishes the record. When Redis is away the shared part is what was
 * known last. The loop's thread. */
#include "ops/metrics.h"
#include "core/clock.h"
#include "core/log.h"
#include "ops/tuning.h"
#include <stdlib.h>

struct metrics {
    struct wp_ops *ops;
    uv_timer_t timer;
    int asking; /* answers that this round waits for */
    bool freed, closed;
};

static void publish(struct wp_ops *ops) {
    struct wp_error error = {0};
    struct wp_buf bytes = {0};
    json_t *record = metrics_record(ops);
    char *text = json_dumps(record, JSON_COMPACT);
    enum wp_err err = wp_wire_encode_json(ops->wire, WP_TOPIC_METRICS, wp_str(text), &bytes, &error);
    if (!err) {
        struct wp_record out = {.topic = WP_TOPIC_METRICS,
                                .key = wp_str(ops->worker_id),
                                .value = wp_buf_str(&bytes),
                                .partition = -1};
        err = wp_sink_send(ops->sink, &out, &error);
    }
    if (err) wp_log(WP_LOG_WARN, "metrics_not_published", "error=%s", error.text);
    wp_buf_done(&bytes);
    free(text);
    json_decref(record);
}

static void judge(struct wp_ops *ops) {
    struct warnings now = {0};
    warnings_find(&now, ops->config, ops->shared.pool, ops->shared.cache);
    warnings_log(&ops->warnings, &now);
    warnings_done(&ops->warnings);
    ops->warnings = now;
    tuning_consider(ops->tuning);
}

static void end_round(struct metrics *metrics) {
    judge(metrics->ops);
    publish(metrics->ops);
}

/* Takes what a slot answered in place of what was known. */
static bool replace(json_t **known, const redisReply *reply) {
    json_t *stats = wp_ops_parse(reply);
    if (!stats) return false;
    json_decref(*known);
    *known = stats;
    return true;
}

static void release(struct metrics *metrics) {
    if (metrics->closed && metrics->asking == 0) free(metrics);
}

static void on_answer(struct metrics *metrics) {
    metrics->asking--;
    if (metrics->freed)
        release(metrics);
    else if (metrics->asking == 0)
        end_round(metrics);
}

static void on_pool(void *ctx, const redisReply *reply, const char *error) {
    struct metrics *metrics = ctx;
    (void)error;
    if (!metrics->freed && replace(&metrics->ops->shared.pool, reply))
        metrics->ops->shared.pool_wall_ms = wp_clock_wall_ms();
    on_answer(metrics);
}

static void on_cache(void *ctx, const redisReply *reply, const char *error) {
    struct metrics *metrics = ctx;
    (void)error;
    if (!metrics->freed) (void)replace(&metrics->ops->shared.cache, reply);
    on_answer(metrics);
}

static void on_timer(uv_timer_t *timer) {
    struct metrics *metrics = timer->data;
    struct wp_link *const *links = metrics->ops->links;
    if (metrics->asking > 0) return; /* Redis is slow: this round's answers come, or time out */
    metrics->asking = 1;             /* this function: no round ends before both calls are sent */
    if (!wp_link_call(links[WP_SLOT_POOL], "pool_stats", NULL, 0, on_pool, metrics)) metrics->asking++;
    if (!wp_link_call(links[WP_SLOT_CACHE], "cache_stats", NULL, 0, on_cache, metrics)) metrics->asking++;
    on_answer(metrics);
}

struct metrics *metrics_new(struct wp_ops *ops) {
    struct metrics *metrics = wp_calloc(1, sizeof *metrics);
    metrics->ops = ops;
    uv_timer_init(ops->loop, &metrics->timer);
    metrics->timer.data = metrics;
    return metrics;
}

void metrics_start(struct metrics *metrics) {
    uint64_t interval = (uint64_t)metrics->ops->config->metrics.interval * 1000;
    uv_timer_start(&metrics->timer, on_timer, interval, interval);
}

void metrics_stop(struct metrics *metrics) {
    uv_timer_stop(&metrics->timer);
    publish(metrics->ops);
}

static void on_closed(uv_handle_t *handle) {
    struct metrics *metrics = handle->data;
    metrics->closed = true;
    release(metrics);
}

void metrics_free(struct metrics *metrics) {
    if (!metrics) return;
    metrics->freed = true;
    uv_close((uv_handle_t *)&metrics->timer, on_closed);
}
