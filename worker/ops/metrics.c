/* Owns the metrics rounds: has the shared figures of both slots read, looks for warnings, lets the tuning
 * look, and publishes the record. When Redis is away the shared part is what was known last. The loop's
 * thread. */
#include "ops/metrics.h"
#include "core/log.h"
#include "ops/shared.h"
#include "ops/tuning.h"
#include "wire/text.h"
#include <stdlib.h>

enum { FIRST_MS = 300 }; /* the first record comes early: its append time shows what Kafka's clock says */

struct metrics {
    struct wp_ops *ops;
    uv_timer_t timer;
};

static void publish(struct wp_ops *ops) {
    struct wp_error error = {0};
    struct wp_buf bytes = {0};
    json_t *record = metrics_record(ops);
    struct wp_buf text = {0};
    text_json(&text, record);
    enum wp_err err = wp_wire_encode_json(ops->wire, WP_TOPIC_METRICS, wp_buf_str(&text), &bytes, &error);
    if (!err) {
        struct wp_record out = {.topic = WP_TOPIC_METRICS,
                                .key = wp_str(ops->worker_id),
                                .value = wp_buf_str(&bytes),
                                .partition = -1};
        err = wp_producer_send(ops->producer, &out, &error);
    }
    if (err) wp_log(WP_LOG_WARN, "metrics_not_published", "error=%s", error.text);
    wp_buf_done(&bytes);
    wp_buf_done(&text);
    json_decref(record);
}

static void judge(struct wp_ops *ops) {
    struct warnings now = {0};
    warnings_find(&now, ops->config, ops->shared.pool, ops->shared.cache);
    warnings_find_not_ready(&now, ops->stats);
    warnings_find_differences(&now, ops->stats);
    warnings_log(&ops->warnings, &now);
    warnings_done(&ops->warnings);
    ops->warnings = now;
    tuning_consider(ops->tuning);
}

static void end_round(void *ctx) {
    struct metrics *metrics = ctx;
    judge(metrics->ops);
    publish(metrics->ops);
}

static void on_timer(uv_timer_t *timer) {
    struct metrics *metrics = timer->data;
    shared_read(metrics->ops->reader, end_round, metrics);
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
    uint64_t first = interval < FIRST_MS ? interval : FIRST_MS;
    uv_timer_start(&metrics->timer, on_timer, first, interval);
}

void metrics_stop(struct metrics *metrics) {
    uv_timer_stop(&metrics->timer);
    publish(metrics->ops);
}

static void on_closed(uv_handle_t *handle) {
    free(handle->data);
}

void metrics_free(struct metrics *metrics) {
    if (metrics) uv_close((uv_handle_t *)&metrics->timer, on_closed);
}
