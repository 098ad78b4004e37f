/* Owns the set of partitions and the pipeline's clock: what happens now and then. The loop's thread. */
#include "pipeline/pipeline.h"
#include "cache/cache_calls.h"
#include "core/clock.h"
#include "core/log.h"
#include "pipeline/call.h"
#include "pipeline/internal.h"
#include "pool/pool_calls.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    TICK_MS = 20,
    COMMIT_US = 500000,
    TELL_US = 50000 /* floors are told before a commit: it needs them */,
    VERIFY_US = 3000000,
    MAX_PARTITIONS = 4096
};

static struct partition *of(struct wp_consumer_partition *base) {
    return (struct partition *)base;
}

/* Looks together at all partitions that are due. */
static void look_at_due(struct wp_pipeline *pipeline, int64_t now) {
    struct wp_consumer_partition *list[MAX_PARTITIONS];
    size_t count = 0;
    for (struct partition *p = pipeline->partitions; p && count < MAX_PARTITIONS; p = p->next) {
        bool waiting = p->state == PARTITION_LOOKING || p->state == PARTITION_BLOCKED;
        if (!waiting || p->look_at_us == 0 || p->look_at_us > now ||
            !wp_link_ready(pipeline->links[p->handler->slot]))
            continue;
        p->look_at_us = 0;
        list[count++] = &p->base;
    }
    if (count > 0) wp_consumer_query_offsets(pipeline->consumer, list, count);
}

static int64_t committable(const struct partition *p) {
    return p->floor < p->floor_acked ? p->floor : p->floor_acked;
}

/* Every running partition gets a commit, also one without a record: tools that scale by lag need it. */
static size_t gather_commits(struct wp_pipeline *pipeline, struct wp_commit *list, size_t most) {
    size_t count = 0;
    for (struct partition *p = pipeline->partitions; p && count < most; p = p->next) {
        if (p->state != PARTITION_RUNNING || p->base.committing || committable(p) <= p->base.committed)
            continue;
        list[count++] = (struct wp_commit){&p->base, committable(p)};
    }
    return count;
}

static void commit_floors(struct wp_pipeline *pipeline) {
    struct wp_commit list[256];
    size_t count = gather_commits(pipeline, list, 256);
    if (count > 0) wp_consumer_commit(pipeline->consumer, list, count);
}

static void update_health(struct wp_pipeline *pipeline) {
    struct wp_health *health = &pipeline->stats->state;
    int partitions = 0;
    health->ready = true;
    health->reason[0] = '\0';
    for (struct partition *p = pipeline->partitions; p; p = p->next) {
        partitions++;
        if (p->state != PARTITION_BLOCKED || !health->ready) continue;
        health->ready = false;
        snprintf(health->reason, sizeof health->reason, "%s", p->reason);
    }
    pipeline->stats->partitions = partitions;
}

static bool is_idle(const struct wp_pipeline *pipeline) {
    for (const struct partition *p = pipeline->partitions; p; p = p->next)
        if (p->state == PARTITION_RUNNING && (p->count > 0 || p->floor > p->floor_acked || p->calls > 0))
            return false;
    return publisher_waiting(pipeline->publisher) == 0;
}

static void send_all(struct wp_pipeline *pipeline) {
    for (int topic = 0; topic < WP_TOPICS_IN; topic++) topic_send(pipeline, (enum wp_topic)topic);
}

static void on_tick(uv_timer_t *timer) {
    struct wp_pipeline *pipeline = timer->data;
    int64_t now = wp_clock_us();
    if (!pipeline->consumer) return;
    look_at_due(pipeline, now);
    send_all(pipeline);
    if (pipeline->stopping || now >= pipeline->next_commit_us - TELL_US)
        for (int topic = 0; topic < WP_TOPICS_IN; topic++) topic_tell_floors(pipeline, (enum wp_topic)topic);
    if (now >= pipeline->next_verify_us) {
        for (struct partition *p = pipeline->partitions; p; p = p->next) partition_verify(p);
        pipeline->next_verify_us = now + VERIFY_US;
    }
    if (now >= pipeline->next_commit_us || pipeline->stopping) {
        pipeline->next_commit_us = now + COMMIT_US;
        commit_floors(pipeline);
    }
    update_health(pipeline);
    if (pipeline->stopping && pipeline->idle && is_idle(pipeline)) {
        void (*idle)(void *) = pipeline->idle;
        pipeline->idle = NULL;
        idle(pipeline->idle_ctx);
    }
}

