/* Owns the way from a function's records to the producer, and the queue of those that the producer could not
 * take. The loop's thread. */
#include "pipeline/publish.h"
#include "cache/cache_calls.h"
#include "core/clock.h"
#include "core/log.h"
#include "pipeline/internal.h"
#include "pool/pool_calls.h"
#include "predictor/usage_calls.h"
#include <stdio.h>
#include <stdlib.h>

enum { RETRY_MS = 10, FULL = 256, KEY_KEPT = 256, KEY_COPIED = 65536 };

enum sent { SENT, LATER, TOO_LARGE };

enum record_kind { /* redis/README.md */
                   RECORD_ASSIGNMENT = 1,
                   RECORD_COMMAND,
                   RECORD_CACHE_RESULT,
                   RECORD_PREDICTION,
                   RECORD_DEAD,
                   RECORD_EVENT,
};

struct waiting { /* a record that the producer could not take; owns its bytes */
    struct waiting *next;
    struct wp_record record;
    char bytes[];
};

struct publisher {
    struct wp_pipeline *pipeline;
    struct waiting *oldest, **youngest;
    size_t count;
    uv_timer_t retry;
    struct wp_buf value; /* scratch */
};

static void on_retry(uv_timer_t *timer);

struct publisher *publisher_new(struct wp_pipeline *pipeline) {
    struct publisher *publisher = wp_calloc(1, sizeof *publisher);
    publisher->pipeline = pipeline;
    publisher->youngest = &publisher->oldest;
    uv_timer_init(pipeline->loop, &publisher->retry);
    publisher->retry.data = publisher;
    return publisher;
}

static void on_closed(uv_handle_t *handle) {
    struct publisher *publisher = handle->data;
    wp_buf_done(&publisher->value);
    free(publisher);
}

void publisher_free(struct publisher *publisher) {
    while (publisher->oldest) {
        struct waiting *waiting = publisher->oldest;
        publisher->oldest = waiting->next;
        if (waiting->record.headers) rd_kafka_headers_destroy(waiting->record.headers);
        if (waiting->record.token) wp_pipeline_delivered(publisher->pipeline, waiting->record.token, false);
        free(waiting);
    }
    uv_close((uv_handle_t *)&publisher->retry, on_closed);
}

bool publisher_is_full(const struct publisher *publisher) {
    return publisher->count >= FULL;
}
size_t publisher_waiting(const struct publisher *publisher) {
    return publisher->count;
}

static void keep(struct publisher *publisher, const struct wp_record *record) {
    struct waiting *waiting =
        wp_alloc(sizeof *waiting + record->key.len + record->value.len + record->traceparent.len);
    char *at = waiting->bytes;
    *waiting = (struct waiting){.record = *record};
    struct wp_str *const parts[] = {&waiting->record.key, &waiting->record.value,
                                    &waiting->record.traceparent};
    for (size_t i = 0; i < 3; i++) {
        if (parts[i]->ptr == NULL) continue;
        memcpy(at, parts[i]->ptr, parts[i]->len);
        parts[i]->ptr = at;
        at += parts[i]->len;
    }
    *publisher->youngest = waiting;
    publisher->youngest = &waiting->next;
    publisher->count++;
    if (!uv_is_active((uv_handle_t *)&publisher->retry))
        uv_timer_start(&publisher->retry, on_retry, RETRY_MS, RETRY_MS);
}

static void add_header(rd_kafka_headers_t *headers, const char *name, struct wp_str value) {
    rd_kafka_header_add(headers, name, -1, value.ptr, (ssize_t)value.len);
}

/* The producer takes headers in every case, so a record with headers that might have to wait is given a copy.
 */
static enum sent try_send(struct publisher *publisher, struct wp_record *record) {
    struct wp_record sent = *record;
    struct wp_error error;
    if (record->topic == WP_TOPIC_COMMAND) {
        int32_t partitions = wp_producer_partitions(publisher->pipeline->producer, WP_TOPIC_COMMAND);
        if (partitions <= 0) return LATER;
        sent.partition = (int32_t)(wp_str_hash(record->key) % (unsigned)partitions);
    }
    if (record->headers) sent.headers = rd_kafka_headers_copy(record->headers);
    enum wp_err err = wp_producer_send(publisher->pipeline->producer, &sent, &error);
    if (err) return err == WP_ERR_DATA ? TOO_LARGE : LATER;
    if (record->headers) rd_kafka_headers_destroy(record->headers);
    record->headers = NULL;
    return SENT;
}

