/* Owns the ring of samples and the timer that takes them. It asks nobody: a sample has what the last metrics
 * round, scrape or viewer had read from Redis. The loop's thread. */
#include "ops/history.h"
#include "ops/figures.h"
#include <inttypes.h>
#include <stdlib.h>

enum { FIRST_MS = 1000, STEP_MS = 10000 };

enum column {
    NUMBER,
    TIME,
    IDLE,
    LEASED,
    CREATING,
    WAITING,
    WARM,
    COLD,
    REJECTED,
    HITS,
    MISSES,
    LAG,
    COLUMNS
};

/* warm_starts, cold_starts, rejected, hits and misses are counters: a chart shows how much they grow. lag is
 * this worker's own, the others are shared. */
static const char *const names[COLUMNS] = {"number",   "time_ms", "available",   "leased",
                                           "creating", "waiting", "warm_starts", "cold_starts",
                                           "rejected", "hits",    "misses",      "lag"};

struct history {
    const struct ops_snapshot *snapshot;
    uv_timer_t timer;
    uint64_t latest;
    int64_t samples[HISTORY_SAMPLES][COLUMNS]; /* that of number n at n % HISTORY_SAMPLES */
};

static int64_t lag_of(const struct wp_stats *stats) {
    int64_t lag = 0;
    for (int topic = 0; topic < WP_TOPICS_IN; topic++) lag += stats->lag[topic];
    return lag;
}

void history_take(struct history *history) {
    const struct shared *shared = history->snapshot->shared;
    const int64_t *last = history->samples[history->latest % HISTORY_SAMPLES];
    if (!shared->pool || last[TIME] == shared->pool_wall_ms) return;
    const json_t *total = json_object_get(shared->pool, "total");
    int64_t *sample = history->samples[++history->latest % HISTORY_SAMPLES];
    sample[NUMBER] = (int64_t)history->latest;
    sample[TIME] = shared->pool_wall_ms;
    for (enum column at = IDLE; at <= REJECTED; at++) sample[at] = count_of(total, names[at]);
    for (enum column at = HITS; at <= MISSES; at++) sample[at] = count_of(shared->cache, names[at]);
    sample[LAG] = lag_of(history->snapshot->base->stats);
}

uint64_t history_latest(const struct history *history) {
    return history->latest;
}

void history_write(const struct history *history, uint64_t after, struct wp_buf *out) {
    uint64_t oldest = history->latest < HISTORY_SAMPLES ? 1 : history->latest - HISTORY_SAMPLES + 1;
    uint64_t number = after + 1 > oldest ? after + 1 : oldest;
    wp_buf_add_str(out, "[");
    for (bool first = true; number <= history->latest; number++, first = false) {
        const int64_t *sample = history->samples[number % HISTORY_SAMPLES];
        for (int at = 0; at < COLUMNS; at++)
            wp_buf_printf(out, "%s%" PRId64, at > 0 ? "," : first ? "[" : ",[", sample[at]);
        wp_buf_add_str(out, "]");
    }
    wp_buf_add_str(out, "]");
}

void history_columns(struct wp_buf *out) {
    for (int at = 0; at < COLUMNS; at++) wp_buf_printf(out, "%s\"%s\"", at > 0 ? "," : "[", names[at]);
    wp_buf_add_str(out, "]");
}

static void on_timer(uv_timer_t *timer) {
    history_take(timer->data);
}

struct history *history_new(const struct ops_snapshot *snapshot) {
    struct history *history = wp_calloc(1, sizeof *history);
    history->snapshot = snapshot;
    uv_timer_init(snapshot->base->loop, &history->timer);
    history->timer.data = history;
    uv_timer_start(&history->timer, on_timer, FIRST_MS, STEP_MS);
    return history;
}

static void on_closed(uv_handle_t *handle) {
    free(handle->data);
}

void history_free(struct history *history) {
    if (history) uv_close((uv_handle_t *)&history->timer, on_closed);
}
