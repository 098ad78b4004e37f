/* Opens a topic for a client that blocks. The caller's thread. */
#ifndef WP_KAFKA_TOPIC_OPEN_H
#define WP_KAFKA_TOPIC_OPEN_H
#include <librdkafka/rdkafka.h>
#include "core/config.h"

/* kafka.bootstrap.servers, for messages; borrowed. */
const char *wp_kafka_brokers(const struct wp_config *config);
/* Opens the topic `name` and gets its number of partitions. Asks again for two seconds, because the broker
 * may not know a topic yet that a worker has just made. *ret_topic is owned by the caller, after an error,
 * too (rd_kafka_topic_destroy). */
enum wp_err wp_topic_open(rd_kafka_t *rk, const struct wp_config *config, const char *name, int timeout_ms,
                          rd_kafka_topic_t **ret_topic, int *ret_partitions,
                          struct wp_error *error) WP_MUST_CHECK;

#endif
