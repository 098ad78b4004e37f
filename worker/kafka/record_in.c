/* Copies of consumed records. No state; any thread. */
#include "kafka/record_in.h"
#include <stdlib.h>
#include "core/buf.h"
#include "core/err.h"
#include "core/secret.h"

enum { TRACE_MAX = 512 }; /* a traceparent has 55 bytes: a header that is far longer is ignored */

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
        if (wp_str_is(header->name, "traceparent") && size <= TRACE_MAX) record->traceparent = header->value;
    }
}

struct wp_record_in *wp_record_in_new(const rd_kafka_message_t *message) {
    rd_kafka_headers_t *headers = NULL;
    size_t text = message->key_len + message->len, count = 0;
    if (!rd_kafka_message_headers(message, &headers)) count = count_headers(headers, &text);
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
