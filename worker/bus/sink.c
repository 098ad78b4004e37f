/* The Kafka producer. It owns the current client, and retired ones until their last delivery report has come:
 * a fatal error retires a client, purges it and makes a new one. librdkafka's queues wake the loop through
 * one descriptor. The loop's thread; only metadata requests and the end of a client run in the thread pool,
 * because they block. */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "bus/admin.h"
#include "bus/sink.h"
#include "core/log.h"

#define TICK_MS 100
#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 10000
#define METADATA_TIMEOUT_MS 5000
#define METADATA_AGAIN_MS 1000 /* until all output topics are known */
#define FLUSH_STEP_MS 10

struct producer {
    struct wp_sink *sink;
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    rd_kafka_topic_t *topics[WP_TOPICS];
    bool fatal;
    int works; /* in the thread pool with this client */
    uv_work_t destroy;
    struct producer *next; /* of the retired ones */
};

struct wp_sink {
    uv_loop_t *loop;
    const struct wp_config *config; /* read again when the producer is rebuilt */
    struct wp_stats *stats;
    wp_sink_delivered delivered;
    void *ctx;
    struct producer *current; /* NULL while a new one cannot be made */
    struct producer *retired;
    size_t pending;
    int32_t partitions[WP_TOPICS];
    int wake_fd;
    uv_poll_t poll;
    uv_timer_t tick;
    int open_handles, works;
    int64_t backoff_ms;
    uint64_t rebuild_at, metadata_at; /* loop time in ms */
    bool asking, freed;
};

/* ---- the end of a client: destroying blocks until its threads have ended ---- */

static void release(struct wp_sink *sink) {
    if (!sink->freed || sink->open_handles > 0 || sink->works > 0) return;
    close(sink->wake_fd);
    free(sink);
}

static void destroy_run(uv_work_t *work) {
    struct producer *producer = work->data;
    rd_kafka_destroy(producer->rk);
}

static void destroy_done(uv_work_t *work, int status) {
    (void)status;
    struct producer *producer = work->data;
    struct wp_sink *sink = producer->sink;
    free(producer);
    sink->works--;
    release(sink);
}

static void producer_close(struct producer *producer) {
    for (int i = 0; i < WP_TOPICS; i++) {
        if (producer->topics[i]) rd_kafka_topic_destroy(producer->topics[i]);
    }
    rd_kafka_queue_io_event_enable(producer->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(producer->queue);
    producer->destroy.data = producer;
    producer->sink->works++;
    wp_assert(uv_queue_work(producer->sink->loop, &producer->destroy, destroy_run, destroy_done) == 0);
}

/* ---- callbacks of librdkafka, from rd_kafka_poll ---- */

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
    (void)rk;
    struct producer *producer = opaque;
    struct wp_sink *sink = producer->sink;
    sink->pending--;
    if (sink->freed) return;
    if (message->err) {
        sink->stats->produce_errors++;
        bool too_large = message->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE; /* the topic was changed */
        wp_log(too_large ? WP_LOG_ERROR : WP_LOG_DEBUG, "kafka_delivery_failed", "topic=%s error=%s%s",
               rd_kafka_topic_name(message->rkt), rd_kafka_err2str(message->err),
               too_large ? "; raise its max.message.bytes, or start this worker again, which then sends less"
                         : "");
    } else {
        sink->stats->records[(uintptr_t)rd_kafka_topic_opaque(message->rkt)]++;
        sink->backoff_ms = BACKOFF_MIN_MS;
    }
    if (message->_private) sink->delivered(sink->ctx, message->_private, !message->err);
}

static void on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque) {
    struct producer *producer = opaque;
    if (err != RD_KAFKA_RESP_ERR__FATAL || producer->fatal) return;
    char why[256];
    rd_kafka_resp_err_t cause = rd_kafka_fatal_error(rk, why, sizeof(why));
    wp_log(WP_LOG_ERROR, "kafka_producer_fatal", "error=%s reason=%s", rd_kafka_err2name(cause),
           cause ? why : reason);
    producer->fatal = true;
}

/* ---- making one ---- */

static void open_topics(struct producer *producer, const struct wp_config *config) {
    /* Inputs, too: hosts and sweepers publish events. */
    for (int i = 0; i < WP_TOPICS; i++) {
        rd_kafka_topic_conf_t *conf = rd_kafka_default_topic_conf_dup(producer->rk);
        rd_kafka_topic_conf_set_opaque(conf, (void *)(uintptr_t)i);
        char *name = wp_topic_full_name(config, (enum wp_topic)i);
        producer->topics[i] = rd_kafka_topic_new(producer->rk, name, conf);
        wp_assert(producer->topics[i]);
        free(name);
    }
}

