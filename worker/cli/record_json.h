/* A consumed record as one JSON object: where it lay, its key, its headers, and its value decoded by the
 * topic's schema. */
#ifndef WP_CLI_RECORD_JSON_H
#define WP_CLI_RECORD_JSON_H
#include <librdkafka/rdkafka.h>
#include "wire/wire.h"

/* Appends it, on one line. A value that the schema does not fit, and those of dead-letter, stand as text, or
 * as value_base64; one in JSON has its numbers and strings as they were written. */
void wp_record_json(struct wp_buf *out, struct wp_wire *wire, enum wp_topic topic,
                    const rd_kafka_message_t *message);

#endif