/* A dead letter that is too large keeps its own headers and as much of the value as Kafka takes. */
static enum sent send_cut(struct publisher *publisher, struct wp_record *record) {
    static const char *const names[] = {"topic", "partition", "offset", "reason", "attempts", "cut_from"};
    rd_kafka_headers_t *headers = rd_kafka_headers_new(6);
    const void *value;
    size_t length;
    char size[24];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (!rd_kafka_header_get_last(record->headers, names[i], &value, &length))
            add_header(headers, names[i], (struct wp_str){value, length});
    }
    if (rd_kafka_header_get_last(headers, "cut_from", &value, &length))
        add_header(headers, "cut_from",
                   (struct wp_str){size, (size_t)snprintf(size, sizeof size, "%zu", record->value.len)});
    rd_kafka_headers_destroy(record->headers);
    record->headers = headers;
    enum sent sent;
    do {
        record->key.len = record->key.len > KEY_KEPT ? KEY_KEPT : record->key.len;
        record->value.len /= 2;
        sent = try_send(publisher, record);
    } while (sent == TOO_LARGE && record->value.len > 0);
    return sent;
}

/* Trying again is no use: the event goes to dead-letter in its place. */
static void give_up(struct publisher *publisher, struct wp_record *record) {
    struct event *event = record->token;
    char reason[160];
    snprintf(reason, sizeof reason,
             "its answer on %s is larger than kafka.message.max.bytes allows (%zu bytes)",
             wp_topics[record->topic].name, record->key.len + record->value.len);
    if (event->partition) publish_dead(event->partition, event, wp_str(reason));
    wp_pipeline_delivered(publisher->pipeline, event, true);
}

/* False: later. The record is not to be used any more otherwise. */
static bool send_or_give_up(struct publisher *publisher, struct wp_record *record) {
    enum sent sent = try_send(publisher, record);
    if (sent == TOO_LARGE && record->topic == WP_TOPIC_DEAD_LETTER)
        sent = send_cut(publisher, record);
    else if (sent == TOO_LARGE)
        give_up(publisher, record);
    return sent != LATER;
}

static void send_or_keep(struct publisher *publisher, struct wp_record *record) {
    if (publisher->count > 0 || !send_or_give_up(publisher, record)) keep(publisher, record);
}

static void on_retry(uv_timer_t *timer) {
    struct publisher *publisher = timer->data;
    while (publisher->oldest && send_or_give_up(publisher, &publisher->oldest->record)) {
        struct waiting *waiting = publisher->oldest;
        publisher->oldest = waiting->next;
        publisher->count--;
        free(waiting);
    }
    if (publisher->oldest) return;
    publisher->youngest = &publisher->oldest;
    uv_timer_stop(timer);
}

void publish_dead(struct partition *p, struct event *event, struct wp_str reason) {
    struct publisher *publisher = p->pipeline->publisher;
    rd_kafka_headers_t *headers = wp_record_in_headers(event->record, 6);
    char number[24];
    char *topic = wp_topic_full_name(p->pipeline->config, p->base.topic);
    add_header(headers, "topic", wp_str(topic));
    add_header(headers, "partition",
               (struct wp_str){number, (size_t)snprintf(number, sizeof number, "%d", p->base.number)});
    add_header(
        headers, "offset",
        (struct wp_str){number, (size_t)snprintf(number, sizeof number, "%lld", (long long)event->offset)});
    add_header(headers, "reason", reason);
    add_header(headers, "attempts",
               (struct wp_str){number, (size_t)snprintf(number, sizeof number, "%u", event->attempts + 1)});
    bool blank = p->base.topic == WP_TOPIC_ACQUIRE &&
                 !p->pipeline->config->deadletter.payload; /* a claim may be in it */
    if (blank)
        add_header(headers, "blanked_bytes",
                   (struct wp_str){number,
                                   (size_t)snprintf(number, sizeof number, "%zu", event->record->value.len)});
    wp_log(WP_LOG_WARN, "dead_letter", "topic=%s partition=%d offset=%lld reason=%.*s", topic, p->base.number,
           (long long)event->offset, (int)reason.len, reason.ptr);
    free(topic);
    struct wp_record record = {.topic = WP_TOPIC_DEAD_LETTER,
                               .key = event->record->key,
                               .value = blank ? (struct wp_str){0} : event->record->value,
                               .headers = headers,
                               .partition = -1,
                               .token = event};
    event->dead = true;
    event->outstanding++;
    send_or_keep(publisher, &record);
}

/* A record's fields, read and encoded into publisher->value. Returns its topic; WP_TOPICS when it is not of
 * this convention. */
