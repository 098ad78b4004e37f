/* The Kafka producer. A fatal error retires the current client, purges it and makes a new one; retired
 * clients live until their last delivery report. Owns all of these clients and the wakeup. The loop's thread;
 * only metadata requests and the destruction of a client run in the thread pool, because they block. */
#include <stdlib.h>
#include "core/trace_context.h"
#include "core/clock.h"
#include "core/log.h"
#include "kafka/client.h"
#include "kafka/health.h"
#include "kafka/producer.h"
#include "kafka/wakeup.h"

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 10000
#define METADATA_TIMEOUT_MS 5000
#define METADATA_AGAIN_MS 1000 /* until all topics are known */
#define METADATA_FRESH_MS 5000 /* afterwards, because partitions may be added to topics */
/* Of 2001. An append time before it is none: `warmpool broker`, like all of librdkafka's mock clusters,
 * always says 1234. */
#define EARLIEST_MS 1000000000000
#define FLUSH_STEP_MS 10
/* Records that are sent again, every 30 s at the latest, are refused again by then. Nobody may send the
 * others again, or their partition is another worker's by now. */
#define REFUSAL_MS 60000

struct refusal {        /* of the latest record of a topic */
    char reason[300];   /* empty: it was taken */
    bool topic_unknown; /* over as soon as the topic is there */
    uint64_t at;        /* loop time in ms */
};

struct failed { /* a record that librdkafka refused at once; its report is still to come */
    void *token;
    struct failed *next;
};

struct client {
    struct wp_client base;
    struct wp_producer *producer;
    rd_kafka_queue_t *queue;
    rd_kafka_topic_t *topics[WP_TOPICS];
    bool fatal;
    struct client *next; /* of the retired ones */
};

struct wp_producer {
    uv_loop_t *loop;
    const struct wp_config *config; /* read again when the client is rebuilt */
    struct wp_stats *stats;
    wp_producer_delivered delivered;
    void *ctx;
    struct client *current; /* NULL while a new one cannot be made */
    struct client *retired;
    size_t pending;
    struct failed *failed; /* the newest first */
    int32_t partitions[WP_TOPICS];
    struct refusal refusals[WP_TOPICS];
    char broken[300]; /* a fatal error that a new client would meet, too; empty: none */
    struct wp_wakeup wakeup;
    int open_parts; /* the wakeup, and the clients that are not destroyed yet */
    int64_t backoff_ms;
    uint64_t rebuild_at, metadata_at; /* loop time in ms */
    bool asking, freed;
};

/* ---- the end of a client: destroying blocks until its threads have ended ---- */

static void release(struct wp_producer *producer) {
    if (--producer->open_parts == 0) free(producer);
}

static void on_client_closed(void *ctx) {
    struct client *client = ctx;
    struct wp_producer *producer = client->producer;
    free(client);
    release(producer);
}

static void close_client(struct client *client) {
    for (int i = 0; i < WP_TOPICS; i++) rd_kafka_topic_destroy(client->topics[i]);
    wp_wakeup_unwatch(client->queue);
    rd_kafka_queue_destroy(client->queue);
    wp_client_close(&client->base, on_client_closed, client);
}

/* ---- ends of records ---- */

static void say_troubles(struct wp_producer *producer) {
    const char *reason = producer->broken;
    for (int i = 0; i < WP_TOPICS && !*reason; i++) reason = producer->refusals[i].reason;
    wp_kafka_trouble(producer->stats, WP_TROUBLE_PRODUCER, reason);
}

static void refused(struct wp_producer *producer, enum wp_topic topic, rd_kafka_resp_err_t err,
                    const char *name) {
    if (wp_kafka_fault(err) != WP_FAULT_REFUSED) return;
    struct refusal *refusal = &producer->refusals[topic];
    wp_kafka_explain(refusal->reason, sizeof(refusal->reason), err, producer->config, name);
    refusal->topic_unknown = err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
                             err == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
                             err == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
    refusal->at = uv_now(producer->loop);
    say_troubles(producer);
}

