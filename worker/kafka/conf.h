/* librdkafka's properties: warmpool's defaults, and kafka.* over them. Any thread. */
#ifndef WP_KAFKA_CONF_H
#define WP_KAFKA_CONF_H
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include "core/config.h"

/* kafka.message.max.bytes, or librdkafka's default. */
int64_t wp_kafka_message_max(const struct wp_config *config);
/* A client configuration with all of kafka.*, without the properties that only the other kind of client has
 * (producer for a consumer, consumer for a producer). Owned by the caller; NULL with an error. */
rd_kafka_conf_t *wp_kafka_conf(const struct wp_config *config, bool consumer, struct wp_error *error);

#endif
