/* Copies of consumed records. No state; any thread. */
#include "kafka/record_in.h"
#include <stdlib.h>
#include "core/buf.h"
#include "core/err.h"
#include "core/secret.h"
#include "core/trace_context.h"

static size_t count_headers(rd_kafka_headers_t *headers, size_t *ret_bytes) {
    const char *name;
    const void *value;
    size_t size, count = 0;
    while (!rd_kafka_header_get_all(headers, count, &name, &value, &size)) {
        *ret_bytes += strlen(name) + size;
        count++;
    }
    return count;
}

static struct wp_str copy(char **at, const void *bytes, size_t len) {
    struct wp_str text = {bytes ? *at : NULL, len};
    if (bytes && len > 0) memcpy(*at, bytes, len);
    *at += len;
    return text;
}

static void copy_headers(struct wp_record_in *record, rd_kafka_headers_t *headers, char **at) {
    const char *name;
    const void *value;
    size_t size;
    for (size_t i = 0; i < record->header_count; i++) {
        if (rd_kafka_header_get_all(headers, i, &name, &value, &size)) break;
        struct wp_header_in *header = &record->headers[i];
        header->name = copy(at, name, strlen(name));
        header->value = copy(at, value, size);
    }
}

static struct wp_str last_header(const struct wp_record_in *record, const char *name) {
    for (size_t i = record->header_count; i-- > 0;)
        if (wp_str_is(record->headers[i].name, name)) return record->headers[i].value;
    return WP_STR("");
}

/* Bytes for the two headers that belong to a trace as one text; 0: one of them is not there, or too long. */
static size_t room_for_trace(rd_kafka_headers_t *headers) {
    const void *value;
    size_t parent, state;
    if (rd_kafka_header_get_last(headers, "traceparent", &value, &parent) ||
        rd_kafka_header_get_last(headers, "tracestate", &value, &state))
        return 0;
    return parent <= WP_TRACEPARENT_MAX && state <= WP_TRACESTATE_MAX ? parent + 1 + state : 0;
}

/* at: has the room of room_for_trace. */
static void set_trace(struct wp_record_in *record, char *at) {
    struct wp_str parent = last_header(record, "traceparent"), state = last_header(record, "tracestate");
    if (!wp_traceparent_may_travel(parent)) return;
    record->trace = parent;
    if (!wp_tracestate_may_travel(state)) return;
    record->trace = copy(&at, parent.ptr, parent.len);
    (void)copy(&at, " ", 1);
    (void)copy(&at, state.ptr, state.len);
    record->trace.len += 1 + state.len;
}

struct wp_record_in *wp_record_in_new(const rd_kafka_message_t *message) {
    rd_kafka_headers_t *headers = NULL;
    size_t text = message->key_len + message->len, count = 0;
    if (!rd_kafka_message_headers(message, &headers)) {
        count = count_headers(headers, &text);
        text += room_for_trace(headers);
    }
    size_t bytes = sizeof(struct wp_record_in) + count * sizeof(struct wp_header_in) + text;
    struct wp_record_in *record = wp_alloc(bytes);
    rd_kafka_timestamp_type_t type;
    *record = (struct wp_record_in){.offset = message->offset, .bytes = bytes, .header_count = count};
    record->timestamp_ms = rd_kafka_message_timestamp(message, &type);
    record->append_time = type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME;
    record->headers = (struct wp_header_in *)(record + 1);
    char *at = (char *)(record->headers + count);
    record->key = copy(&at, message->key, message->key_len);
    record->value = copy(&at, message->payload, message->len);
    if (count > 0) copy_headers(record, headers, &at);
    if (count > 0) set_trace(record, at);
    return record;
}

void wp_record_in_free(struct wp_record_in *record) {
    if (record) wp_wipe(record, record->bytes);
    free(record);
}

rd_kafka_headers_t *wp_record_in_headers(const struct wp_record_in *record, size_t more) {
    rd_kafka_headers_t *headers = rd_kafka_headers_new(record->header_count + more);
    for (size_t i = 0; i < record->header_count; i++) {
        const struct wp_header_in *header = &record->headers[i];
        rd_kafka_header_add(headers, header->name.ptr, (ssize_t)header->name.len, header->value.ptr,
                            (ssize_t)header->value.len);
    }
    return headers;
}
