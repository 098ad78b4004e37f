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

static struct partition *find(const struct wp_pipeline *pipeline, struct wp_tp tp) {
    struct partition *p = pipeline->partitions;
    while (p && (p->tp.topic != tp.topic || p->tp.partition != tp.partition)) p = p->next;
    return p;
}

/* Looks together at all partitions that are due. */
static void look_at_due(struct wp_pipeline *pipeline, int64_t now) {
    struct wp_tp list[MAX_PARTITIONS];
    size_t count = 0;
    for (struct partition *p = pipeline->partitions; p && count < MAX_PARTITIONS; p = p->next) {
        bool waiting = p->state == PARTITION_LOOKING || p->state == PARTITION_BLOCKED;
        if (!waiting || p->look_at_us == 0 || p->look_at_us > now ||
            !wp_link_ready(pipeline->links[p->handler->slot]))
            continue;
        p->look_at_us = 0;
        list[count++] = p->tp;
    }
    if (count > 0) wp_consumer_look(pipeline->consumer, list, count);
}

static int64_t committable(const struct partition *p) {
    return p->floor < p->floor_acked ? p->floor : p->floor_acked;
}

static size_t gather_commits(struct wp_pipeline *pipeline, struct wp_tp *list, int64_t *offsets,
                             size_t most) {
    size_t count = 0;
    for (struct partition *p = pipeline->partitions; p && count < most; p = p->next) {
        if (p->state != PARTITION_RUNNING || committable(p) <= p->committed) continue;
        list[count] = p->tp;
        offsets[count++] = p->committed = committable(p);
    }
    return count;
}

static void commit_floors(struct wp_pipeline *pipeline) {
    struct wp_tp list[256];
    int64_t offsets[256];
    size_t count = gather_commits(pipeline, list, offsets, 256);
    if (count > 0) wp_consumer_commit(pipeline->consumer, list, offsets, count);
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

static void on_assigned(void *ctx, const struct wp_tp *list, size_t count) {
    struct wp_pipeline *pipeline = ctx;
    for (size_t i = 0; i < count; i++) {
        if (find(pipeline, list[i])) continue;
        struct partition *p = partition_new(pipeline, list[i]);
        p->next = pipeline->partitions;
        pipeline->partitions = p;
        partition_look(p);
    }
    wp_log(WP_LOG_INFO, "partitions_assigned", "count=%zu", count);
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

static void commit_revoked(struct wp_pipeline *pipeline, const struct wp_tp *list, size_t count) {
    struct wp_tp done[256];
    int64_t offsets[256];
    size_t commits = 0;
    for (size_t i = 0; i < count && commits < 256; i++) {
        struct partition *p = find(pipeline, list[i]);
        if (!p || p->state != PARTITION_RUNNING || committable(p) <= p->look.committed) continue;
        done[commits] = p->tp;
        offsets[commits++] = committable(p);
    }
    struct wp_error error = {0};
    if (commits > 0 && wp_consumer_commit_now(pipeline->consumer, done, offsets, commits, 2000, &error))
        wp_log(WP_LOG_INFO, "commit_skipped", "reason=%s",
               error.text); /* harmless: what follows is a replay */
}

static void on_revoked(void *ctx, const struct wp_tp *list, size_t count, bool lost) {
    struct wp_pipeline *pipeline = ctx;
    if (!lost) commit_revoked(pipeline, list, count);
    for (size_t i = 0; i < count; i++) {
        struct partition *p = find(pipeline, list[i]);
        if (p) give_up(pipeline, p);
    }
    wp_log(WP_LOG_INFO, "partitions_revoked", "count=%zu lost=%d", count, lost);
    update_health(pipeline);
}

static void on_message(void *ctx, struct wp_tp tp, rd_kafka_message_t *message) {
    struct partition *p = find(ctx, tp);
    if (p)
        partition_take(p, message);
    else
        rd_kafka_message_destroy(message);
}

static void on_batch_end(void *ctx) {
    send_all(ctx);
}

static void on_out_of_range(void *ctx, struct wp_tp tp, const char *why) {
    struct partition *p = find(ctx, tp);
    if (!p || p->state != PARTITION_RUNNING) return;
    partition_forget(p);
    const char *topic = wp_topics[tp.topic].name;
    partition_block(p,
                    "topic %s: %s: it was made anew, or records were deleted before they were read; run "
                    "`warmpool accept %s` to begin "
                    "again at its first record",
                    topic, why, topic);
}

static void on_looked(void *ctx, const struct wp_tp_look *list, size_t count, const char *error) {
    struct wp_pipeline *pipeline = ctx;
    if (error) wp_log(WP_LOG_WARN, "look_failed", "error=%s", error);
    for (size_t i = 0; i < count; i++) {
        struct partition *p = find(pipeline, list[i].tp);
        if (!p) continue;
        if (error)
            p->look_at_us = wp_clock_us() + COMMIT_US;
        else
            partition_looked(p, &list[i]);
    }
}

const struct wp_consumer_handler wp_pipeline_consumer_handler = {.assigned = on_assigned,
                                                                 .revoked = on_revoked,
                                                                 .message = on_message,
                                                                 .batch_end = on_batch_end,
                                                                 .out_of_range = on_out_of_range,
                                                                 .looked = on_looked};

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
    const struct partition *p = find(pipeline, (struct wp_tp){topic, partition});
    return p && p->state == PARTITION_RUNNING;
}

void wp_pipeline_configure(struct wp_pipeline *pipeline) {
    for (int i = 0; i < WP_SLOTS; i++) wp_buf_reset(&pipeline->settings[i]);
    wp_pack_pool_settings(&pipeline->settings[WP_SLOT_POOL], pipeline->config);
    wp_pack_cache_settings(&pipeline->settings[WP_SLOT_CACHE], pipeline->config);
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
        recovery_new(loop, config, links[WP_SLOT_POOL], wire, &pipeline->settings[WP_SLOT_POOL]);
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
        if (p->state == PARTITION_RUNNING) wp_consumer_pause(pipeline->consumer, p->tp);
}

static void on_closed(uv_handle_t *handle) {
    struct wp_pipeline *pipeline = handle->data;
    for (int i = 0; i < WP_SLOTS; i++) wp_buf_done(&pipeline->settings[i]);
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