static void forgive(struct wp_producer *producer, enum wp_topic topic) {
    producer->refusals[topic].reason[0] = '\0';
    say_troubles(producer);
}

static void forget_old_refusals(struct wp_producer *producer) {
    for (int i = 0; i < WP_TOPICS; i++)
        if (*producer->refusals[i].reason && uv_now(producer->loop) - producer->refusals[i].at >= REFUSAL_MS)
            forgive(producer, (enum wp_topic)i);
}

static void taken(struct wp_producer *producer, enum wp_topic topic) {
    producer->stats->records[topic]++;
    producer->backoff_ms = BACKOFF_MIN_MS;
    if (!*producer->refusals[topic].reason && !*producer->broken) return;
    producer->broken[0] = '\0';
    forgive(producer, topic);
}

static int64_t note_append_time(struct wp_producer *producer, const rd_kafka_message_t *message) {
    rd_kafka_timestamp_type_t type;
    int64_t append_ms = rd_kafka_message_timestamp(message, &type);
    if (type != RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME || append_ms < EARLIEST_MS) return -1;
    int64_t now_us = wp_clock_us(), took_us = rd_kafka_message_latency(message);
    if (took_us >= 0)
        wp_append_clock_measured(&producer->stats->append_clock, append_ms, now_us - took_us, now_us);
    return append_ms;
}

/* ---- records of a topic that librdkafka knows to be missing or forbidden: it refuses them at once. They are
 * reported as failed like those that a broker refuses, but later: the caller is not done with them yet ----
 */

static void fail_later(struct wp_producer *producer, void *token) {
    struct failed *failed = wp_alloc(sizeof *failed);
    *failed = (struct failed){token, producer->failed};
    producer->failed = failed;
    producer->pending++;
    wp_wakeup_again(&producer->wakeup);
}

static void report_failed(struct wp_producer *producer) {
    const struct wp_report report = {.ok = false, .append_ms = -1};
    struct failed *list = producer->failed;
    producer->failed = NULL;
    while (list) {
        struct failed *failed = list;
        list = failed->next;
        producer->pending--;
        producer->delivered(producer->ctx, failed->token, &report);
        free(failed);
    }
}

static void drop_failed(struct wp_producer *producer) {
    while (producer->failed) {
        struct failed *failed = producer->failed;
        producer->failed = failed->next;
        free(failed);
    }
}

/* ---- callbacks of librdkafka, from rd_kafka_poll ---- */

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
    (void)rk;
    struct client *client = opaque;
    struct wp_producer *producer = client->producer;
    enum wp_topic topic = (enum wp_topic)(uintptr_t)rd_kafka_topic_opaque(message->rkt);
    const char *name = rd_kafka_topic_name(message->rkt);
    struct wp_report report = {.ok = !message->err, .append_ms = -1};
    producer->pending--;
    if (producer->freed) return;
    if (message->err) {
        producer->stats->produce_errors++;
        refused(producer, topic, message->err, name);
        wp_log(WP_LOG_DEBUG, "kafka_delivery_failed", "topic=%s error=%s", name,
               rd_kafka_err2str(message->err));
    } else {
        taken(producer, topic);
        report.append_ms = note_append_time(producer, message);
    }
    if (message->_private) producer->delivered(producer->ctx, message->_private, &report);
}

static void on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque) {
    struct client *client = opaque;
    if (err != RD_KAFKA_RESP_ERR__FATAL || client->fatal) return;
    char why[256];
    rd_kafka_resp_err_t cause = rd_kafka_fatal_error(rk, why, sizeof(why));
    wp_log(WP_LOG_ERROR, "kafka_producer_fatal", "error=%s reason=%s", rd_kafka_err2name(cause),
           cause ? why : reason);
    client->fatal = true;
    if (wp_kafka_fault(cause) != WP_FAULT_REFUSED) return;
    struct wp_producer *producer = client->producer;
    wp_kafka_explain(producer->broken, sizeof(producer->broken), cause, producer->config, NULL);
    say_troubles(producer);
}

