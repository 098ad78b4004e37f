/* The Kafka consumer, the loop's side: wakes up, takes batches from the partitions' own queues, hands them
 * over. It owns the client, the partitions and what is held back. Every partition keeps its fetch queue to
 * itself, so a pause is a queue that is not drained: nothing prefetched is thrown away, and nothing is taken
 * twice. The loop's thread. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "kafka/admin.h"
#include "kafka/consumer_private.h"
#include "core/log.h"

#define TICK_MS 100       /* also keeps an idle consumer inside max.poll.interval.ms */
#define WATCH_MS 1000     /* health and lag */
#define TURN_BATCHES 4    /* batches taken in one turn of the loop before others have theirs */
#define CALLBACKS_TURN 64 /* errors and rebalances served in one turn */

void wp_consumer_wake(struct wp_consumer *consumer) {
    uint64_t one = 1;
    ssize_t written = write(consumer->wake_fd, &one, sizeof(one));
    wp_assert(written == sizeof(one) || errno == EAGAIN); /* full: it is readable already */
}

void wp_consumer_set_state(struct wp_part *part, enum wp_part_state state) {
    part->state = state;
}

/* ---- partitions ---- */

struct wp_part *wp_consumer_part(const struct wp_consumer *consumer, struct wp_tp tp) {
    for (size_t i = 0; i < consumer->part_count; i++) {
        struct wp_part *part = consumer->parts[i];
        if (part->tp.partition == tp.partition && part->tp.topic == tp.topic) return part;
    }
    return NULL;
}

struct wp_part *wp_consumer_part_add(struct wp_consumer *consumer, struct wp_tp tp) {
    struct wp_part *part = wp_calloc(1, sizeof(*part));
    part->tp = tp;
    part->assignment = ++consumer->assignments;
    part->start = part->next = part->low = part->high = -1;
    part->queue = rd_kafka_queue_get_partition(consumer->rk, consumer->names[tp.topic], tp.partition);
    wp_assert(part->queue);
    rd_kafka_queue_forward(part->queue, NULL);
    uint64_t one = 1;
    rd_kafka_queue_io_event_enable(part->queue, consumer->wake_fd, &one, sizeof(one));
    if (consumer->part_count == consumer->part_cap) {
        consumer->part_cap = consumer->part_cap ? 2 * consumer->part_cap : 16;
        consumer->parts = wp_realloc(consumer->parts, consumer->part_cap * sizeof(struct wp_part *));
    }
    consumer->parts[consumer->part_count++] = part;
    consumer->stats->partitions = (int)consumer->part_count;
    return part;
}

void wp_consumer_drop_held(struct wp_part *part) {
    for (size_t i = 0; i < part->held_count; i++) rd_kafka_message_destroy(part->held[i]);
    part->held_count = 0;
}

static void part_free(struct wp_part *part) {
    wp_consumer_drop_held(part);
    free(part->held);
    rd_kafka_queue_io_event_enable(part->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(part->queue);
    free(part);
}

void wp_consumer_part_remove(struct wp_consumer *consumer, struct wp_tp tp) {
    for (size_t i = 0; i < consumer->part_count; i++) {
        struct wp_part *part = consumer->parts[i];
        if (part->tp.partition != tp.partition || part->tp.topic != tp.topic) continue;
        consumer->parts[i] = consumer->parts[--consumer->part_count];
        part_free(part);
        break;
    }
    consumer->stats->partitions = (int)consumer->part_count;
}

enum wp_topic wp_consumer_topic(const struct wp_consumer *consumer, const char *name) {
    for (int i = 0; i < WP_TOPICS_IN; i++) {
        if (strcmp(consumer->names[i], name) == 0) return (enum wp_topic)i;
    }
    return WP_TOPICS;
}

/* ---- taking and handing over ---- */

static void hold(struct wp_part *part, rd_kafka_message_t **list, size_t count) {
    if (part->held_count + count > part->held_cap) {
        part->held_cap = part->held_count + count;
        part->held = wp_realloc(part->held, part->held_cap * sizeof(rd_kafka_message_t *));
    }
    memcpy(part->held + part->held_count, list, count * sizeof(rd_kafka_message_t *));
    part->held_count += count;
}

static void partition_error(struct wp_consumer *consumer, struct wp_part *part,
                            const rd_kafka_message_t *message) {
    const char *why = rd_kafka_message_errstr(message);
    if (message->err != RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) {
        wp_consumer_not_ready(consumer, why);
        return;
    }
    wp_consumer_set_state(part, WP_PART_BROKEN);
    part->stopped = true;
    consumer->handler->out_of_range(consumer->ctx, part->tp, why);
}

/* Owns the messages of the list. The handler may pause the partition (the rest is held) or start it again
 * (the rest is stale) at any of them. */
static void hand_over(struct wp_consumer *consumer, struct wp_part *part, rd_kafka_message_t **list,
                      size_t count) {
    uint64_t starts = part->starts;
    for (size_t i = 0; i < count; i++) {
        rd_kafka_message_t *message = list[i];
        if (part->starts != starts || part->state != WP_PART_RUNNING) {
            rd_kafka_message_destroy(message);
        } else if (part->paused) {
            hold(part, list + i, count - i);
            return;
        } else if (message->err) {
            partition_error(consumer, part, message);
            rd_kafka_message_destroy(message);
        } else {
            consumer->handler->message(consumer->ctx, part->tp, message);
        }
    }
}

static size_t hand_over_held(struct wp_consumer *consumer, struct wp_part *part) {
    rd_kafka_message_t **list = part->held;
    size_t count = part->held_count;
    part->held = NULL;
    part->held_count = part->held_cap = 0;
    hand_over(consumer, part, list, count);
    free(list);
    return count;
}

static size_t take(struct wp_consumer *consumer, struct wp_part *part, size_t most) {
    if (part->held_count > 0) return hand_over_held(consumer, part);
    if (rd_kafka_queue_length(part->queue) == 0) return 0;
    /* Timeout 0: with any other it waits until the batch is full. */
    ssize_t count = rd_kafka_consume_batch_queue(part->queue, 0, consumer->batch, most);
    if (count <= 0) return 0;
    for (ssize_t i = count - 1; i >= 0; i--) {
        if (consumer->batch[i]->err) continue;
        part->next = consumer->batch[i]->offset + 1;
        break;
    }
    hand_over(consumer, part, consumer->batch, (size_t)count);
    return (size_t)count;
}

/* Rebalances, errors and commits' answers are callbacks of this queue. Messages are never in it: a
 * partition's queue is taken out of it before the partition is assigned. */
static void serve_callbacks(struct wp_consumer *consumer) {
    for (int i = 0; i < CALLBACKS_TURN; i++) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer->rk, 0);
        if (!message) return;
        wp_assert(message->err);
        wp_consumer_not_ready(consumer, rd_kafka_message_errstr(message));
        rd_kafka_message_destroy(message);
    }
    wp_consumer_wake(consumer);
}

