/* The Kafka source, the loop's side: wakes up, takes batches from the partitions' own queues, hands them
 * over. It owns the client, the partitions and what is held back. Every partition keeps its fetch queue to
 * itself, so a pause is a queue that is not drained: nothing prefetched is thrown away, and nothing is taken
 * twice. The loop's thread. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "bus/admin.h"
#include "bus/source_private.h"
#include "core/log.h"

#define TICK_MS 100       /* also keeps an idle consumer inside max.poll.interval.ms */
#define WATCH_MS 1000     /* health and lag */
#define TURN_BATCHES 4    /* batches taken in one turn of the loop before others have theirs */
#define CALLBACKS_TURN 64 /* errors and rebalances served in one turn */

void wp_source_wake(struct wp_source *source) {
    uint64_t one = 1;
    ssize_t written = write(source->wake_fd, &one, sizeof(one));
    wp_assert(written == sizeof(one) || errno == EAGAIN); /* full: it is readable already */
}

void wp_source_set_state(struct wp_part *part, enum wp_part_state state) {
    part->state = state;
}

/* ---- partitions ---- */

struct wp_part *wp_source_part(const struct wp_source *source, struct wp_tp tp) {
    for (size_t i = 0; i < source->part_count; i++) {
        struct wp_part *part = source->parts[i];
        if (part->tp.partition == tp.partition && part->tp.topic == tp.topic) return part;
    }
    return NULL;
}

struct wp_part *wp_source_part_add(struct wp_source *source, struct wp_tp tp) {
    struct wp_part *part = wp_calloc(1, sizeof(*part));
    part->tp = tp;
    part->assignment = ++source->assignments;
    part->start = part->next = part->low = part->high = -1;
    part->queue = rd_kafka_queue_get_partition(source->rk, source->names[tp.topic], tp.partition);
    wp_assert(part->queue);
    rd_kafka_queue_forward(part->queue, NULL);
    uint64_t one = 1;
    rd_kafka_queue_io_event_enable(part->queue, source->wake_fd, &one, sizeof(one));
    if (source->part_count == source->part_cap) {
        source->part_cap = source->part_cap ? 2 * source->part_cap : 16;
        source->parts = wp_realloc(source->parts, source->part_cap * sizeof(struct wp_part *));
    }
    source->parts[source->part_count++] = part;
    source->stats->partitions = (int)source->part_count;
    return part;
}

void wp_source_drop_held(struct wp_part *part) {
    for (size_t i = 0; i < part->held_count; i++) rd_kafka_message_destroy(part->held[i]);
    part->held_count = 0;
}

static void part_free(struct wp_part *part) {
    wp_source_drop_held(part);
    free(part->held);
    rd_kafka_queue_io_event_enable(part->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(part->queue);
    free(part);
}

void wp_source_part_remove(struct wp_source *source, struct wp_tp tp) {
    for (size_t i = 0; i < source->part_count; i++) {
        struct wp_part *part = source->parts[i];
        if (part->tp.partition != tp.partition || part->tp.topic != tp.topic) continue;
        source->parts[i] = source->parts[--source->part_count];
        part_free(part);
        break;
    }
    source->stats->partitions = (int)source->part_count;
}

enum wp_topic wp_source_topic(const struct wp_source *source, const char *name) {
    for (int i = 0; i < WP_TOPICS_IN; i++) {
        if (strcmp(source->names[i], name) == 0) return (enum wp_topic)i;
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

static void partition_error(struct wp_source *source, struct wp_part *part,
                            const rd_kafka_message_t *message) {
    const char *why = rd_kafka_message_errstr(message);
    if (message->err != RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) {
        wp_source_not_ready(source, why);
        return;
    }
    wp_source_set_state(part, WP_PART_BROKEN);
    part->stopped = true;
    source->handler->out_of_range(source->ctx, part->tp, why);
}

/* Owns the messages of the list. The handler may pause the partition (the rest is held) or start it again
 * (the rest is stale) at any of them. */
static void hand_over(struct wp_source *source, struct wp_part *part, rd_kafka_message_t **list,
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
            partition_error(source, part, message);
            rd_kafka_message_destroy(message);
        } else {
            source->handler->message(source->ctx, part->tp, message);
        }
    }
}

static size_t hand_over_held(struct wp_source *source, struct wp_part *part) {
    rd_kafka_message_t **list = part->held;
    size_t count = part->held_count;
    part->held = NULL;
    part->held_count = part->held_cap = 0;
    hand_over(source, part, list, count);
    free(list);
    return count;
}

static size_t take(struct wp_source *source, struct wp_part *part, size_t most) {
    if (part->held_count > 0) return hand_over_held(source, part);
    if (rd_kafka_queue_length(part->queue) == 0) return 0;
    /* Timeout 0: with any other it waits until the batch is full. */
    ssize_t count = rd_kafka_consume_batch_queue(part->queue, 0, source->batch, most);
    if (count <= 0) return 0;
    for (ssize_t i = count - 1; i >= 0; i--) {
        if (source->batch[i]->err) continue;
        part->next = source->batch[i]->offset + 1;
        break;
    }
    hand_over(source, part, source->batch, (size_t)count);
    return (size_t)count;
}

/* Rebalances, errors and commits' answers are callbacks of this queue. Messages are never in it: a
 * partition's queue is taken out of it before the partition is assigned. */
static void serve_callbacks(struct wp_source *source) {
    for (int i = 0; i < CALLBACKS_TURN; i++) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(source->rk, 0);
        if (!message) return;
        wp_assert(message->err);
        wp_source_not_ready(source, rd_kafka_message_errstr(message));
        rd_kafka_message_destroy(message);
    }
    wp_source_wake(source);
}

