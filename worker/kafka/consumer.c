/* The Kafka consumer: when woken it takes batches from the partitions' queues and hands their records over.
 * Owns the client, the table of partitions and the handles; calls all consumer files of kafka/. Each
 * partition has a fetch queue of its own, and a paused partition's queue is not drained: so nothing
 * prefetched is lost or taken twice. The loop's thread. */
#include "kafka/consumer.h"
#include <stdlib.h>
#include "core/log.h"
#include "kafka/group.h"
#include "kafka/offset_query.h"
#include "kafka/wakeup.h"
#include "kafka/watch.h"

#define WATCH_MS 1000     /* health and lag */
#define TURN_BATCHES 4    /* batches taken in one turn of the loop before others have theirs */
#define CALLBACKS_TURN 64 /* errors and rebalances served in one turn */

struct wp_consumer {
    uv_loop_t *loop;
    const struct wp_consumer_handler *handler;
    void *ctx;
    struct wp_stats *stats;
    struct wp_client client;
    struct wp_partitions table;
    struct wp_group group;
    struct wp_offset_queries queries;
    struct wp_watch watch;
    rd_kafka_queue_t *queue;   /* rebalances, errors, commits: everything but messages */
    rd_kafka_queue_t *leaving; /* the same, while the consumer leaves the group; else NULL */
    rd_kafka_topic_t *topics[WP_TOPICS_IN];
    void (*closed)(void *ctx); /* when the group has been left */
    void *closed_ctx;

    struct wp_wakeup wakeup;
    uv_timer_t watch_timer;
    int open_parts; /* not closed yet, of: the wakeup, this timer, the group's timer, the client */

    size_t cursor;          /* the partition that goes first next time */
    struct wp_taken *taken; /* of one batch */
    size_t batch_size;
};

/* ---- taking and handing over ---- */

static void out_of_range(struct wp_consumer *consumer, struct wp_consumer_partition *p) {
    wp_partition_set_state(p, WP_PARTITION_BROKEN);
    p->stopped = true;
    consumer->handler->out_of_range(consumer->ctx, p,
                                    rd_kafka_err2str(RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE));
}

static void reach_end(struct wp_consumer *consumer, struct wp_consumer_partition *p, int64_t offset) {
    wp_watch_partition(&consumer->watch, p, RD_KAFKA_RESP_ERR_NO_ERROR);
    if (offset <= p->position) return;
    p->position = offset;
    consumer->handler->end_reached(consumer->ctx, p);
}

static void hand_over_error(struct wp_consumer *consumer, struct wp_consumer_partition *p,
                            const struct wp_taken *taken) {
    if (taken->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        reach_end(consumer, p, taken->offset);
    else if (taken->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET)
        out_of_range(consumer, p);
    else
        wp_watch_partition(&consumer->watch, p, taken->err);
}

/* Takes ownership of the list's records. At each of them the handler may pause the partition (then the rest
 * is held) or start it again (then the rest is stale and dropped). */
static void hand_over(struct wp_consumer *consumer, struct wp_consumer_partition *p,
                      const struct wp_taken *list, size_t count) {
    uint64_t starts = p->starts;
    for (size_t i = 0; i < count; i++) {
        const struct wp_taken *taken = &list[i];
        if (p->starts != starts || p->state != WP_PARTITION_RUNNING) {
            wp_record_in_free(taken->record);
        } else if (p->paused) {
            wp_partition_hold(p, taken, count - i);
            return;
        } else if (taken->record) {
            p->position = taken->offset + 1;
            p->trouble[0] = '\0';
            consumer->handler->record(consumer->ctx, p, taken->record);
        } else {
            hand_over_error(consumer, p, taken);
        }
    }
}

static size_t hand_over_held(struct wp_consumer *consumer, struct wp_consumer_partition *p) {
    struct wp_taken *list = p->held;
    size_t count = p->held_count;
    p->held = NULL;
    p->held_count = p->held_capacity = 0;
    hand_over(consumer, p, list, count);
    free(list);
    return count;
}

/* Copies the message, because librdkafka keeps its whole fetch response while one message of it is alive. */
static void copy(struct wp_taken *taken, rd_kafka_message_t *message) {
    *taken = (struct wp_taken){.err = message->err, .offset = message->offset};
    if (!message->err) taken->record = wp_record_in_new(message);
    rd_kafka_message_destroy(message);
}

/* One message a call: librdkafka's call for batches (2.1 to 2.8 at least) counts the log's end as a message
 * that was consumed, and after a cooperative rebalance it goes on one offset too far. */
static size_t take(struct wp_consumer *consumer, struct wp_consumer_partition *p) {
    if (p->held_count > 0) return hand_over_held(consumer, p);
    if (rd_kafka_queue_length(p->queue) == 0) return 0;
    size_t count = 0;
    while (count < consumer->batch_size) {
        rd_kafka_message_t *message = rd_kafka_consume_queue(p->queue, 0);
        if (!message) break;
        copy(&consumer->taken[count++], message);
    }
    hand_over(consumer, p, consumer->taken, count);
    return count;
}

/* Rebalances, errors and commits' answers are callbacks of this queue. Messages are never in it: a
 * partition's queue is taken out of it before the partition is assigned. */
static void serve_callbacks(struct wp_consumer *consumer) {
    for (int i = 0; i < CALLBACKS_TURN; i++) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer->client.rk, 0);
        if (!message) return;
        wp_assert(message->err);
        wp_watch_error(&consumer->watch, message->err, rd_kafka_message_errstr(message));
        rd_kafka_message_destroy(message);
    }
    /* More may wait. A fenced client gives an error at every poll, so its rest waits for the timer. */
    if (!consumer->watch.fenced) wp_wakeup_again(&consumer->wakeup);
}