static bool takes(const struct wp_part *part) {
    return part->state == WP_PART_RUNNING && !part->paused;
}

/* Every partition has its batch in turn; what is left waits for the loop's next turn. */
static void take_all(struct wp_consumer *consumer) {
    size_t budget = TURN_BATCHES * consumer->batch_size, total = 0;
    bool more = false;
    size_t count = consumer->part_count, first = count ? consumer->cursor++ % count : 0;
    for (size_t i = 0; i < count; i++) {
        struct wp_part *part = consumer->parts[(first + i) % count];
        if (!takes(part)) continue;
        if (total >= budget) {
            more = true;
            break;
        }
        total += take(consumer, part, consumer->batch_size);
        more = more || (takes(part) && (part->held_count > 0 || rd_kafka_queue_length(part->queue) > 0));
    }
    if (total > 0) consumer->handler->batch_end(consumer->ctx);
    if (more) wp_consumer_wake(consumer);
}

static void turn(struct wp_consumer *consumer) {
    uint64_t count;
    ssize_t got = read(consumer->wake_fd, &count, sizeof(count));
    wp_assert(got == sizeof(count) || errno == EAGAIN);
    serve_callbacks(consumer);
    take_all(consumer);
}

static void on_poll(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    turn(poll->data);
}

static void on_tick(uv_timer_t *timer) {
    turn(timer->data);
}

/* ---- life ---- */

static void release(struct wp_consumer *consumer) {
    if (consumer->open_handles > 0 || consumer->works > 0) return;
    close(consumer->wake_fd);
    free(consumer->batch);
    free(consumer->parts);
    for (int i = 0; i < WP_TOPICS_IN; i++) free(consumer->names[i]);
    free(consumer->brokers);
    rd_kafka_mem_free(NULL, consumer->cluster_id);
    free(consumer);
}

static void on_closed(uv_handle_t *handle) {
    struct wp_consumer *consumer = handle->data;
    consumer->open_handles--;
    release(consumer);
}

static void destroy_client(struct wp_consumer *consumer) {
    for (int i = 0; i < WP_TOPICS_IN; i++) {
        if (consumer->topics[i]) rd_kafka_topic_destroy(consumer->topics[i]);
    }
    rd_kafka_queue_io_event_enable(consumer->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(consumer->queue);
    rd_kafka_destroy(consumer->rk);
}

void wp_consumer_work_done(struct wp_consumer *consumer) {
    consumer->works--;
    if (!consumer->closing || consumer->works > 0) return;
    destroy_client(consumer);
    release(consumer);
}

static enum wp_err connect_client(struct wp_consumer *consumer, const struct wp_config *config,
                                  struct wp_error *error) {
    rd_kafka_conf_t *conf = wp_kafka_conf(config, true, error);
    if (!conf) return WP_ERR_CONFIG;
    rd_kafka_conf_set_opaque(conf, consumer);
    rd_kafka_conf_set_rebalance_cb(conf, wp_consumer_rebalance);
    rd_kafka_conf_set_offset_commit_cb(conf, wp_consumer_committed);
    rd_kafka_conf_set_error_cb(conf, wp_consumer_error);
    char why[256];
    consumer->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why)); /* owns conf when it succeeds */
    if (!consumer->rk) {
        rd_kafka_conf_destroy(conf);
        return wp_fail(error, WP_ERR_CONFIG, "kafka.*: librdkafka makes no consumer of these properties: %s",
                       why);
    }
    rd_kafka_poll_set_consumer(consumer->rk);
    consumer->queue = rd_kafka_queue_get_consumer(consumer->rk);
    uint64_t one = 1;
    rd_kafka_queue_io_event_enable(consumer->queue, consumer->wake_fd, &one, sizeof(one));
    return WP_OK;
}

