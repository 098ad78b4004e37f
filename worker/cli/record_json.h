/* A consumed record as one JSON object: topic, partition, offset, timestamp, key, headers, and the value
 * decoded by the topic's schema. */
#ifndef WP_CLI_RECORD_JSON_H
#define WP_CLI_RECORD_JSON_H
#include <librdkafka/rdkafka.h>
#include "registry/schemas.h"

/* Appends the object, on one line. A value that cannot be decoded, or of dead-letter, is written as text, or
 * as value_base64 when it is not UTF-8. Numbers and strings of a JSON value are copied as they are. */
void wp_record_json(struct wp_buf *out, struct wp_schemas *schemas, enum wp_topic topic,
                    const rd_kafka_message_t *message);

#endif