static struct producer *producer_new(struct wp_sink *sink, struct wp_error *error) {
    rd_kafka_conf_t *conf = wp_kafka_conf(sink->config, false, error);
    if (!conf) return NULL;
    struct producer *producer = wp_calloc(1, sizeof(*producer));
    producer->sink = sink;
    rd_kafka_conf_set_opaque(conf, producer);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_error_cb(conf, on_error);
    char why[256];
    producer->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why)); /* owns conf when it succeeds */
    if (!producer->rk) {
        rd_kafka_conf_destroy(conf);
        free(producer);
        (void)wp_fail(error, WP_ERR_CONFIG, "kafka.*: librdkafka makes no producer of these properties: %s",
                      why);
        return NULL;
    }
    producer->queue = rd_kafka_queue_get_main(producer->rk);
    uint64_t one = 1;
    rd_kafka_queue_io_event_enable(producer->queue, sink->wake_fd, &one, sizeof(one));
    open_topics(producer, sink->config);
    return producer;
}

/* ---- partitions: asked for at the start, so that the first record does not wait for metadata ---- */

struct question {
    uv_work_t work;
    struct producer *producer;
    int32_t partitions[WP_TOPICS];
};

static void ask_run(uv_work_t *work) {
    struct question *question = work->data;
    const rd_kafka_metadata_t *metadata;
    /* 0: of the topics opened here, all in one request. */
    if (rd_kafka_metadata(question->producer->rk, 0, NULL, &metadata, METADATA_TIMEOUT_MS)) return;
    for (int i = 0; i < metadata->topic_cnt; i++) {
        for (int t = 0; t < WP_TOPICS; t++) {
            if (strcmp(rd_kafka_topic_name(question->producer->topics[t]), metadata->topics[i].topic) == 0)
                question->partitions[t] = metadata->topics[i].partition_cnt;
        }
    }
    rd_kafka_metadata_destroy(metadata);
}

static void ask_done(uv_work_t *work, int status) {
    struct question *question = work->data;
    struct wp_sink *sink = question->producer->sink;
    bool complete = true;
    for (int i = 0; i < WP_TOPICS && status == 0; i++) {
        if (question->partitions[i] > 0) sink->partitions[i] = question->partitions[i];
        complete = complete && sink->partitions[i] > 0;
    }
    sink->asking = false;
    sink->metadata_at = complete ? UINT64_MAX : uv_now(sink->loop) + METADATA_AGAIN_MS;
    question->producer->works--;
    sink->works--;
    if (sink->freed && question->producer->works == 0) producer_close(question->producer);
    free(question);
    release(sink);
}

static void ask_partitions(struct wp_sink *sink) {
    if (sink->asking || !sink->current || uv_now(sink->loop) < sink->metadata_at) return;
    struct question *question = wp_calloc(1, sizeof(*question));
    question->producer = sink->current;
    question->work.data = question;
    sink->asking = true;
    question->producer->works++;
    sink->works++;
    wp_assert(uv_queue_work(sink->loop, &question->work, ask_run, ask_done) == 0);
}

/* ---- rebuilding ---- */

