/* Looks at the cluster and makes missing topics, before consumer and producer are used. Blocks: for start-up
 * and `check`. */
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
/* The largest message that every topic takes that workers write to, and the name of the topic that takes the
 * least (owned). INT64_MAX and "": Kafka does not say within a second, or there is no such topic. */
enum wp_err wp_admin_message_limit(const struct wp_config *config, int64_t *ret_bytes, char **ret_topic,
                                   struct wp_error *error) WP_MUST_CHECK;
/* The input topics whose records have their producer's time (CreateTime) instead of the broker's, separated
 * by commas (owned, "" when none, or when Kafka does not say within a second). */
enum wp_err wp_admin_producers_time(const struct wp_config *config, char **ret_topics,
                                    struct wp_error *error) WP_MUST_CHECK;

#endif
