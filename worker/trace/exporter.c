/* The exporter: owns the queue of encoded spans and the batch that is under way. See exporter.h.
 *
 *   IDLE -> SENDING -> IDLE       the batch was taken, or dropped
 *             |  ^
 *             v  |
 *           WAITING               the same batch is sent again when the pause is over */
#include "trace/exporter.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/log.h"
#include "core/worker_name.h"
#include "trace/collector.h"

enum {
    PAUSE_FIRST_MS = 1000,
    PAUSE_MOST_MS = 30000,
    BATCH_LIVES_US = 60000000, /* a batch that was not taken for so long is dropped */
    QUIET_US = 60000000,       /* between two warnings */
    STEP_MS = 20,
};

struct queued { /* an encoded span */
    struct queued *next;
    size_t len;
    char bytes[];
};

enum state { IDLE, SENDING, WAITING };

struct wp_exporter {
    const struct wp_config *config; /* borrowed, as the next */
    struct wp_stats *stats;
    uv_loop_t *loop;
    struct wp_collector *collector;
    struct queued *oldest, **youngest;
    size_t count; /* in the queue */
    enum state state;
    struct wp_buf batch; /* the request under way */
    size_t batch_count;
    int64_t batch_since_us, pause_ms;
    uv_timer_t timer;        /* IDLE: the next batch is due; WAITING: the pause is over */
    bool refused_once;       /* since the last span was taken: a flush does not wait for another answer */
    uint64_t warned_dropped; /* stats->trace_dropped as of the last warning */
    int64_t warned_us;       /* 0: never */
    char host[256], instance[WP_WORKER_NAME_BYTES];
    struct wp_buf scratch;
};

static void send_batch(struct wp_exporter *exporter);
static void on_timer(uv_timer_t *timer);

/* ---- warnings ---- */

static void warn(struct wp_exporter *exporter, const char *why) {
    int64_t now = wp_clock_us();
    if (exporter->warned_us && now - exporter->warned_us < QUIET_US) return;
    wp_log(WP_LOG_WARN, "trace_spans_not_sent", "dropped=%llu queued=%zu reason=%s",
           (unsigned long long)(exporter->stats->trace_dropped - exporter->warned_dropped),
           exporter->count + exporter->batch_count, why);
    exporter->warned_us = now;
    exporter->warned_dropped = exporter->stats->trace_dropped;
}

/* ---- the queue ---- */

static void start_timer(struct wp_exporter *exporter, int64_t ms) {
    uv_update_time(exporter->loop);
    uv_timer_start(&exporter->timer, on_timer, (uint64_t)ms, 0);
}

/* Has the next batch sent: at once when it is full, else after trace.interval_ms. */
static void schedule(struct wp_exporter *exporter) {
    bool full = exporter->count >= (size_t)exporter->config->trace.batch;
    if (exporter->state != IDLE || exporter->count == 0) return;
    if (full)
        start_timer(exporter, 0);
    else if (!uv_is_active((uv_handle_t *)&exporter->timer))
        start_timer(exporter, exporter->config->trace.interval_ms);
}

void wp_exporter_add(struct wp_exporter *exporter, const struct wp_span *span) {
    if (exporter->count >= (size_t)exporter->config->trace.queue) {
        exporter->stats->trace_dropped++;
        warn(exporter, "the queue is full: the collector is away, or does not keep up; raise trace.queue or "
                       "lower trace.sample");
        return;
    }
    wp_buf_reset(&exporter->scratch);
    wp_span_encode(span, &exporter->scratch);
    struct queued *queued = wp_alloc(sizeof *queued + exporter->scratch.len);
    *queued = (struct queued){.len = exporter->scratch.len};
    memcpy(queued->bytes, exporter->scratch.data, exporter->scratch.len);
    *exporter->youngest = queued;
    exporter->youngest = &queued->next;
    exporter->count++;
    schedule(exporter);
}

static struct queued *take_oldest(struct wp_exporter *exporter) {
    struct queued *queued = exporter->oldest;
    exporter->oldest = queued->next;
    if (!exporter->oldest) exporter->youngest = &exporter->oldest;
    exporter->count--;
    return queued;
}

/* ---- batches ---- */

static void make_batch(struct wp_exporter *exporter) {
    const struct wp_span_resource resource = {
        .instance = exporter->instance, .host = exporter->host, .version = WP_VERSION};
    size_t most = (size_t)exporter->config->trace.batch;
    wp_buf_reset(&exporter->scratch);
    for (exporter->batch_count = 0; exporter->batch_count < most && exporter->oldest;
         exporter->batch_count++) {
        struct queued *queued = take_oldest(exporter);
        wp_buf_add(&exporter->scratch, queued->bytes, queued->len);
        free(queued);
    }
    wp_buf_reset(&exporter->batch);
    wp_spans_request(&resource, wp_buf_str(&exporter->scratch), &exporter->batch);
    exporter->batch_since_us = wp_clock_us();
    exporter->pause_ms = PAUSE_FIRST_MS;
}

static void send_batch(struct wp_exporter *exporter) {
    uv_timer_stop(&exporter->timer);
    exporter->state = SENDING;
    wp_collector_post(exporter->collector, wp_buf_str(&exporter->batch));
}

static void on_timer(uv_timer_t *timer) {
    struct wp_exporter *exporter = timer->data;
    if (exporter->state == IDLE && exporter->count > 0) make_batch(exporter);
    if (exporter->batch_count > 0) send_batch(exporter);
}