static bool takes(const struct wp_consumer_partition *p) {
    return p->state == WP_PARTITION_RUNNING && !p->paused;
}

/* Takes a batch of each partition in turn; records beyond the budget wait for the loop's next turn. */
static void take_all(struct wp_consumer *consumer) {
    size_t budget = TURN_BATCHES * consumer->batch_size, total = 0;
    bool more = false;
    size_t count = consumer->table.count, first = count ? consumer->cursor++ % count : 0;
    for (size_t i = 0; i < count; i++) {
        struct wp_consumer_partition *p = consumer->table.list[(first + i) % count];
        if (!takes(p)) continue;
        if (total >= budget) {
            more = true;
            break;
        }
        total += take(consumer, p);
        more = more || (takes(p) && (p->held_count > 0 || rd_kafka_queue_length(p->queue) > 0));
    }
    if (total > 0) consumer->handler->batch_end(consumer->ctx);
    if (more) wp_wakeup_again(&consumer->wakeup);
}

/* ---- leaving ---- */

static void drop_queue(rd_kafka_queue_t **queue) {
    if (!*queue) return;
    wp_wakeup_unwatch(*queue);
    rd_kafka_queue_destroy(*queue);
    *queue = NULL;
}

static void left(struct wp_consumer *consumer) {
    drop_queue(&consumer->leaving);
    consumer->closed(consumer->closed_ctx);
}

/* Leaving the group revokes its partitions: that callback and those of the last commits come by this queue.
 */
static void serve_leaving(struct wp_consumer *consumer) {
    (void)rd_kafka_queue_poll_callback(consumer->leaving, 0);
    if (rd_kafka_consumer_closed(consumer->client.rk)) left(consumer);
}

void wp_consumer_stop(struct wp_consumer *consumer) {
    consumer->group.closing = true;
}

void wp_consumer_close(struct wp_consumer *consumer, void (*closed)(void *ctx), void *ctx) {
    consumer->closed = closed;
    consumer->closed_ctx = ctx;
    consumer->group.closing = true;
    consumer->leaving = rd_kafka_queue_new(consumer->client.rk);
    wp_wakeup_watch(&consumer->wakeup, consumer->leaving);
    rd_kafka_error_t *failure = rd_kafka_consumer_close_queue(consumer->client.rk, consumer->leaving);
    if (failure) {
        wp_log(WP_LOG_WARN, "kafka_close_failed", "error=%s", rd_kafka_error_string(failure));
        rd_kafka_error_destroy(failure);
        left(consumer);
        return;
    }
    wp_wakeup_again(&consumer->wakeup);
}

/* ---- the loop ---- */

static void on_woken(void *ctx) {
    struct wp_consumer *consumer = ctx;
    if (consumer->leaving) {
        serve_leaving(consumer);
        return;
    }
    if (consumer->closed) return; /* the group has been left */
    serve_callbacks(consumer);
    if (!consumer->group.closing) take_all(consumer);
}

/* librdkafka reports a fetch error once. That it is over shows by a record, the log's end, or a commit that
 * succeeds: so the partition's last commit is repeated. */
static void probe_troubled(struct wp_consumer *consumer) {
    for (size_t i = 0; i < consumer->table.count; i++) {
        struct wp_consumer_partition *p = consumer->table.list[i];
        if (!*p->trouble || p->state != WP_PARTITION_RUNNING || p->committing || p->committed < 0) continue;
        struct wp_commit commit = {p, p->committed};
        wp_consumer_commit(consumer, &commit, 1);
    }
}