/* ---- making a client ---- */

static void open_topics(struct client *client, const struct wp_config *config) {
    /* All topics, inputs included: hosts and sweepers publish container-event. */
    for (int i = 0; i < WP_TOPICS; i++) {
        rd_kafka_topic_conf_t *conf = rd_kafka_default_topic_conf_dup(client->base.rk);
        rd_kafka_topic_conf_set_opaque(conf, (void *)(uintptr_t)i);
        char *name = wp_topic_full_name(config, (enum wp_topic)i);
        client->topics[i] = rd_kafka_topic_new(client->base.rk, name, conf);
        wp_assert(client->topics[i]);
        free(name);
    }
}

static struct client *client_new(struct wp_producer *producer, struct wp_error *error) {
    struct client *client = wp_calloc(1, sizeof(*client));
    const struct wp_client_options options = {
        .opaque = client, .on_error = on_error, .on_delivery = on_delivery};
    client->producer = producer;
    rd_kafka_t *rk = wp_client_make(producer->config, WP_CLIENT_PRODUCER, &options, error);
    if (!rk) {
        free(client);
        return NULL;
    }
    wp_client_init(&client->base, producer->loop, rk);
    producer->open_parts++;
    client->queue = rd_kafka_queue_get_main(rk);
    wp_wakeup_watch(&producer->wakeup, client->queue);
    open_topics(client, producer->config);
    return client;
}

/* ---- partitions: asked for at the start, so that the first record does not wait for metadata ---- */

struct partitions_query {
    struct wp_client_work work;
    uint64_t asked_at; /* loop time in ms */
    int32_t partitions[WP_TOPICS];
};

static void ask_run(struct wp_client_work *work) {
    struct partitions_query *query = (struct partitions_query *)work;
    const struct client *client = (const struct client *)work->client;
    const rd_kafka_metadata_t *metadata;
    /* 0: the topics that this client has opened, in one request. */
    if (rd_kafka_metadata(work->client->rk, 0, NULL, &metadata, METADATA_TIMEOUT_MS)) return;
    for (int i = 0; i < metadata->topic_cnt; i++) {
        for (int t = 0; t < WP_TOPICS; t++) {
            if (strcmp(rd_kafka_topic_name(client->topics[t]), metadata->topics[i].topic) == 0)
                query->partitions[t] = metadata->topics[i].partition_cnt;
        }
    }
    rd_kafka_metadata_destroy(metadata);
}

static void ask_done(struct wp_client_work *work, bool wanted) {
    struct partitions_query *query = (struct partitions_query *)work;
    struct wp_producer *producer = ((struct client *)work->client)->producer;
    bool complete = true;
    for (int i = 0; i < WP_TOPICS && wanted; i++) {
        if (query->partitions[i] > 0) producer->partitions[i] = query->partitions[i];
        const struct refusal *refusal = &producer->refusals[i];
        if (query->partitions[i] > 0 && *refusal->reason && refusal->topic_unknown &&
            refusal->at < query->asked_at)
            forgive(producer, (enum wp_topic)i);
        complete = complete && producer->partitions[i] > 0;
    }
    producer->asking = false;
    producer->metadata_at = uv_now(producer->loop) + (complete ? METADATA_FRESH_MS : METADATA_AGAIN_MS);
    free(query);
}

static void ask_partitions(struct wp_producer *producer) {
    if (producer->asking || !producer->current || uv_now(producer->loop) < producer->metadata_at) return;
    struct partitions_query *query = wp_calloc(1, sizeof(*query));
    query->asked_at = uv_now(producer->loop);
    query->work.run = ask_run;
    query->work.done = ask_done;
    producer->asking = true;
    wp_client_run(&producer->current->base, &query->work);
}