static void end_batch(struct wp_exporter *exporter, size_t taken) {
    exporter->stats->trace_exported += taken;
    exporter->stats->trace_dropped += exporter->batch_count - taken;
    exporter->batch_count = 0;
    exporter->state = IDLE;
    schedule(exporter);
}

/* The pause before the batch is sent again: what the collector asks for, else a time that doubles, less up to
 * a fifth of it, so that workers do not all come at once. */
static int64_t next_pause(struct wp_exporter *exporter, int64_t asked_ms) {
    int64_t pause = exporter->pause_ms;
    exporter->pause_ms = pause * 2 < PAUSE_MOST_MS ? pause * 2 : PAUSE_MOST_MS;
    return asked_ms > 0 ? asked_ms : pause - wp_clock_us() % (pause / 5);
}

static void on_answer(void *ctx, const struct wp_collector_answer *answer) {
    struct wp_exporter *exporter = ctx;
    size_t rejected =
        answer->rejected < (int64_t)exporter->batch_count ? (size_t)answer->rejected : exporter->batch_count;
    if (answer->verdict == WP_COLLECTOR_TOOK) {
        exporter->refused_once = false;
        end_batch(exporter, exporter->batch_count - rejected);
    } else {
        int64_t pause = next_pause(exporter, answer->retry_after_ms),
                end_us = exporter->batch_since_us + BATCH_LIVES_US;
        exporter->stats->trace_failures++;
        exporter->refused_once = true;
        if (answer->verdict == WP_COLLECTOR_REFUSED || wp_clock_us() + pause * 1000 > end_us) {
            end_batch(exporter, 0);
        } else {
            exporter->state = WAITING;
            start_timer(exporter, pause);
        }
    }
    if (answer->why[0]) warn(exporter, answer->why);
}

/* ---- life ---- */

static void on_timer_closed(uv_handle_t *handle) {
    free(handle->data);
}

enum wp_err wp_exporter_new(struct wp_exporter **ret_exporter, uv_loop_t *loop,
                            const struct wp_config *config, struct wp_stats *stats, struct wp_error *error) {
    struct wp_exporter *exporter = wp_calloc(1, sizeof *exporter);
    *exporter = (struct wp_exporter){.config = config, .stats = stats, .loop = loop, .state = IDLE};
    enum wp_err err = wp_collector_new(&exporter->collector, loop, config, on_answer, exporter, error);
    if (err) {
        free(exporter);
        return err;
    }
    exporter->youngest = &exporter->oldest;
    wp_worker_name(config, exporter->instance);
    if (gethostname(exporter->host, sizeof exporter->host - 1)) exporter->host[0] = '\0';
    uv_timer_init(loop, &exporter->timer);
    exporter->timer.data = exporter;
    *ret_exporter = exporter;
    return WP_OK;
}

static bool has_spans(const struct wp_exporter *exporter) {
    return exporter->count > 0 || exporter->batch_count > 0;
}

void wp_exporter_flush(struct wp_exporter *exporter, int64_t max_ms) {
    int64_t end_us = wp_clock_us() + max_ms * 1000;
    exporter->refused_once = false;
    while (has_spans(exporter) && !exporter->refused_once && wp_clock_us() < end_us) {
        if (exporter->state != SENDING) on_timer(&exporter->timer);
        wp_collector_step(exporter->collector, STEP_MS);
    }
    size_t left = exporter->count + exporter->batch_count;
    exporter->stats->trace_dropped += left;
    if (left > 0)
        wp_log(WP_LOG_WARN, "trace_spans_not_flushed", "count=%zu reason=%s", left,
               exporter->refused_once ? "the collector does not take them" : "the time for it is over");
}

void wp_exporter_free(struct wp_exporter *exporter) {
    if (!exporter) return;
    while (exporter->oldest) free(take_oldest(exporter));
    wp_collector_free(exporter->collector);
    wp_buf_done(&exporter->batch);
    wp_buf_done(&exporter->scratch);
    uv_close((uv_handle_t *)&exporter->timer, on_timer_closed);
}

/* ---- check ---- */

struct trial {
    struct wp_collector_answer answer;
    bool answered;
};

static void on_trial(void *ctx, const struct wp_collector_answer *answer) {
    *(struct trial *)ctx = (struct trial){*answer, true};
}

enum wp_err wp_exporter_try(const struct wp_config *config, int64_t max_ms, struct wp_error *error) {
    struct trial trial = {0};
    struct wp_collector *collector;
    uv_loop_t loop;
    if (uv_loop_init(&loop)) return wp_fail(error, WP_ERR_SYSTEM, "no event loop");
    enum wp_err err = wp_collector_new(&collector, &loop, config, on_trial, &trial, error);
    if (err == WP_OK) {
        int64_t end_us = wp_clock_us() + max_ms * 1000;
        wp_collector_post(collector, WP_STR(""));
        while (!trial.answered && wp_clock_us() < end_us) wp_collector_step(collector, STEP_MS);
        wp_collector_free(collector);
        if (!trial.answered)
            err = wp_fail(error, WP_ERR_SYSTEM, "the collector at %s has not answered in %lld ms",
                          config->trace.url, (long long)max_ms);
        else if (trial.answer.verdict != WP_COLLECTOR_TOOK)
            err = wp_fail(error, WP_ERR_SYSTEM, "%s", trial.answer.why);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    return err;
}
