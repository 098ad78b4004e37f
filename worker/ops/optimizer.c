/* Owns the rounds of the memory optimizer. A round is a chain of calls, each sent when the one before was
 * answered: sweep {pool} until nothing is left, sweep {cache} likewise, read the pools' figures; then the
 * heap is trimmed. An error is noted, and the round goes on with its next step. The loop's thread. */
#include "ops/optimizer.h"
#include "core/log.h"
#include "ops/figures.h"
#include "pool/pool_pages.h"
#include <inttypes.h>
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { SWEEPS_MAX = 20 }; /* calls for a slot in a round; the rest waits for the next round */

enum step { STEP_IDLE, STEP_SWEEP_POOL, STEP_SWEEP_CACHE, STEP_TRIM_POOLS };

struct optimizer {
    const struct ops_base *base;
    uv_timer_t timer;
    struct optimizer_result result;
    enum step step;
    int sweeps; /* sent to this slot in this round */
    int64_t collected;
    double before_mb;
    char failure[256]; /* of this round; empty: none */
    char page[32];     /* the argument for the next page of pools; empty: the first page */
    bool asking, freed, closed;
};

static double rss_mb(void) {
    return round((double)wp_ops_rss_bytes() / 1048576.0 * 100) / 100;
}

static void note_failure(struct optimizer *optimizer, const char *why) {
    if (!optimizer->failure[0]) snprintf(optimizer->failure, sizeof optimizer->failure, "%s", why);
}

static void end_round(struct optimizer *optimizer) {
    struct wp_stats *stats = optimizer->base->stats;
    malloc_trim(0);
    double after = rss_mb(), released = optimizer->before_mb - after;
    optimizer->step = STEP_IDLE;
    optimizer->result = (struct optimizer_result){
        .enabled = optimizer->base->config->memory.enabled,
        .objects_collected = optimizer->collected,
        .memory_before_mb = optimizer->before_mb,
        .memory_after_mb = after,
        .memory_released_mb = released > 0 ? round(released * 100) / 100 : 0,
    };
    stats->optimizer_rounds++;
    stats->memory_released_mb += optimizer->result.memory_released_mb;
    if (optimizer->failure[0]) {
        stats->optimizer_failures++;
        wp_log(WP_LOG_WARN, "optimizer_round_failed", "error=%s", optimizer->failure);
    }
    wp_log(WP_LOG_DEBUG, "optimizer_round", "objects=%lld before_mb=%.2f after_mb=%.2f",
           (long long)optimizer->collected, optimizer->before_mb, after);
}

/* Has idle containers beyond the pool's size destroyed, after the size was lowered. The event's id is the
 * same in all workers, so it is done once. */
static void trim_pool(struct optimizer *optimizer, const char *philosophy, const json_t *pool,
                      int64_t number) {
    int64_t surplus = count_of(pool, "available") - count_of(pool, "pool_size");
    if (surplus <= 0 || json_is_true(json_object_get(pool, "draining"))) return;
    char id[128];
    snprintf(id, sizeof id, "trim/%s/%" PRId64, philosophy, number);
    struct wp_control control = {
        .control_id = wp_str(id), .philosophy = wp_str(philosophy), .op = WP_STR("expire"), .count = surplus};
    if (!wp_ops_publish(optimizer->base, WP_TOPIC_CONTROL, wp_str(philosophy), &control))
        note_failure(optimizer, "Kafka takes no records now");
}

/* Trims the pools of one page. */
static void trim_pools(struct optimizer *optimizer, const redisReply *reply) {
    json_t *stats = wp_ops_parse(reply);
    int64_t number = count_of(stats, "now") / 1000 / optimizer->base->config->memory.interval;
    const char *philosophy;
    json_t *pool;
    json_object_foreach(json_object_get(stats, "pools"), philosophy, pool)
        trim_pool(optimizer, philosophy, pool, number);
    struct wp_str next = wp_pool_pages_next(stats);
    snprintf(optimizer->page, sizeof optimizer->page, "%.*s", (int)next.len, next.ptr);
    json_decref(stats);
}

static void next_step(struct optimizer *optimizer, enum step step);
static void release(struct optimizer *optimizer);

