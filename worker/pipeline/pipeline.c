/* Owns the set of assigned partitions. Carries out the effects that their delivery cores return, after each
 * callback and periodically. Calls all other files of pipeline/. The loop's thread. */
#include "pipeline/pipeline.h"
#include "cache/cache_calls.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/worker_name.h"
#include "pipeline/calls.h"
#include "pipeline/recover.h"
#include "pipeline/start.h"
#include "pool/pool_calls.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    TICK_MS = 20,
    IDLE_TICK_MS = 200,
    FLUSH_US = 450000 /* between two rounds of floors and commits */,
    VERIFY_US = 3000000,
    LIST_MAX = 256
};

struct wp_pipeline {
    struct pipeline_context context;
    struct publisher *publisher;
    struct records *records;
    struct calls *calls;
    struct starter starter;
    struct recovery *recovery;
    struct partition *partitions;
    struct wp_delivery_budget budget; /* of all partitions together */
    uv_timer_t tick;
    int64_t next_flush_us, next_verify_us;
    bool stopping;
    void (*idle)(void *ctx);
    void *idle_ctx;
};

static struct partition *of(struct wp_consumer_partition *base) {
    return (struct partition *)base; /* its first member */
}

/* ---- the effects of the delivery cores ---- */

struct work { /* requests that go out once for several partitions */
    struct wp_consumer_partition *unknown[LIST_MAX];
    struct wp_commit commits[LIST_MAX];
    size_t unknown_count, commit_count;
};

static void do_work(struct wp_pipeline *pipeline, struct work *work) {
    if (work->unknown_count)
        wp_consumer_query_offsets(pipeline->context.consumer, work->unknown, work->unknown_count);
    if (work->commit_count) wp_consumer_commit(pipeline->context.consumer, work->commits, work->commit_count);
    work->unknown_count = work->commit_count = 0;
}

static void carry_out(struct wp_pipeline *pipeline, struct partition *p, const struct wp_effect *effect,
                      struct work *work) {
    struct wp_consumer *consumer = pipeline->context.consumer;
    switch (effect->kind) {
    case WP_EFFECT_FIND_START:
        work->unknown[work->unknown_count++] = &p->base;
        break;
    case WP_EFFECT_SEEK:
        wp_consumer_start(consumer, &p->base, effect->offset);
        break;
    case WP_EFFECT_PAUSE:
        wp_consumer_pause(consumer, &p->base);
        break;
    case WP_EFFECT_RESUME:
        wp_consumer_resume(consumer, &p->base);
        break;
    case WP_EFFECT_TELL_FLOOR:
        calls_tell_floor(pipeline->calls, p, effect->prev, effect->offset);
        break;
    case WP_EFFECT_COMMIT:
        p->commit_asked = effect->offset;
        p->commit_generation = wp_delivery_generation(p->delivery);
        work->commits[work->commit_count++] = (struct wp_commit){&p->base, effect->offset};
        break;
    case WP_EFFECT_DEAD_LETTER:
        records_dead_letter(pipeline->records, effect->item, wp_str(effect->text), 2);
        break;
    }
    if (work->unknown_count == LIST_MAX || work->commit_count == LIST_MAX) do_work(pipeline, work);
}

static void serve(struct wp_pipeline *pipeline, struct partition *p, int64_t now_us, bool flush,
                  struct work *work) {
    struct wp_effect effect;
    while (wp_delivery_next(p->delivery, now_us, flush, &effect)) carry_out(pipeline, p, &effect, work);
}

/* Serves one partition, after something of it has changed. */
static void serve_one(struct wp_pipeline *pipeline, struct partition *p) {
    struct work work;
    work.unknown_count = work.commit_count = 0;
    serve(pipeline, p, wp_clock_us(), false, &work);
    do_work(pipeline, &work);
}

/* Reports the end of the latest commit, which the consumer notes in the base. */
static void note_commit(struct partition *p, int64_t now_us) {
    if (p->base.committing || p->commit_asked < 0) return;
    bool ok = p->base.committed >= p->commit_asked;
    wp_delivery_committed(p->delivery, p->commit_generation, p->commit_asked, ok, now_us);
    p->commit_asked = -1;
}

/* The log's end is often reached while events before it are under way. The floor passes the end when they are
 * done, unless more records were read meanwhile. */