static bool takes(const struct wp_part *part) {
    return part->state == WP_PART_RUNNING && !part->paused;
}

/* Every partition has its batch in turn; what is left waits for the loop's next turn. */
static void take_all(struct wp_source *source) {
    size_t budget = TURN_BATCHES * source->batch_size, total = 0;
    bool more = false;
    size_t count = source->part_count, first = count ? source->cursor++ % count : 0;
    for (size_t i = 0; i < count; i++) {
        struct wp_part *part = source->parts[(first + i) % count];
        if (!takes(part)) continue;
        if (total >= budget) {
            more = true;
            break;
        }
        total += take(source, part, source->batch_size);
        more = more || (takes(part) && (part->held_count > 0 || rd_kafka_queue_length(part->queue) > 0));
    }
    if (total > 0) source->handler->batch_end(source->ctx);
    if (more) wp_source_wake(source);
}

static void turn(struct wp_source *source) {
    uint64_t count;
    ssize_t got = read(source->wake_fd, &count, sizeof(count));
    wp_assert(got == sizeof(count) || errno == EAGAIN);
    serve_callbacks(source);
    take_all(source);
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

static void release(struct wp_source *source) {
    if (source->open_handles > 0 || source->works > 0) return;
    close(source->wake_fd);
    free(source->batch);
    free(source->parts);
    for (int i = 0; i < WP_TOPICS_IN; i++) free(source->names[i]);
    free(source->brokers);
    rd_kafka_mem_free(NULL, source->cluster_id);
    free(source);
}

static void on_closed(uv_handle_t *handle) {
    struct wp_source *source = handle->data;
    source->open_handles--;
    release(source);
}

static void destroy_client(struct wp_source *source) {
    for (int i = 0; i < WP_TOPICS_IN; i++) {
        if (source->topics[i]) rd_kafka_topic_destroy(source->topics[i]);
    }
    rd_kafka_queue_io_event_enable(source->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(source->queue);
    rd_kafka_destroy(source->rk);
}

void wp_source_work_done(struct wp_source *source) {
    source->works--;
    if (!source->closing || source->works > 0) return;
    destroy_client(source);
    release(source);
}

static enum wp_err connect_client(struct wp_source *source, const struct wp_config *config,
                                  struct wp_error *error) {
    rd_kafka_conf_t *conf = wp_kafka_conf(config, true, error);
    if (!conf) return WP_ERR_CONFIG;
    rd_kafka_conf_set_opaque(conf, source);
    rd_kafka_conf_set_rebalance_cb(conf, wp_source_rebalance);
    rd_kafka_conf_set_offset_commit_cb(conf, wp_source_committed);
    rd_kafka_conf_set_error_cb(conf, wp_source_error);
    char why[256];
    source->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why)); /* owns conf when it succeeds */
    if (!source->rk) {
        rd_kafka_conf_destroy(conf);
        return wp_fail(error, WP_ERR_CONFIG, "kafka.*: librdkafka makes no consumer of these properties: %s",
                       why);
    }
    rd_kafka_poll_set_consumer(source->rk);
    source->queue = rd_kafka_queue_get_consumer(source->rk);
    uint64_t one = 1;
    rd_kafka_queue_io_event_enable(source->queue, source->wake_fd, &one, sizeof(one));
    return WP_OK;
}