/* What is queued or in flight is reported as failed, once each, while the client is polled on its way out. */
static void retire(struct wp_sink *sink) {
    struct producer *producer = sink->current;
    sink->current = NULL;
    producer->next = sink->retired;
    sink->retired = producer;
    rd_kafka_purge(producer->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    sink->stats->producer_rebuilds++;
    sink->rebuild_at = uv_now(sink->loop) + (uint64_t)sink->backoff_ms;
    sink->backoff_ms = 2 * sink->backoff_ms < BACKOFF_MAX_MS ? 2 * sink->backoff_ms : BACKOFF_MAX_MS;
}

static void rebuild(struct wp_sink *sink) {
    struct wp_error error;
    sink->current = producer_new(sink, &error);
    if (sink->current) {
        wp_log(WP_LOG_INFO, "kafka_producer_rebuilt", "rebuilds=%llu",
               (unsigned long long)sink->stats->producer_rebuilds);
        return;
    }
    wp_log(WP_LOG_ERROR, "kafka_producer_failed", "error=%s", error.text);
    sink->rebuild_at = uv_now(sink->loop) + BACKOFF_MAX_MS;
}

void wp_sink_renew(struct wp_sink *sink) {
    if (sink->current) retire(sink);
    rebuild(sink);
}

static void bury_retired(struct wp_sink *sink) {
    struct producer **at = &sink->retired;
    while (*at) {
        struct producer *producer = *at;
        rd_kafka_poll(producer->rk, 0);
        if (rd_kafka_outq_len(producer->rk) > 0 || producer->works > 0) {
            at = &producer->next;
            continue;
        }
        *at = producer->next;
        producer_close(producer);
    }
}

static void turn(struct wp_sink *sink) {
    uint64_t count;
    ssize_t got = read(sink->wake_fd, &count, sizeof(count));
    wp_assert(got == sizeof(count) || errno == EAGAIN);
    if (sink->current) rd_kafka_poll(sink->current->rk, 0);
    if (sink->current && sink->current->fatal) retire(sink);
    bury_retired(sink);
    if (!sink->current && uv_now(sink->loop) >= sink->rebuild_at) rebuild(sink);
    ask_partitions(sink);
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

enum wp_err wp_sink_new(struct wp_sink **ret_sink, uv_loop_t *loop, const struct wp_config *config,
                        struct wp_stats *stats, wp_sink_delivered delivered, void *ctx,
                        struct wp_error *error) {
    struct wp_sink *sink = wp_calloc(1, sizeof(*sink));
    *sink =
        (struct wp_sink){.loop = loop, .config = config, .stats = stats, .delivered = delivered, .ctx = ctx};
    sink->backoff_ms = BACKOFF_MIN_MS;
    sink->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (sink->wake_fd < 0) {
        free(sink);
        return wp_fail(error, WP_ERR_SYSTEM, "The Kafka producer has no descriptor to be woken by: %s",
                       strerror(errno));
    }
    sink->current = producer_new(sink, error);
    if (!sink->current) {
        close(sink->wake_fd);
        free(sink);
        return WP_ERR_CONFIG;
    }
    uv_poll_init(loop, &sink->poll, sink->wake_fd);
    uv_timer_init(loop, &sink->tick);
    sink->poll.data = sink->tick.data = sink;
    sink->open_handles = 2;
    uv_poll_start(&sink->poll, UV_READABLE, on_poll);
    uv_timer_start(&sink->tick, on_tick, TICK_MS, TICK_MS);
    ask_partitions(sink);
    *ret_sink = sink;
    return WP_OK;
}

static void on_closed(uv_handle_t *handle) {
    struct wp_sink *sink = handle->data;
    sink->open_handles--;
    release(sink);
}

static void end(struct producer *producer) {
    rd_kafka_purge(producer->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    if (producer->works == 0) producer_close(producer);
}

void wp_sink_free(struct wp_sink *sink) {
    if (!sink) return;
    sink->freed = true;
    if (sink->current) end(sink->current);
    while (sink->retired) {
        struct producer *producer = sink->retired;
        sink->retired = producer->next;
        end(producer);
    }
    uv_close((uv_handle_t *)&sink->poll, on_closed);
    uv_close((uv_handle_t *)&sink->tick, on_closed);
}

/* ---- sending ---- */

/* Takes record->headers; NULL when the record has none at all. */
static rd_kafka_headers_t *headers_of(struct wp_record *record) {
    rd_kafka_headers_t *headers = record->headers;
    record->headers = NULL;
    if (record->traceparent.len == 0) return headers;
    if (!headers) headers = rd_kafka_headers_new(1);
    rd_kafka_header_add(headers, "traceparent", -1, record->traceparent.ptr,
                        (ssize_t)record->traceparent.len);
    return headers;
}

static rd_kafka_resp_err_t produce(const struct producer *producer, const struct wp_record *record,
                                   rd_kafka_headers_t *headers) {
    rd_kafka_topic_t *topic = producer->topics[record->topic];
    void *value = (void *)(uintptr_t)record->value.ptr,
         *key = (void *)(uintptr_t)record->key.ptr; /* copied, not written */
    if (!headers) {
        int failed = rd_kafka_produce(topic, record->partition, RD_KAFKA_MSG_F_COPY, value, record->value.len,
                                      key, record->key.len, record->token);
        return failed ? rd_kafka_last_error() : RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    rd_kafka_resp_err_t err =
        rd_kafka_producev(producer->rk, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(record->partition),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_VALUE(value, record->value.len), RD_KAFKA_V_KEY(key, record->key.len),
                          RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(record->token), RD_KAFKA_V_END);
    if (err) rd_kafka_headers_destroy(headers);
    return err;
}

enum wp_err wp_sink_send(struct wp_sink *sink, struct wp_record *record, struct wp_error *error) {
    wp_assert(record->topic < WP_TOPICS);
    rd_kafka_headers_t *headers = headers_of(record);
    if (!sink->current || sink->current->fatal) {
        if (headers) rd_kafka_headers_destroy(headers);
        return wp_fail(error, WP_ERR_KAFKA, "The Kafka producer is being rebuilt after a fatal error.");
    }
    rd_kafka_resp_err_t err = produce(sink->current, record, headers);
    if (!err) {
        sink->pending++;
        return WP_OK;
    }
    const char *name = rd_kafka_topic_name(sink->current->topics[record->topic]);
    if (err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
        return wp_fail(error, WP_ERR_DATA,
                       "A record of %zu bytes for %s is larger than kafka.message.max.bytes allows.",
                       record->key.len + record->value.len, name);
    return wp_fail(error, WP_ERR_KAFKA, "A record for %s was not taken: %s", name, rd_kafka_err2str(err));
}

size_t wp_sink_pending(const struct wp_sink *sink) {
    return sink->pending;
}

int32_t wp_sink_partitions(struct wp_sink *sink, enum wp_topic topic) {
    return sink->partitions[topic];
}

size_t wp_sink_flush(struct wp_sink *sink, int timeout_ms) {
    uint64_t end_at = uv_hrtime() / 1000000 + (uint64_t)timeout_ms;
    do {
        if (sink->current) (void)rd_kafka_flush(sink->current->rk, sink->pending > 0 ? FLUSH_STEP_MS : 0);
        bury_retired(sink);
    } while (sink->pending > 0 && uv_hrtime() / 1000000 < end_at && (sink->current || sink->retired));
    return sink->pending;
}

rd_kafka_t *wp_sink_client(struct wp_sink *sink) {
    return sink->current ? sink->current->rk : NULL;
}
