/* Kafka clients for the subcommands: a producer that counts its deliveries, and a reader of whole topics that
 * is in no consumer group. Both block; one thread. A missing topic is an error, so that a misspelled name
 * does not create a topic. */
#ifndef WP_CLI_KAFKA_H
#define WP_CLI_KAFKA_H
#include <librdkafka/rdkafka.h>
#include "wire/topics.h"

struct wp_cli_producer {
    rd_kafka_t *rk;         /* owned */
    char *names[WP_TOPICS]; /* full names of the opened topics, owned */
    rd_kafka_topic_t
        *topics[WP_TOPICS]; /* owned; open, so that the first record does not wait for metadata */
    size_t pending, failed;
    char why[256]; /* the first failed delivery */
};

/* Connects and opens the topics. */
enum wp_err wp_cli_producer_open(struct wp_cli_producer *producer, const struct wp_config *config,
                                 const enum wp_topic *topics, size_t count, int timeout_ms,
                                 struct wp_error *error) WP_MUST_CHECK;
/* Copies key (ptr NULL: none) and value. Waits while the queue is full. WP_ERR_DATA: it is too large. */
enum wp_err wp_cli_producer_send(struct wp_cli_producer *producer, enum wp_topic topic, struct wp_str key,
                                 struct wp_str value, struct wp_error *error) WP_MUST_CHECK;
void wp_cli_producer_poll(struct wp_cli_producer *producer);
/* Waits for all deliveries; WP_ERR_KAFKA when one failed or was not confirmed in time. */
enum wp_err wp_cli_producer_flush(struct wp_cli_producer *producer, int timeout_ms,
                                  struct wp_error *error) WP_MUST_CHECK;
void wp_cli_producer_close(struct wp_cli_producer *producer); /* zero-initialised is fine */

enum wp_reader_start { WP_READ_FROM_BEGINNING, WP_READ_FROM_END };

struct wp_reader {
    rd_kafka_t *rk;                          /* owned */
    char *names[WP_TOPICS];                  /* owned; NULL: not read */
    rd_kafka_topic_partition_list_t *unread; /* owned: partitions whose end was not reached yet */
};

/* Reads every partition from its beginning or from its current end: records that are published after this
 * returns are read. */
enum wp_err wp_reader_open(struct wp_reader *reader, const struct wp_config *config,
                           const enum wp_topic *topics, size_t count, enum wp_reader_start start,
                           int timeout_ms, struct wp_error *error) WP_MUST_CHECK;
/* The next record, which the caller frees (rd_kafka_message_destroy). NULL when none came in time; sooner at
 * the end of a partition and after an error. */
rd_kafka_message_t *wp_reader_next(struct wp_reader *reader, int timeout_ms);
enum wp_topic wp_reader_topic(const struct wp_reader *reader, const rd_kafka_message_t *message);
/* True when every partition's end has been reached once. */
bool wp_reader_caught_up(const struct wp_reader *reader);
void wp_reader_close(struct wp_reader *reader); /* zero-initialised is fine */

#endif