static void on_watch(uv_timer_t *timer) {
    struct wp_consumer *consumer = timer->data;
    wp_watch_tick(&consumer->watch);
    probe_troubled(consumer);
}

/* ---- callbacks of the group, the queries and librdkafka ---- */

static void count_partitions(struct wp_consumer *consumer) {
    consumer->stats->partitions = (int)consumer->table.count;
}

static struct wp_consumer_partition *on_assigned(void *ctx, enum wp_topic topic, int32_t number) {
    struct wp_consumer *consumer = ctx;
    return consumer->handler->assigned(consumer->ctx, topic, number);
}

static void on_revoked(void *ctx, struct wp_consumer_partition *const *list, size_t count, bool lost) {
    struct wp_consumer *consumer = ctx;
    consumer->handler->revoked(consumer->ctx, list, count, lost);
    count_partitions(consumer);
    wp_watch_left(&consumer->watch);
}

static void on_rebalanced(void *ctx, bool joined) {
    struct wp_consumer *consumer = ctx;
    count_partitions(consumer);
    if (joined) wp_watch_joined(&consumer->watch);
    consumer->handler->rebalanced(consumer->ctx);
}

static void on_started(void *ctx) {
    struct wp_consumer *consumer = ctx;
    wp_wakeup_again(&consumer->wakeup);
}

static const struct wp_group_user group_user = {
    .assigned = on_assigned, .revoked = on_revoked, .rebalanced = on_rebalanced, .started = on_started};

static void on_offsets(void *ctx, struct wp_consumer_partition *p, const char *error) {
    struct wp_consumer *consumer = ctx;
    consumer->handler->offsets(consumer->ctx, p, error);
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *list,
                         void *opaque) {
    (void)rk;
    struct wp_consumer *consumer = opaque;
    wp_group_rebalance(&consumer->group, err, list);
}

static void on_committed(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *list,
                         void *opaque) {
    (void)rk;
    struct wp_consumer *consumer = opaque;
    wp_group_committed(&consumer->group, err, list);
}

static void on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque) {
    (void)rk;
    struct wp_consumer *consumer = opaque;
    wp_watch_error(&consumer->watch, (rd_kafka_resp_err_t)err, reason);
}

/* ---- the user's calls ---- */

const char *wp_consumer_cluster_id(const struct wp_consumer *consumer) {
    return consumer->queries.cluster_id;
}

bool wp_consumer_can_be_replaced(const struct wp_consumer *consumer) {
    return consumer->watch.id_free;
}

void wp_consumer_query_offsets(struct wp_consumer *consumer, struct wp_consumer_partition *const *list,
                               size_t count) {
    wp_offset_query(&consumer->queries, list, count);
}

void wp_consumer_start(struct wp_consumer *consumer, struct wp_consumer_partition *p, int64_t offset) {
    wp_group_start(&consumer->group, p, offset);
}

void wp_consumer_pause(struct wp_consumer *consumer, struct wp_consumer_partition *p) {
    (void)consumer;
    p->paused = true;
}

void wp_consumer_resume(struct wp_consumer *consumer, struct wp_consumer_partition *p) {
    if (!p->paused) return;
    p->paused = false;
    wp_wakeup_again(&consumer->wakeup);
}

void wp_consumer_commit(struct wp_consumer *consumer, const struct wp_commit *list, size_t count) {
    if (count == 0) return;
    rd_kafka_topic_partition_list_t *commits = rd_kafka_topic_partition_list_new((int)count);
    for (size_t i = 0; i < count; i++) {
        struct wp_consumer_partition *p = list[i].partition;
        wp_partitions_list_add(&consumer->table, commits, p, list[i].offset)->opaque =
            (void *)(uintptr_t)p->assignment;
        p->committing = true;
    }
    wp_group_commit(&consumer->group, commits);
}

/* ---- life ---- */

static void release(struct wp_consumer *consumer) {
    if (--consumer->open_parts > 0) return;
    free(consumer->taken);
    wp_partitions_done(&consumer->table);
    free(consumer);
}

static void on_timer_closed(uv_handle_t *handle) {
    release(handle->data);
}

static void on_group_timer_closed(uv_handle_t *handle) {
    struct wp_group *group = handle->data;
    release(group->ctx);
}

static void on_part_closed(void *ctx) { /* the wakeup, the client */
    release(ctx);
}

static rd_kafka_t *new_client(struct wp_consumer *consumer, const struct wp_config *config,
                              struct wp_error *error) {
    const struct wp_client_options options = {
        .opaque = consumer, .on_error = on_error, .on_rebalance = on_rebalance, .on_commit = on_committed};
    return wp_client_make(config, WP_CLIENT_MEMBER, &options, error);
}