static enum wp_topic encode(struct publisher *publisher, enum record_kind kind, struct wp_unpack *in,
                            struct event *event, struct wp_str *ret_id, struct wp_str *ret_key,
                            struct wp_str *ret_trace) {
    struct wp_pipeline *pipeline = publisher->pipeline;
    union {
        struct wp_assignment assignment;
        struct wp_command command;
        struct wp_cache_result result;
        struct wp_prediction prediction;
        struct wp_container_event event;
    } r;
    memset(&r, 0, sizeof r);
    enum wp_topic topic = WP_TOPICS;
    if (kind == RECORD_ASSIGNMENT && wp_read_assignment(in, &r.assignment, ret_key, ret_trace)) {
        topic = WP_TOPIC_ASSIGNMENT;
        *ret_id = r.assignment.request_id;
        event->answered = true;
        if (wp_str_is(r.assignment.status, "assigned")) {
            pipeline->stats->assigned++;
            if (event->partition->base.topic !=
                WP_TOPIC_ACQUIRE) /* it waited: measured by the slot's clock */
                wp_histogram_add(&pipeline->stats->acquire_to_assignment,
                                 (int64_t)(r.assignment.startup_time_ms * 1000));
        } else if (wp_str_is(r.assignment.status, "rejected")) {
            pipeline->stats->rejected++;
        } else {
            pipeline->stats->lost++;
        }
    } else if (kind == RECORD_COMMAND && wp_read_command(in, &r.command)) {
        topic = WP_TOPIC_COMMAND;
        *ret_id = r.command.host;
    } else if (kind == RECORD_CACHE_RESULT && wp_read_cache_result(in, &r.result)) {
        topic = WP_TOPIC_CACHE_RESULT;
        *ret_id = r.result.event_id;
    } else if (kind == RECORD_PREDICTION && wp_read_prediction(in, &r.prediction)) {
        topic = WP_TOPIC_PREDICTION;
        *ret_id = r.prediction.philosophy;
    } else if (kind == RECORD_EVENT && wp_read_container_event(in, &r.event)) {
        topic = WP_TOPIC_EVENT;
        *ret_id = r.event.container_id;
    }
    if (topic != WP_TOPICS) {
        wp_buf_reset(&publisher->value);
        wp_wire_encode(pipeline->wire, topic, &r, &publisher->value);
    }
    return topic;
}

/* One record; `in` stands at its first field. event is NULL when the record is not for this call: then it is
 * only skipped. */
static bool publish_record(struct partition *p, struct wp_unpack *in, uint32_t fields, struct event *event) {
    struct publisher *publisher = p->pipeline->publisher;
    enum record_kind kind = (enum record_kind)wp_unpack_int(in);
    struct wp_str key = {NULL, 0}, trace = {NULL, 0}, id = {NULL, 0};
    if (!event) {
        for (uint32_t i = 1; i < fields; i++) wp_unpack_skip(in);
        return !in->failed;
    }
    if (kind != RECORD_ASSIGNMENT) {
        key = wp_unpack_str(in);
        trace = wp_unpack_str(in);
    }
    if (kind == RECORD_DEAD) {
        struct wp_str reason = wp_unpack_str(in);
        if (!in->failed) publish_dead(p, event, reason);
        return !in->failed;
    }
    enum wp_topic topic = encode(publisher, kind, in, event, &id, &key, &trace);
    if (topic == WP_TOPICS) return false;
    /* A key that leaves no room for the answer gives way: the answer matters more. */
    bool by_id = key.len == 0 || key.len > KEY_COPIED || kind == RECORD_COMMAND || kind == RECORD_PREDICTION;
    struct wp_record record = {.topic = topic,
                               .key = by_id ? id : key,
                               .value = wp_buf_str(&publisher->value),
                               .traceparent = trace,
                               .partition = -1,
                               .token = event};
    event->outstanding++;
    send_or_keep(publisher, &record);
    return true;
}

bool publish_chunk(struct partition *p, struct wp_str chunk, int64_t first, int64_t last) {
    struct wp_unpack in = wp_unpack(chunk);
    uint32_t records = wp_unpack_array(&in);
    struct wp_unpack offsets = in; /* its first value; the records follow */
    wp_unpack_skip(&in);
    if (wp_unpack_array(&offsets) + 1 != records) return false;
    struct event *event = NULL;
    for (uint32_t i = 1; i < records && !in.failed; i++) {
        uint32_t fields = wp_unpack_array(&in);
        int64_t offset = wp_unpack_int(&offsets);
        if (!event || event->offset != offset)
            event = offset < first || offset > last ? NULL : partition_find(p, offset);
        bool wanted = event && event->state == EVENT_SENT;
        if (fields < 3 || !publish_record(p, &in, fields, wanted ? event : NULL)) return false;
    }
    return !in.failed;
}