static void open_handles(struct wp_source *source) {
    uv_poll_init(source->loop, &source->poll, source->wake_fd);
    uv_timer_init(source->loop, &source->tick);
    uv_timer_init(source->loop, &source->retry);
    uv_timer_init(source->loop, &source->watch);
    source->poll.data = source->tick.data = source->retry.data = source->watch.data = source;
    source->open_handles = 4;
}

static struct wp_source *allocate(uv_loop_t *loop, const struct wp_config *config, struct wp_stats *stats,
                                  const struct wp_source_handler *handler, void *ctx) {
    struct wp_source *source = wp_calloc(1, sizeof(*source));
    source->loop = loop;
    source->stats = stats;
    source->handler = handler;
    source->ctx = ctx;
    source->batch_size = (size_t)config->worker.batch;
    source->batch = wp_calloc(source->batch_size, sizeof(rd_kafka_message_t *));
    for (int i = 0; i < WP_TOPICS_IN; i++) source->names[i] = wp_topic_full_name(config, (enum wp_topic)i);
    const char *brokers = wp_settings_get(&config->kafka, "bootstrap.servers");
    source->brokers = wp_strdup(brokers ? brokers : "");
    return source;
}

enum wp_err wp_source_new(struct wp_source **ret_source, uv_loop_t *loop, const struct wp_config *config,
                          struct wp_stats *stats, const struct wp_source_handler *handler, void *ctx,
                          struct wp_error *error) {
    struct wp_source *source = allocate(loop, config, stats, handler, ctx);
    source->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (source->wake_fd < 0) {
        release(source);
        return wp_fail(error, WP_ERR_SYSTEM, "The Kafka source has no descriptor to be woken by: %s",
                       strerror(errno));
    }
    enum wp_err err = connect_client(source, config, error);
    if (err) {
        release(source);
        return err;
    }
    open_handles(source);
    (void)snprintf(stats->kafka.reason, sizeof(stats->kafka.reason), "Kafka at %s: connecting",
                   source->brokers);
    *ret_source = source;
    return WP_OK;
}

/* The topics are made known before any partition is assigned: a partition can only be paused when its topic
 * is known. */
enum wp_err wp_source_subscribe(struct wp_source *source, struct wp_error *error) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(WP_TOPICS_IN);
    for (int i = 0; i < WP_TOPICS_IN; i++) {
        source->topics[i] = rd_kafka_topic_new(source->rk, source->names[i], NULL);
        rd_kafka_topic_partition_list_add(list, source->names[i], RD_KAFKA_PARTITION_UA);
    }
    rd_kafka_resp_err_t err = rd_kafka_subscribe(source->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (err)
        return wp_fail(error, WP_ERR_KAFKA, "Kafka does not let us subscribe: %s", rd_kafka_err2str(err));
    uv_poll_start(&source->poll, UV_READABLE, on_poll);
    uv_timer_start(&source->tick, on_tick, TICK_MS, TICK_MS);
    uv_timer_start(&source->watch, wp_source_watch, 0, WATCH_MS);
    wp_source_wake(source);
    return WP_OK;
}

const char *wp_source_cluster_id(struct wp_source *source, int timeout_ms) {
    if (!source->cluster_id) source->cluster_id = rd_kafka_clusterid(source->rk, timeout_ms);
    return source->cluster_id;
}

void wp_source_free(struct wp_source *source) {
    if (!source) return;
    rd_kafka_resp_err_t err = rd_kafka_consumer_close(source->rk); /* calls the rebalance callback */
    if (err) wp_log(WP_LOG_WARN, "kafka_close_failed", "error=%s", rd_kafka_err2str(err));
    while (source->part_count > 0) wp_source_part_remove(source, source->parts[0]->tp);
    source->closing = true;
    uv_close((uv_handle_t *)&source->poll, on_closed);
    uv_close((uv_handle_t *)&source->tick, on_closed);
    uv_close((uv_handle_t *)&source->retry, on_closed);
    uv_close((uv_handle_t *)&source->watch, on_closed);
    if (source->works == 0) destroy_client(source);
}