static void on_reply(void *ctx, const redisReply *reply, const char *error) {
    struct optimizer *optimizer = ctx;
    enum step step = optimizer->step;
    optimizer->asking = false;
    if (optimizer->freed) {
        release(optimizer);
        return;
    }
    if (!reply || reply->type == REDIS_REPLY_ERROR) {
        note_failure(optimizer, reply ? reply->str : error);
        next_step(optimizer, step + 1);
    } else if (step == STEP_TRIM_POOLS) {
        trim_pools(optimizer, reply);
        next_step(optimizer, optimizer->page[0] ? step : step + 1);
    } else {
        optimizer->collected += reply->integer;
        bool more = reply->integer > 0 && optimizer->sweeps < SWEEPS_MAX;
        next_step(optimizer, more ? step : step + 1);
    }
}

/* Sends the step's call; a slot that is away is left out of this round. */
static void next_step(struct optimizer *optimizer, enum step step) {
    struct wp_link *const *links = optimizer->base->links;
    for (; step <= STEP_TRIM_POOLS; step++) {
        enum wp_slot slot = step == STEP_SWEEP_CACHE ? WP_SLOT_CACHE : WP_SLOT_POOL;
        bool sweep = step != STEP_TRIM_POOLS;
        struct wp_str page = wp_str(optimizer->page);
        optimizer->sweeps = step == optimizer->step ? optimizer->sweeps + 1 : 1;
        optimizer->step = step;
        optimizer->asking = wp_link_call(links[slot], sweep ? "sweep" : "pool_stats", &page, sweep ? 0 : 1,
                                         on_reply, optimizer) == WP_OK;
        if (optimizer->asking) return;
        note_failure(optimizer, wp_link_reason(links[slot]));
    }
    end_round(optimizer);
}

static void on_timer(uv_timer_t *timer) {
    struct optimizer *optimizer = timer->data;
    if (optimizer->step != STEP_IDLE) return; /* the previous round still waits for an answer */
    optimizer->collected = 0;
    optimizer->failure[0] = optimizer->page[0] = '\0';
    optimizer->before_mb = rss_mb();
    next_step(optimizer, STEP_SWEEP_POOL);
}

struct optimizer *optimizer_new(const struct ops_base *base) {
    struct optimizer *optimizer = wp_calloc(1, sizeof *optimizer);
    optimizer->base = base;
    optimizer->result.enabled = base->config->memory.enabled;
    uv_timer_init(base->loop, &optimizer->timer);
    optimizer->timer.data = optimizer;
    return optimizer;
}

void optimizer_start(struct optimizer *optimizer) {
    const struct wp_config *config = optimizer->base->config;
    uint64_t interval = (uint64_t)config->memory.interval * 1000;
    if (config->memory.enabled && !optimizer_running(optimizer))
        uv_timer_start(&optimizer->timer, on_timer, interval, interval);
}

void optimizer_configure(struct optimizer *optimizer) {
    const struct wp_config *config = optimizer->base->config;
    optimizer->result.enabled = config->memory.enabled;
    if (!config->memory.enabled ||
        uv_timer_get_repeat(&optimizer->timer) != (uint64_t)config->memory.interval * 1000)
        uv_timer_stop(&optimizer->timer);
    optimizer_start(optimizer);
}

void optimizer_stop(struct optimizer *optimizer) {
    uv_timer_stop(&optimizer->timer);
}

bool optimizer_running(const struct optimizer *optimizer) {
    return uv_is_active((const uv_handle_t *)&optimizer->timer);
}

const struct optimizer_result *optimizer_result(const struct optimizer *optimizer) {
    return &optimizer->result;
}

/* Frees it when both the handle is closed and the reply has come. */
static void release(struct optimizer *optimizer) {
    if (!optimizer->closed || optimizer->asking) return;
    free(optimizer);
}

static void on_closed(uv_handle_t *handle) {
    struct optimizer *optimizer = handle->data;
    optimizer->closed = true;
    release(optimizer);
}

void optimizer_free(struct optimizer *optimizer) {
    if (!optimizer) return;
    optimizer->freed = true;
    uv_close((uv_handle_t *)&optimizer->timer, on_closed);
}