static void pass_end(struct partition *p) {
    if (p->end >= 0 && p->end == p->base.position) wp_delivery_at_position(p->delivery, p->end);
}

static void serve_all(struct wp_pipeline *pipeline, int64_t now_us, bool flush) {
    struct work work;
    work.unknown_count = work.commit_count = 0;
    for (struct partition *p = pipeline->partitions; p; p = p->next) {
        bool waits_for_slot = wp_delivery_state(p->delivery) != WP_DELIVERY_RUNNING &&
                              !wp_link_ready(pipeline->context.links[p->row->slot]);
        if (waits_for_slot) continue;
        note_commit(p, now_us);
        pass_end(p);
        serve(pipeline, p, now_us, flush, &work);
    }
    do_work(pipeline, &work);
}

static void send_all(struct wp_pipeline *pipeline) {
    for (int topic = 0; topic < WP_TOPICS_IN; topic++) calls_send(pipeline->calls, (enum wp_topic)topic);
}

/* ---- the periodic work ---- */

static void update_health(struct wp_pipeline *pipeline) {
    struct wp_health *health = &pipeline->context.stats->state;
    int partitions = 0;
    health->ready = true;
    health->reason[0] = '\0';
    for (struct partition *p = pipeline->partitions; p; p = p->next) {
        partitions++;
        if (wp_delivery_state(p->delivery) != WP_DELIVERY_BLOCKED || !health->ready) continue;
        health->ready = false;
        (void)snprintf(health->reason, sizeof health->reason, "%s", wp_delivery_reason(p->delivery));
    }
    pipeline->context.stats->partitions = partitions;
}

/* When the pipeline stops, events that wait for a schema are left to the next worker. */
static bool is_idle_partition(const struct wp_pipeline *pipeline, const struct partition *p) {
    if (wp_delivery_state(p->delivery) != WP_DELIVERY_RUNNING || wp_delivery_is_settled(p->delivery))
        return true;
    return pipeline->stopping && p->waits_for_schema && wp_delivery_only_queued(p->delivery);
}

static bool is_idle(const struct wp_pipeline *pipeline) {
    for (const struct partition *p = pipeline->partitions; p; p = p->next)
        if (!is_idle_partition(pipeline, p)) return false;
    return publisher_waiting(pipeline->publisher) == 0;
}

static void end_when_idle(struct wp_pipeline *pipeline) {
    void (*idle)(void *) = pipeline->idle;
    if (!pipeline->stopping || !idle || !is_idle(pipeline)) return;
    pipeline->idle = NULL;
    idle(pipeline->idle_ctx);
}

/* True while a partition is about to start or has events under way: the ticks are short then. */
static bool is_busy(const struct wp_pipeline *pipeline) {
    for (const struct partition *p = pipeline->partitions; p; p = p->next) {
        enum wp_delivery_state state = wp_delivery_state(p->delivery);
        if (state != WP_DELIVERY_RUNNING && state != WP_DELIVERY_BLOCKED) return true;
    }
    return !is_idle(pipeline);
}

static void on_tick(uv_timer_t *timer) {
    struct wp_pipeline *pipeline = timer->data;
    int64_t now_us = wp_clock_us();
    if (!pipeline->context.consumer) return;
    bool flush = pipeline->stopping || now_us >= pipeline->next_flush_us;
    if (flush) pipeline->next_flush_us = now_us + FLUSH_US;
    send_all(pipeline);
    serve_all(pipeline, now_us, flush);
    if (now_us >= pipeline->next_verify_us) {
        for (struct partition *p = pipeline->partitions; p; p = p->next) calls_verify(pipeline->calls, p);
        pipeline->next_verify_us = now_us + VERIFY_US;
    }
    update_health(pipeline);
    uv_timer_set_repeat(timer, is_busy(pipeline) ? TICK_MS : IDLE_TICK_MS);
    end_when_idle(pipeline);
}

/* ---- callbacks of the consumer ---- */

static struct wp_consumer_partition *on_assigned(void *ctx, enum wp_topic topic, int32_t number) {
    struct wp_pipeline *pipeline = ctx;
    struct partition *p = partition_new(&pipeline->context, topic, &pipeline->budget);
    (void)number;
    if (pipeline->stopping) wp_delivery_stop(p->delivery);
    p->next = pipeline->partitions;
    pipeline->partitions = p;
    return &p->base;
}