static void open_handles(struct wp_consumer *consumer) {
    uv_poll_init(consumer->loop, &consumer->poll, consumer->wake_fd);
    uv_timer_init(consumer->loop, &consumer->tick);
    uv_timer_init(consumer->loop, &consumer->retry);
    uv_timer_init(consumer->loop, &consumer->watch);
    consumer->poll.data = consumer->tick.data = consumer->retry.data = consumer->watch.data = consumer;
    consumer->open_handles = 4;
}

static struct wp_consumer *allocate(uv_loop_t *loop, const struct wp_config *config, struct wp_stats *stats,
                                    const struct wp_consumer_handler *handler, void *ctx) {
    struct wp_consumer *consumer = wp_calloc(1, sizeof(*consumer));
    consumer->loop = loop;
    consumer->stats = stats;
    consumer->handler = handler;
    consumer->ctx = ctx;
    consumer->batch_size = (size_t)config->worker.batch;
    consumer->batch = wp_calloc(consumer->batch_size, sizeof(rd_kafka_message_t *));
    for (int i = 0; i < WP_TOPICS_IN; i++) consumer->names[i] = wp_topic_full_name(config, (enum wp_topic)i);
    const char *brokers = wp_settings_get(&config->kafka, "bootstrap.servers");
    consumer->brokers = wp_strdup(brokers ? brokers : "");
    return consumer;
}

enum wp_err wp_consumer_new(struct wp_consumer **ret_source, uv_loop_t *loop, const struct wp_config *config,
                            struct wp_stats *stats, const struct wp_consumer_handler *handler, void *ctx,
                            struct wp_error *error) {
    struct wp_consumer *consumer = allocate(loop, config, stats, handler, ctx);
    consumer->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (consumer->wake_fd < 0) {
        release(consumer);
        return wp_fail(error, WP_ERR_SYSTEM, "The Kafka consumer has no descriptor to be woken by: %s",
                       strerror(errno));
    }
    enum wp_err err = connect_client(consumer, config, error);
    if (err) {
        release(consumer);
        return err;
    }
    open_handles(consumer);
    (void)snprintf(stats->kafka.reason, sizeof(stats->kafka.reason), "Kafka at %s: connecting",
                   consumer->brokers);
    *ret_source = consumer;
    return WP_OK;
}

/* The topics are made known before any partition is assigned: a partition can only be paused when its topic
 * is known. */
enum wp_err wp_consumer_subscribe(struct wp_consumer *consumer, struct wp_error *error) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(WP_TOPICS_IN);
    for (int i = 0; i < WP_TOPICS_IN; i++) {
        consumer->topics[i] = rd_kafka_topic_new(consumer->rk, consumer->names[i], NULL);
        rd_kafka_topic_partition_list_add(list, consumer->names[i], RD_KAFKA_PARTITION_UA);
    }
    rd_kafka_resp_err_t err = rd_kafka_subscribe(consumer->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (err)
        return wp_fail(error, WP_ERR_KAFKA, "Kafka does not let us subscribe: %s", rd_kafka_err2str(err));
    uv_poll_start(&consumer->poll, UV_READABLE, on_poll);
    uv_timer_start(&consumer->tick, on_tick, TICK_MS, TICK_MS);
    uv_timer_start(&consumer->watch, wp_consumer_watch, 0, WATCH_MS);
    wp_consumer_wake(consumer);
    return WP_OK;
}

const char *wp_consumer_cluster_id(struct wp_consumer *consumer, int timeout_ms) {
    if (!consumer->cluster_id) consumer->cluster_id = rd_kafka_clusterid(consumer->rk, timeout_ms);
    return consumer->cluster_id;
}

void wp_consumer_free(struct wp_consumer *consumer) {
    if (!consumer) return;
    rd_kafka_resp_err_t err = rd_kafka_consumer_close(consumer->rk); /* calls the rebalance callback */
    if (err) wp_log(WP_LOG_WARN, "kafka_close_failed", "error=%s", rd_kafka_err2str(err));
    while (consumer->part_count > 0) wp_consumer_part_remove(consumer, consumer->parts[0]->tp);
    consumer->closing = true;
    uv_close((uv_handle_t *)&consumer->poll, on_closed);
    uv_close((uv_handle_t *)&consumer->tick, on_closed);
    uv_close((uv_handle_t *)&consumer->retry, on_closed);
    uv_close((uv_handle_t *)&consumer->watch, on_closed);
    if (consumer->works == 0) destroy_client(consumer);
}
