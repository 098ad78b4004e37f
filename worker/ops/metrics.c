/* Owns the metrics rounds: has the shared figures of both slots read, finds and logs warnings, calls the
 * tuning, and publishes the record. While Redis is away the shared figures are those that were read last. The
 * loop's thread. */
#include "ops/metrics.h"
#include "core/log.h"
#include "ops/metrics_record.h"
#include "ops/rollouts.h"
#include "wire/text.h"
#include <stdlib.h>

enum { FIRST_MS = 300 }; /* the first record comes early, because its delivery report shows Kafka's clock */

struct metrics {
    const struct ops_snapshot *snapshot;
    struct shared_reader *reader;
    struct warnings *warnings; /* of the last round */
    struct tuning *tuning;
    json_t *rollouts; /* as rollouts_log keeps them; owned */
    bool judged;      /* there was a round */
    uv_timer_t timer;
};

static void publish(const struct ops_snapshot *snapshot) {
    const struct ops_base *base = snapshot->base;
    struct wp_error error = {0};
    struct wp_buf bytes = {0};
    json_t *record = metrics_record(snapshot);
    struct wp_buf text = {0};
    text_json(&text, record);
    enum wp_err err = wp_wire_encode_json(base->wire, WP_TOPIC_METRICS, wp_buf_str(&text), &bytes, &error);
    if (!err) {
        struct wp_record out = {.topic = WP_TOPIC_METRICS,
                                .key = wp_str(base->worker_id),
                                .value = wp_buf_str(&bytes),
                                .partition = -1};
        err = wp_producer_send(base->producer, &out, &error);
    }
    if (err) wp_log(WP_LOG_WARN, "metrics_not_published", "error=%s", error.text);
    wp_buf_done(&bytes);
    wp_buf_done(&text);
    json_decref(record);
}

static void judge(struct metrics *metrics) {
    const struct shared *shared = metrics->snapshot->shared;
    const struct wp_stats *stats = metrics->snapshot->base->stats;
    struct warnings now = {0};
    warnings_find(&now, metrics->snapshot->base->config, shared->pool, shared->cache);
    if (metrics->judged) warnings_find_not_ready(&now, stats); /* the first round comes before it can be */
    metrics->judged = true;
    warnings_find_differences(&now, stats);
    warnings_log(metrics->warnings, &now);
    warnings_done(metrics->warnings);
    *metrics->warnings = now;
    rollouts_log(&metrics->rollouts, shared->pool);
    tuning_consider(metrics->tuning, shared);
}

static void end_round(void *ctx) {
    struct metrics *metrics = ctx;
    judge(metrics);
    publish(metrics->snapshot);
}

static void on_timer(uv_timer_t *timer) {
    struct metrics *metrics = timer->data;
    shared_read(metrics->reader, end_round, metrics);
}

struct metrics *metrics_new(const struct ops_snapshot *snapshot, struct shared_reader *reader,
                            struct warnings *warnings, struct tuning *tuning) {
    struct metrics *metrics = wp_calloc(1, sizeof *metrics);
    *metrics =
        (struct metrics){.snapshot = snapshot, .reader = reader, .warnings = warnings, .tuning = tuning};
    uv_timer_init(snapshot->base->loop, &metrics->timer);
    metrics->timer.data = metrics;
    return metrics;
}

void metrics_start(struct metrics *metrics) {
    uint64_t interval = (uint64_t)metrics->snapshot->base->config->metrics.interval * 1000;
    uint64_t first = interval < FIRST_MS ? interval : FIRST_MS;
    uv_timer_start(&metrics->timer, on_timer, first, interval);
}

void metrics_configure(struct metrics *metrics) {
    uint64_t interval = (uint64_t)metrics->snapshot->base->config->metrics.interval * 1000;
    if (uv_timer_get_repeat(&metrics->timer) != interval)
        uv_timer_start(&metrics->timer, on_timer, interval, interval);
}

void metrics_stop(struct metrics *metrics) {
    uv_timer_stop(&metrics->timer);
    publish(metrics->snapshot);
}

static void on_closed(uv_handle_t *handle) {
    struct metrics *metrics = handle->data;
    json_decref(metrics->rollouts);
    free(metrics);
}

void metrics_free(struct metrics *metrics) {
    if (metrics) uv_close((uv_handle_t *)&metrics->timer, on_closed);
}