static void on_rebalanced(void *ctx) {
    struct wp_pipeline *pipeline = ctx;
    update_health(pipeline);
    if (pipeline->context.consumer) serve_all(pipeline, wp_clock_us(), false);
    uv_timer_start(&pipeline->tick, on_tick, TICK_MS, TICK_MS);
}

/* Events whose commit does not make it are handled again by the next owner, and Redis leaves them out. */
static void commit_revoked(struct wp_pipeline *pipeline, struct wp_consumer_partition *const *list,
                           size_t count) {
    struct work work;
    work.unknown_count = work.commit_count = 0;
    for (size_t i = 0; i < count; i++)
        if (wp_delivery_state(of(list[i])->delivery) == WP_DELIVERY_RUNNING)
            serve(pipeline, of(list[i]), wp_clock_us(), true, &work);
    do_work(pipeline, &work);
}

static void retire(struct wp_pipeline *pipeline, struct partition *p) {
    struct partition **at = &pipeline->partitions;
    while (*at != p) at = &(*at)->next;
    *at = p->next;
    partition_retire(p);
}

static void on_revoked(void *ctx, struct wp_consumer_partition *const *list, size_t count, bool lost) {
    struct wp_pipeline *pipeline = ctx;
    if (!lost) commit_revoked(pipeline, list, count);
    for (size_t i = 0; i < count; i++) retire(pipeline, of(list[i]));
    wp_log(WP_LOG_INFO, "partitions_revoked", "count=%zu lost=%d", count, lost);
    update_health(pipeline);
}

static void on_record(void *ctx, struct wp_consumer_partition *base, struct wp_record_in *record) {
    partition_take(of(base), record);
    serve_one(ctx, of(base)); /* pauses the partition when its window is full */
}

static void on_end_reached(void *ctx, struct wp_consumer_partition *base) {
    (void)ctx;
    of(base)->end = base->position;
    pass_end(of(base));
}

static void on_batch_end(void *ctx) {
    send_all(ctx);
}

static void on_out_of_range(void *ctx, struct wp_consumer_partition *base, const char *why) {
    struct partition *p = of(base);
    char reason[512];
    (void)ctx;
    const char *topic = wp_topics[base->topic].name;
    if (!wp_delivery_restart(p->delivery, wp_clock_us(), 0)) return;
    (void)snprintf(reason, sizeof reason,
                   "topic %s: %s: it was made anew, or records were deleted before they were read; run "
                   "`warmpool accept %s` to "
                   "begin again at its first record",
                   topic, why, topic);
    wp_log(WP_LOG_ERROR, "partition_blocked", "topic=%s partition=%d reason=%s", topic, base->number, reason);
    wp_delivery_block(p->delivery, wp_delivery_generation(p->delivery), reason, wp_clock_us());
}

static void on_offsets(void *ctx, struct wp_consumer_partition *base, const char *error) {
    struct wp_pipeline *pipeline = ctx;
    start_partition(&pipeline->starter, of(base), error);
}

const struct wp_consumer_handler wp_pipeline_consumer_handler = {.assigned = on_assigned,
                                                                 .rebalanced = on_rebalanced,
                                                                 .revoked = on_revoked,
                                                                 .record = on_record,
                                                                 .end_reached = on_end_reached,
                                                                 .batch_end = on_batch_end,
                                                                 .out_of_range = on_out_of_range,
                                                                 .offsets = on_offsets};

/* ---- callbacks of the producer and the links ---- */

void wp_pipeline_delivered(void *ctx, void *token, const struct wp_report *report) {
    (void)ctx;
    if (token) (void)item_delivered(token, report->ok);
}

static void on_too_large(void *ctx, void *token, const char *reason) {
    struct wp_pipeline *pipeline = ctx;
    records_replace(pipeline->records, token, reason);
}

static void on_dropped(void *ctx, void *token) {
    wp_pipeline_delivered(ctx, token, &(struct wp_report){.ok = false});
}

void wp_pipeline_link_state(struct wp_pipeline *pipeline, enum wp_slot slot, bool ready) {
    if (!ready) return;
    for (struct partition *p = pipeline->partitions; p; p = p->next)
        if (p->row->slot == slot) calls_verify(pipeline->calls, p);
    send_all(pipeline);
}

