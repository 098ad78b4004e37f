/* Asks the cluster about its topics and makes the missing ones, before consumer and producer are used. Each
 * function blocks: they are for start-up and `warmpool check`. */
#ifndef WP_KAFKA_ADMIN_H
#define WP_KAFKA_ADMIN_H
#include <librdkafka/rdkafka.h>
#include "wire/topics.h"

/* Connects, lists, creates what is missing (topics.partitions, topics.replication; LogAppendTime for inputs,
 * compact for prediction). An existing topic with another number of partitions is left as it is. WP_ERR_KAFKA
 * names the brokers and what to do. */
enum wp_err wp_admin_ensure_topics(const struct wp_config *config, int timeout_ms,
                                   struct wp_error *error) WP_MUST_CHECK;
/* Connects and lists only; *ret_missing gets a comma-separated list of topics that do not exist (owned, ""
 * when none). */
enum wp_err wp_admin_check(const struct wp_config *config, int timeout_ms, char **ret_cluster_id,
                           char **ret_missing, struct wp_error *error) WP_MUST_CHECK;
/* The largest message that every topic written by workers accepts, in bytes, and the name of the topic with
 * that limit (owned). INT64_MAX and "": Kafka did not answer within a second, or the topics do not exist. */
enum wp_err wp_admin_message_limit(const struct wp_config *config, int64_t *ret_bytes, char **ret_topic,
                                   struct wp_error *error) WP_MUST_CHECK;
/* The input topics whose records carry their producer's time (CreateTime) instead of the broker's, separated
 * by commas (owned; "" when there are none, or Kafka did not answer within a second). */
enum wp_err wp_admin_producers_time(const struct wp_config *config, char **ret_topics,
                                    struct wp_error *error) WP_MUST_CHECK;

#endif
