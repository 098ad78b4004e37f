/* librdkafka's properties: warmpool's defaults, and kafka.* over them. Any thread. */
#ifndef WP_KAFKA_CONF_H
#define WP_KAFKA_CONF_H
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include "core/config.h"

/* kafka.message.max.bytes, or librdkafka's default. */
int64_t wp_kafka_message_max(const struct wp_config *config);
/* A client configuration with all of kafka.* in it. `consumer` leaves out producer-only properties and the
 * other way round. */
rd_kafka_conf_t *wp_kafka_conf(const struct wp_config *config, bool consumer, struct wp_error *error);

#endif