static struct wp_consumer_partition *on_assigned(void *ctx, enum wp_topic topic, int32_t number) {
    struct wp_pipeline *pipeline = ctx;
    struct partition *p = partition_new(pipeline, topic);
    (void)number;
    p->next = pipeline->partitions;
    pipeline->partitions = p;
    partition_look(p);
    return &p->base;
}

static void on_rebalanced(void *ctx) {
    struct wp_pipeline *pipeline = ctx;
    update_health(pipeline);
    if (pipeline->consumer) look_at_due(pipeline, wp_clock_us());
}

static void give_up(struct wp_pipeline *pipeline, struct partition *p) {
    struct partition **at = &pipeline->partitions;
    while (*at != p) at = &(*at)->next;
    *at = p->next;
    partition_forget(p);
    p->state = PARTITION_GONE;
    partition_release(p);
}

/* What is not committed in time is done again by the next owner, which is harmless. */
static void commit_revoked(struct wp_pipeline *pipeline, struct wp_consumer_partition *const *list,
                           size_t count) {
    struct wp_commit commits[256];
    size_t n = 0;
    for (size_t i = 0; i < count && n < 256; i++) {
        struct partition *p = of(list[i]);
        if (p->state == PARTITION_RUNNING && committable(p) > p->base.committed)
            commits[n++] = (struct wp_commit){&p->base, committable(p)};
    }
    if (n > 0) wp_consumer_commit(pipeline->consumer, commits, n);
}

static void on_revoked(void *ctx, struct wp_consumer_partition *const *list, size_t count, bool lost) {
    struct wp_pipeline *pipeline = ctx;
    if (!lost) commit_revoked(pipeline, list, count);
    for (size_t i = 0; i < count; i++) give_up(pipeline, of(list[i]));
    wp_log(WP_LOG_INFO, "partitions_revoked", "count=%zu lost=%d", count, lost);
    update_health(pipeline);
}

static void on_record(void *ctx, struct wp_consumer_partition *base, struct wp_record_in *record) {
    (void)ctx;
    partition_take(of(base), record);
}

static void on_end_reached(void *ctx, struct wp_consumer_partition *base) {
    (void)ctx;
    partition_end_reached(of(base));
}

static void on_batch_end(void *ctx) {
    send_all(ctx);
}

static void on_out_of_range(void *ctx, struct wp_consumer_partition *base, const char *why) {
    struct partition *p = of(base);
    (void)ctx;
    if (p->state != PARTITION_RUNNING) return;
    partition_forget(p);
    const char *topic = wp_topics[base->topic].name;
    partition_block(p,
                    "topic %s: %s: it was made anew, or records were deleted before they were read; run "
                    "`warmpool accept %s` to begin "
                    "again at its first record",
                    topic, why, topic);
}

static void on_offsets(void *ctx, struct wp_consumer_partition *base, const char *error) {
    struct partition *p = of(base);
    (void)ctx;
    if (!error) {
        partition_looked(p);
        return;
    }
    wp_log(WP_LOG_WARN, "offsets_unknown", "topic=%s partition=%d error=%s", wp_topics[base->topic].name,
           base->number, error);
    p->look_at_us = wp_clock_us() + COMMIT_US;
}

const struct wp_consumer_handler wp_pipeline_consumer_handler = {.assigned = on_assigned,
                                                                 .rebalanced = on_rebalanced,
                                                                 .revoked = on_revoked,
                                                                 .record = on_record,
                                                                 .end_reached = on_end_reached,
                                                                 .batch_end = on_batch_end,
                                                                 .out_of_range = on_out_of_range,
                                                                 .offsets = on_offsets};

