/* A copy of a record that was read from Kafka, in one allocation. A message of librdkafka's would keep its
 * whole fetch response in memory, up to a megabyte. Any thread. */
#ifndef WP_KAFKA_RECORD_IN_H
#define WP_KAFKA_RECORD_IN_H
#include <librdkafka/rdkafka.h>
#include "core/str.h"

struct wp_header_in {
    struct wp_str name, value; /* value.ptr is NULL when the header has none */
};

struct wp_record_in { /* all that it points to is part of the same allocation */
    int64_t offset;
    int64_t timestamp_ms; /* -1: the record has none */
    bool append_time;     /* the broker set the timestamp (LogAppendTime); false: the producer (CreateTime) */
    size_t bytes;         /* what the record costs in memory: the whole allocation */
    struct wp_str key;    /* ptr is NULL when it has none */
    struct wp_str value;
    struct wp_str trace; /* the last headers traceparent and tracestate (core/trace_context.h); len 0: none */
    size_t header_count;
    struct wp_header_in *headers; /* all of them, traceparent too */
};

/* A copy of a message without an error; the message stays the caller's. Freed by wp_record_in_free. */
struct wp_record_in *wp_record_in_new(const rd_kafka_message_t *message);
void wp_record_in_free(struct wp_record_in *record); /* NULL is fine */
/* A copy of its headers for librdkafka (rd_kafka_headers_destroy), with room for `more`; never NULL. */
rd_kafka_headers_t *wp_record_in_headers(const struct wp_record_in *record, size_t more);

#endif