static void open_queue(struct wp_consumer *consumer) {
    rd_kafka_poll_set_consumer(consumer->client.rk);
    consumer->queue = rd_kafka_queue_get_consumer(consumer->client.rk);
    wp_wakeup_watch(&consumer->wakeup, consumer->queue);
}

static struct wp_consumer *allocate(uv_loop_t *loop, const struct wp_config *config, struct wp_stats *stats,
                                    const struct wp_consumer_handler *handler, void *ctx) {
    struct wp_consumer *consumer = wp_calloc(1, sizeof(*consumer));
    consumer->loop = loop;
    consumer->stats = stats;
    consumer->handler = handler;
    consumer->ctx = ctx;
    consumer->batch_size = (size_t)config->worker.batch;
    consumer->taken = wp_calloc(consumer->batch_size, sizeof *consumer->taken);
    return consumer;
}

static enum wp_err fail_new(struct wp_consumer *consumer, enum wp_err err) {
    free(consumer->taken);
    free(consumer);
    return err;
}

enum wp_err wp_consumer_new(struct wp_consumer **ret_consumer, uv_loop_t *loop,
                            const struct wp_config *config, struct wp_stats *stats,
                            const struct wp_consumer_handler *handler, void *ctx, struct wp_error *error) {
    struct wp_consumer *consumer = allocate(loop, config, stats, handler, ctx);
    enum wp_err err = wp_wakeup_open(&consumer->wakeup, error);
    if (err) return fail_new(consumer, err);
    rd_kafka_t *rk = new_client(consumer, config, error);
    if (!rk) {
        wp_wakeup_close(&consumer->wakeup, NULL, NULL);
        return fail_new(consumer, WP_ERR_CONFIG);
    }
    wp_client_init(&consumer->client, loop, rk);
    wp_partitions_init(&consumer->table, config);
    consumer->table.rk = rk;
    open_queue(consumer);
    uv_timer_init(loop, &consumer->watch_timer);
    consumer->watch_timer.data = consumer;
    consumer->open_parts = 4;
    wp_group_init(&consumer->group, config, &consumer->client, &consumer->table, &group_user, consumer,
                  &consumer->wakeup);
    consumer->queries = (struct wp_offset_queries){.client = &consumer->client,
                                                   .table = &consumer->table,
                                                   .config = config,
                                                   .answer = on_offsets,
                                                   .ctx = consumer};
    wp_watch_init(&consumer->watch, &consumer->client, &consumer->table, stats, config);
    *ret_consumer = consumer;
    return WP_OK;
}

/* Opens the topics before any partition is assigned, because librdkafka pauses only partitions of topics that
 * it knows. */
enum wp_err wp_consumer_subscribe(struct wp_consumer *consumer, struct wp_error *error) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(WP_TOPICS_IN);
    for (int i = 0; i < WP_TOPICS_IN; i++) {
        if (!consumer->topics[i])
            consumer->topics[i] = rd_kafka_topic_new(consumer->client.rk, consumer->table.names[i], NULL);
        rd_kafka_topic_partition_list_add(list, consumer->table.names[i], RD_KAFKA_PARTITION_UA);
    }
    rd_kafka_resp_err_t err = rd_kafka_subscribe(consumer->client.rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (err)
        return wp_fail(error, WP_ERR_KAFKA, "Kafka does not let us subscribe: %s", rd_kafka_err2str(err));
    wp_wakeup_start(&consumer->wakeup, consumer->loop, on_woken, consumer);
    uv_timer_start(&consumer->watch_timer, on_watch, 0, WATCH_MS);
    wp_wakeup_again(&consumer->wakeup);
    return WP_OK;
}

static void drop_client(struct wp_consumer *consumer) {
    drop_queue(&consumer->leaving);
    for (int i = 0; i < WP_TOPICS_IN; i++)
        if (consumer->topics[i]) rd_kafka_topic_destroy(consumer->topics[i]);
    drop_queue(&consumer->queue);
    wp_offset_queries_done(&consumer->queries);
    wp_client_close(&consumer->client, on_part_closed, consumer);
}

void wp_consumer_free(struct wp_consumer *consumer) {
    if (!consumer) return;
    wp_group_abandon(&consumer->group);
    uv_close((uv_handle_t *)&consumer->watch_timer, on_timer_closed);
    uv_close((uv_handle_t *)&consumer->group.retry, on_group_timer_closed);
    drop_client(consumer);
    wp_wakeup_close(&consumer->wakeup, on_part_closed, consumer);
}