static void recover(void *ctx) {
    struct wp_pipeline *pipeline = ctx;
    if (!pipeline->stopping) recovery_start(pipeline->recovery);
}

void wp_pipeline_recover(struct wp_pipeline *pipeline) {
    recover(pipeline);
}

bool wp_pipeline_owns(const struct wp_pipeline *pipeline, enum wp_topic topic, int32_t partition) {
    for (const struct partition *p = pipeline->partitions; p; p = p->next)
        if (p->row->topic == topic && p->base.number == partition)
            return wp_delivery_state(p->delivery) == WP_DELIVERY_RUNNING;
    return false;
}

/* ---- life ---- */

void wp_pipeline_configure(struct wp_pipeline *pipeline) {
    static void (*const pack[WP_SLOTS])(struct wp_buf *, const struct wp_config *) = {
        [WP_SLOT_POOL] = wp_pack_pool_settings, [WP_SLOT_CACHE] = wp_pack_cache_settings};
    char name[WP_WORKER_NAME_BYTES];
    wp_worker_name(pipeline->context.config, name);
    pipeline->budget.limit = (size_t)pipeline->context.config->worker.window_bytes;
    for (int i = 0; i < WP_SLOTS; i++) {
        struct wp_buf settings = {0};
        pack[i](&settings, pipeline->context.config);
        wp_link_settings(pipeline->context.links[i], name, wp_clock_wall_ms(), wp_buf_str(&settings));
        wp_buf_done(&settings);
    }
}

enum wp_err wp_pipeline_new(struct wp_pipeline **ret_pipeline, uv_loop_t *loop,
                            const struct wp_config *config, struct wp_stats *stats, struct wp_wire *wire,
                            struct wp_link *const links[WP_SLOTS], struct wp_error *error) {
    (void)error;
    struct wp_pipeline *pipeline = wp_calloc(1, sizeof *pipeline);
    struct pipeline_context *context = &pipeline->context;
    *context = (struct pipeline_context){.loop = loop, .config = config, .stats = stats, .wire = wire};
    for (int i = 0; i < WP_SLOTS; i++) context->links[i] = links[i];
    const struct publisher_callbacks callbacks = {on_too_large, on_dropped, pipeline};
    pipeline->publisher = publisher_new(context, &callbacks);
    pipeline->records = records_new(context, pipeline->publisher);
    pipeline->calls = calls_new(context, pipeline->records, pipeline->publisher, &pipeline->partitions);
    pipeline->starter = (struct starter){context, recover, pipeline};
    pipeline->recovery = recovery_new(loop, config, links[WP_SLOT_POOL], wire);
    wp_pipeline_configure(pipeline);
    uv_timer_init(loop, &pipeline->tick);
    pipeline->tick.data = pipeline;
    uv_timer_start(&pipeline->tick, on_tick, TICK_MS, TICK_MS);
    update_health(pipeline);
    *ret_pipeline = pipeline;
    return WP_OK;
}

void wp_pipeline_trace(struct wp_pipeline *pipeline, struct wp_exporter *exporter) {
    pipeline->context.exporter = exporter;
}

void wp_pipeline_attach(struct wp_pipeline *pipeline, struct wp_consumer *consumer,
                        struct wp_producer *producer) {
    pipeline->context.consumer = consumer;
    pipeline->context.producer = producer;
}

void wp_pipeline_stop(struct wp_pipeline *pipeline, void (*idle)(void *ctx), void *ctx) {
    pipeline->stopping = true;
    pipeline->idle = idle;
    pipeline->idle_ctx = ctx;
    for (struct partition *p = pipeline->partitions; p; p = p->next) {
        wp_delivery_stop(p->delivery);
        if (pipeline->context.consumer) serve_one(pipeline, p);
    }
    uv_timer_start(&pipeline->tick, on_tick, 0, TICK_MS);
}

static void on_closed(uv_handle_t *handle) {
    free(handle->data);
}

void wp_pipeline_free(struct wp_pipeline *pipeline) {
    if (!pipeline) return;
    while (pipeline->partitions) retire(pipeline, pipeline->partitions);
    publisher_free(pipeline->publisher);
    calls_free(pipeline->calls);
    records_free(pipeline->records);
    recovery_free(pipeline->recovery);
    uv_close((uv_handle_t *)&pipeline->tick, on_closed);
}
