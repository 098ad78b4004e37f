/* The Kafka producer: idempotent, acks=all. Each record has one delivery report, on the loop's thread. A
 * fatal error rebuilds the client; the records under way are reported as failed, and the pipeline starts
 * their partitions again. */
#ifndef WP_KAFKA_PRODUCER_H
#define WP_KAFKA_PRODUCER_H
#include <librdkafka/rdkafka.h>
#include <uv.h>
#include "wire/topics.h"
#include "core/stats.h"

struct wp_producer;

struct wp_report {     /* of one record's delivery */
    bool ok;           /* false: the record is certainly or possibly not written */
    int64_t append_ms; /* when the broker appended it, by the broker's clock; -1: not known (not ok, or the
                          topic has CreateTime) */
};
/* `token` as given to wp_producer_send. */
typedef void (*wp_producer_delivered)(void *ctx, void *token, const struct wp_report *report);

enum wp_err wp_producer_new(struct wp_producer **ret_producer, uv_loop_t *loop,
                            const struct wp_config *config, struct wp_stats *stats,
                            wp_producer_delivered delivered, void *ctx, struct wp_error *error) WP_MUST_CHECK;

struct wp_record {
    enum wp_topic topic;
    struct wp_str key;           /* ptr NULL: none */
    struct wp_str value;         /* copied */
    struct wp_str trace;         /* its traceparent and tracestate become headers (core/trace_context.h) */
    rd_kafka_headers_t *headers; /* further headers (dead-letter); taken, may be NULL */
    int32_t partition;           /* -1: by the key's hash (murmur2, as Java's default) */
    void *token;                 /* handed to `delivered`; NULL: no report wanted */
};

/* Takes record->headers in every case. After an error nothing was sent and no report comes. WP_ERR_KAFKA: the
 * queue is full or the client is being rebuilt, try again later; also a topic that is missing or forbidden,
 * if the record has no token (one with a token is reported as failed). WP_ERR_DATA: larger than
 * kafka.message.max.bytes, do not try again. */
enum wp_err wp_producer_send(struct wp_producer *producer, struct wp_record *record,
                             struct wp_error *error) WP_MUST_CHECK;
/* For a changed kafka.*: replaces the current client, whose records under way fail. */
void wp_producer_renew(struct wp_producer *producer);
/* Records handed over and not reported yet. */
size_t wp_producer_pending(const struct wp_producer *producer);
/* The number of partitions of a topic, some seconds old at most; 0: not known yet. Never blocks. */
int32_t wp_producer_partitions(struct wp_producer *producer, enum wp_topic topic);
/* Blocks until all is reported or the time is over; returns what is left. */
size_t wp_producer_flush(struct wp_producer *producer, int timeout_ms);
/* Pending records get no report any more: flush first. NULL is fine; run the loop once more afterwards. The
 * configuration given to wp_producer_new is borrowed until then. */
void wp_producer_free(struct wp_producer *producer);
/* The current client, NULL while it is rebuilt; borrowed. For tests that make it fail. */
rd_kafka_t *wp_producer_client(struct wp_producer *producer);

#endif
