/* The producer of the subcommands, which counts its deliveries. It blocks; one thread. A missing topic is an
 * error, so that a misspelled name does not create a topic. */
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

#endif