void wp_pipeline_delivered(void *ctx, void *token, bool ok) {
    struct wp_pipeline *pipeline = ctx;
    struct event *event = token;
    if (!event) return;
    if (!ok && event->partition) {
        struct partition *p = event->partition;
        event->outstanding--;
        partition_restart(
            p, "a record could not be delivered to Kafka"); /* frees an event without outstanding records */
        p->look_at_us += COMMIT_US;                         /* what failed will hardly do better at once */
        return;
    }
    if (--event->outstanding > 0) return;
    if (event->partition) {
        if (event->state == EVENT_ANSWERED) partition_event_done(event);
    } else {
        pipeline->forgotten--;
        partition_event_done(event);
    }
}

void wp_pipeline_link_state(struct wp_pipeline *pipeline, enum wp_slot slot, bool ready) {
    if (!ready) return;
    for (struct partition *p = pipeline->partitions; p; p = p->next)
        if (p->handler->slot == slot) partition_verify(p);
    send_all(pipeline);
}

void wp_pipeline_recover(struct wp_pipeline *pipeline) {
    if (!pipeline->stopping) recovery_start(pipeline->recovery);
}

bool wp_pipeline_owns(const struct wp_pipeline *pipeline, enum wp_topic topic, int32_t partition) {
    const struct partition *p = pipeline->partitions;
    while (p && (p->base.topic != topic || p->base.number != partition)) p = p->next;
    return p && p->state == PARTITION_RUNNING;
}

void wp_pipeline_configure(struct wp_pipeline *pipeline) {
    static void (*const pack[WP_SLOTS])(struct wp_buf *, const struct wp_config *) = {
        [WP_SLOT_POOL] = wp_pack_pool_settings, [WP_SLOT_CACHE] = wp_pack_cache_settings};
    for (int i = 0; i < WP_SLOTS; i++) {
        struct wp_buf settings = {0};
        pack[i](&settings, pipeline->config);
        wp_link_settings(pipeline->links[i], pipeline->config->worker.id, wp_clock_wall_ms(), wp_buf_str(&settings));
        wp_buf_done(&settings);
    }
}

enum wp_err wp_pipeline_new(struct wp_pipeline **ret_engine, uv_loop_t *loop, const struct wp_config *config,
                            struct wp_stats *stats, struct wp_wire *wire,
                            struct wp_link *const links[WP_SLOTS], struct wp_error *error) {
    (void)error;
    struct wp_pipeline *pipeline = wp_calloc(1, sizeof *pipeline);
    pipeline->loop = loop;
    pipeline->config = config;
    pipeline->stats = stats;
    pipeline->wire = wire;
    for (int i = 0; i < WP_SLOTS; i++) pipeline->links[i] = links[i];
    wp_pipeline_configure(pipeline);
    pipeline->publisher = publisher_new(pipeline);
    pipeline->recovery =
        recovery_new(loop, config, links[WP_SLOT_POOL], wire);
    uv_timer_init(loop, &pipeline->tick);
    pipeline->tick.data = pipeline;
    uv_timer_start(&pipeline->tick, on_tick, TICK_MS, TICK_MS);
    update_health(pipeline);
    *ret_engine = pipeline;
    return WP_OK;
}

void wp_pipeline_attach(struct wp_pipeline *pipeline, struct wp_consumer *consumer,
                        struct wp_producer *producer) {
    pipeline->consumer = consumer;
    pipeline->producer = producer;
}

void wp_pipeline_stop(struct wp_pipeline *pipeline, void (*idle)(void *ctx), void *ctx) {
    pipeline->stopping = true;
    pipeline->idle = idle;
    pipeline->idle_ctx = ctx;
    for (struct partition *p = pipeline->partitions; p; p = p->next)
        if (p->state == PARTITION_RUNNING) wp_consumer_pause(pipeline->consumer, &p->base);
}

static void on_closed(uv_handle_t *handle) {
    struct wp_pipeline *pipeline = handle->data;
    wp_buf_done(&pipeline->body);
    wp_arena_done(&pipeline->arena);
    free(pipeline);
}

void wp_pipeline_free(struct wp_pipeline *pipeline) {
    if (!pipeline) return;
    pipeline->freed = true;
    while (pipeline->partitions) give_up(pipeline, pipeline->partitions);
    publisher_free(pipeline->publisher);
    recovery_free(pipeline->recovery);
    uv_close((uv_handle_t *)&pipeline->tick, on_closed);
}
