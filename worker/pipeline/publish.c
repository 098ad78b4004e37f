/* Owns the queue of records that the producer could not take. The loop's thread. */
#include "pipeline/publish.h"
#include "core/buf.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RETRY_MS = 10, WAITING_MAX = 256, KEY_BYTES_KEPT = 256 };

enum sent { SENT, LATER, TOO_LARGE };

struct waiting { /* a record that the producer could not take; owns its bytes */
    struct waiting *next;
    struct wp_record record;
    char bytes[];
};

struct publisher {
    const struct pipeline_context *context;
    struct publisher_callbacks callbacks;
    struct waiting *oldest, **youngest;
    size_t count;
    uv_timer_t retry;
};

struct publisher *publisher_new(const struct pipeline_context *context,
                                const struct publisher_callbacks *callbacks) {
    struct publisher *publisher = wp_calloc(1, sizeof *publisher);
    publisher->context = context;
    publisher->callbacks = *callbacks;
    publisher->youngest = &publisher->oldest;
    uv_timer_init(context->loop, &publisher->retry);
    publisher->retry.data = publisher;
    return publisher;
}

static void on_closed(uv_handle_t *handle) {
    free(handle->data);
}

void publisher_free(struct publisher *publisher) {
    if (!publisher) return;
    while (publisher->oldest) {
        struct waiting *waiting = publisher->oldest;
        publisher->oldest = waiting->next;
        if (waiting->record.headers) rd_kafka_headers_destroy(waiting->record.headers);
        publisher->callbacks.dropped(publisher->callbacks.ctx, waiting->record.token);
        free(waiting);
    }
    uv_close((uv_handle_t *)&publisher->retry, on_closed);
}

bool publisher_is_full(const struct publisher *publisher) {
    return publisher->count >= WAITING_MAX;
}
size_t publisher_waiting(const struct publisher *publisher) {
    return publisher->count;
}

/* The producer takes the headers even when it refuses the record, so it is given a copy: the record may have
 * to wait and be sent again. */
static enum sent try_send(struct publisher *publisher, struct wp_record *record) {
    struct wp_producer *producer = publisher->context->producer;
    struct wp_record sent = *record;
    struct wp_error error;
    if (record->topic == WP_TOPIC_COMMAND) {
        int32_t partitions = wp_producer_partitions(producer, WP_TOPIC_COMMAND);
        if (partitions <= 0) return LATER;
        sent.partition = (int32_t)(wp_str_hash(record->key) % (unsigned)partitions);
    }
    if (record->headers) sent.headers = rd_kafka_headers_copy(record->headers);
    enum wp_err err = wp_producer_send(producer, &sent, &error);
    if (err) return err == WP_ERR_DATA ? TOO_LARGE : LATER;
    if (record->headers) rd_kafka_headers_destroy(record->headers);
    record->headers = NULL;
    return SENT;
}

static void copy_header(rd_kafka_headers_t *to, rd_kafka_headers_t *from, const char *name) {
    const void *value;
    size_t length;
    if (!rd_kafka_header_get_last(from, name, &value, &length))
        rd_kafka_header_add(to, name, -1, value, (ssize_t)length);
}

/* A dead letter that is too large keeps the headers that say what it is, and as much of the value as Kafka
 * takes. */
static enum sent send_cut(struct publisher *publisher, struct wp_record *record) {
    static const char *const names[] = {"topic", "partition", "offset", "reason", "attempts", "cut_from"};
    rd_kafka_headers_t *headers = rd_kafka_headers_new(7);
    const void *value;
    size_t length;
    char size[24];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        copy_header(headers, record->headers, names[i]);
    if (rd_kafka_header_get_last(headers, "cut_from", &value, &length)) {
        int digits = snprintf(size, sizeof size, "%zu", record->value.len);
        rd_kafka_header_add(headers, "cut_from", -1, size, digits);
    }
    rd_kafka_headers_destroy(record->headers);
    record->headers = headers;
    enum sent sent;
    do {
        record->key.len = record->key.len > KEY_BYTES_KEPT ? KEY_BYTES_KEPT : record->key.len;
        record->value.len /= 2;
        sent = try_send(publisher, record);
    } while (sent == TOO_LARGE && record->value.len > 0);
    return sent;
}

/* False: the producer cannot take it now. True: sent, or replaced by too_large. */
static bool send_now(struct publisher *publisher, struct wp_record *record) {
    enum sent sent = try_send(publisher, record);
    if (sent == TOO_LARGE && record->topic == WP_TOPIC_DEAD_LETTER) {
        sent = send_cut(publisher, record);
    } else if (sent == TOO_LARGE) {
        char reason[160];
        (void)snprintf(reason, sizeof reason,
                       "its answer on %s is larger than kafka.message.max.bytes allows (%zu bytes)",
                       wp_topics[record->topic].name, record->key.len + record->value.len);
        publisher->callbacks.too_large(publisher->callbacks.ctx, record->token, reason);
    }
    return sent != LATER;
}

static void on_retry(uv_timer_t *timer) {
    struct publisher *publisher = timer->data;
    while (publisher->oldest && send_now(publisher, &publisher->oldest->record)) {
        struct waiting *waiting = publisher->oldest;
        publisher->oldest = waiting->next;
        if (!publisher->oldest) publisher->youngest = &publisher->oldest;
        publisher->count--;
        free(waiting);
    }
    if (!publisher->oldest) uv_timer_stop(timer);
}

static void keep(struct publisher *publisher, const struct wp_record *record) {
    struct waiting *waiting =
        wp_alloc(sizeof *waiting + record->key.len + record->value.len + record->trace.len);
    char *at = waiting->bytes;
    *waiting = (struct waiting){.record = *record};
    struct wp_str *const parts[] = {&waiting->record.key, &waiting->record.value, &waiting->record.trace};
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

void publisher_send(struct publisher *publisher, struct wp_record *record) {
    if (publisher->count > 0 || !send_now(publisher, record)) keep(publisher, record);
}