/* ---- rebuilding ---- */

/* Purges the client: its queued and in-flight records are reported as failed, once each, by the polls that
 * follow. */
static void retire(struct wp_producer *producer) {
    struct client *client = producer->current;
    producer->current = NULL;
    client->next = producer->retired;
    producer->retired = client;
    rd_kafka_purge(client->base.rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    producer->stats->producer_rebuilds++;
    producer->rebuild_at = uv_now(producer->loop) + (uint64_t)producer->backoff_ms;
    producer->backoff_ms =
        2 * producer->backoff_ms < BACKOFF_MAX_MS ? 2 * producer->backoff_ms : BACKOFF_MAX_MS;
}

static void rebuild(struct wp_producer *producer) {
    struct wp_error error;
    producer->current = client_new(producer, &error);
    if (producer->current) {
        wp_log(WP_LOG_INFO, "kafka_producer_rebuilt", "rebuilds=%llu",
               (unsigned long long)producer->stats->producer_rebuilds);
        return;
    }
    wp_log(WP_LOG_ERROR, "kafka_producer_failed", "error=%s", error.text);
    producer->rebuild_at = uv_now(producer->loop) + BACKOFF_MAX_MS;
}

void wp_producer_renew(struct wp_producer *producer) {
    if (producer->current) retire(producer);
    rebuild(producer);
}

static void end_retired(struct wp_producer *producer) {
    struct client **at = &producer->retired;
    while (*at) {
        struct client *client = *at;
        rd_kafka_poll(client->base.rk, 0);
        if (rd_kafka_outq_len(client->base.rk) > 0) {
            at = &client->next;
            continue;
        }
        *at = client->next;
        close_client(client);
    }
}

static void on_woken(void *ctx) {
    struct wp_producer *producer = ctx;
    if (producer->current) rd_kafka_poll(producer->current->base.rk, 0);
    if (producer->current && producer->current->fatal) retire(producer);
    end_retired(producer);
    report_failed(producer);
    if (!producer->current && uv_now(producer->loop) >= producer->rebuild_at) rebuild(producer);
    ask_partitions(producer);
    forget_old_refusals(producer);
}

/* ---- life ---- */

enum wp_err wp_producer_new(struct wp_producer **ret_producer, uv_loop_t *loop,
                            const struct wp_config *config, struct wp_stats *stats,
                            wp_producer_delivered delivered, void *ctx, struct wp_error *error) {
    struct wp_producer *producer = wp_calloc(1, sizeof(*producer));
    *producer = (struct wp_producer){
        .loop = loop, .config = config, .stats = stats, .delivered = delivered, .ctx = ctx};
    producer->backoff_ms = BACKOFF_MIN_MS;
    enum wp_err err = wp_wakeup_open(&producer->wakeup, error);
    if (err) {
        free(producer);
        return err;
    }
    producer->current = client_new(producer, error);
    if (!producer->current) {
        wp_wakeup_close(&producer->wakeup, NULL, NULL);
        free(producer);
        return WP_ERR_CONFIG;
    }
    wp_wakeup_start(&producer->wakeup, loop, on_woken, producer);
    producer->open_parts++;
    ask_partitions(producer);
    *ret_producer = producer;
    return WP_OK;
}

static void on_wakeup_closed(void *ctx) {
    release(ctx);
}

static void end(struct client *client) {
    rd_kafka_purge(client->base.rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    close_client(client);
}

void wp_producer_free(struct wp_producer *producer) {
    if (!producer) return;
    producer->freed = true;
    drop_failed(producer);
    if (producer->current) end(producer->current);
    while (producer->retired) {
        struct client *client = producer->retired;
        producer->retired = client->next;
        end(client);
    }
    wp_wakeup_close(&producer->wakeup, on_wakeup_closed, producer);
}

/* ---- sending ---- */

/* Takes record->headers; NULL when the record has none at all. */
static rd_kafka_headers_t *headers_of(struct wp_record *record) {
    rd_kafka_headers_t *headers = record->headers;
    record->headers = NULL;
    if (record->trace.len == 0) return headers;
    struct wp_str parent = wp_trace_context_parent(record->trace),
                  state = wp_trace_context_state(record->trace);
    if (!headers) headers = rd_kafka_headers_new(2);
    rd_kafka_header_add(headers, "traceparent", -1, parent.ptr, (ssize_t)parent.len);
    if (state.len > 0) rd_kafka_header_add(headers, "tracestate", -1, state.ptr, (ssize_t)state.len);
    return headers;
}

static rd_kafka_resp_err_t produce(const struct client *client, const struct wp_record *record,
                                   rd_kafka_headers_t *headers) {
    rd_kafka_topic_t *topic = client->topics[record->topic];
    void *value = (void *)(uintptr_t)record->value.ptr,
         *key = (void *)(uintptr_t)record->key.ptr; /* copied, not written */
    if (!headers) {
        int failed = rd_kafka_produce(topic, record->partition, RD_KAFKA_MSG_F_COPY, value, record->value.len,
                                      key, record->key.len, record->token);
        return failed ? rd_kafka_last_error() : RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    rd_kafka_resp_err_t err =
        rd_kafka_producev(client->base.rk, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(record->partition),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                          RD_KAFKA_V_VALUE(value, record->value.len), RD_KAFKA_V_KEY(key, record->key.len),
                          RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(record->token), RD_KAFKA_V_END);
    if (err) rd_kafka_headers_destroy(headers);
    return err;
}

enum wp_err wp_producer_send(struct wp_producer *producer, struct wp_record *record, struct wp_error *error) {
    wp_assert(record->topic < WP_TOPICS);
    rd_kafka_headers_t *headers = headers_of(record);
    if (!producer->current || producer->current->fatal) {
        if (headers) rd_kafka_headers_destroy(headers);
        return wp_fail(error, WP_ERR_KAFKA, "The Kafka client is being rebuilt after a fatal error.");
    }
    rd_kafka_resp_err_t err = produce(producer->current, record, headers);
    if (!err) {
        producer->pending++;
        return WP_OK;
    }
    const char *name = rd_kafka_topic_name(producer->current->topics[record->topic]);
    if (err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
        return wp_fail(error, WP_ERR_DATA,
                       "A record of %zu bytes for %s is larger than kafka.message.max.bytes allows.",
                       record->key.len + record->value.len, name);
    if (wp_kafka_fault(err) == WP_FAULT_REFUSED) {
        producer->stats->produce_errors++;
        refused(producer, record->topic, err, name);
        if (record->token) fail_later(producer, record->token);
        if (record->token) return WP_OK;
    }
    return wp_fail(error, WP_ERR_KAFKA, "A record for %s was not taken: %s", name, rd_kafka_err2str(err));
}

size_t wp_producer_pending(const struct wp_producer *producer) {
    return producer->pending;
}

int32_t wp_producer_partitions(struct wp_producer *producer, enum wp_topic topic) {
    return producer->partitions[topic];
}

size_t wp_producer_flush(struct wp_producer *producer, int timeout_ms) {
    uint64_t end_at = uv_hrtime() / 1000000 + (uint64_t)timeout_ms;
    do {
        if (producer->current)
            (void)rd_kafka_flush(producer->current->base.rk, producer->pending > 0 ? FLUSH_STEP_MS : 0);
        end_retired(producer);
        report_failed(producer);
    } while (producer->pending > 0 && uv_hrtime() / 1000000 < end_at &&
             (producer->current || producer->retired));
    return producer->pending;
}

rd_kafka_t *wp_producer_client(struct wp_producer *producer) {
    return producer->current ? producer->current->base.rk : NULL;
}
