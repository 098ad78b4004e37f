/* What ops/ publishes, on a real Kafka: topics of the test's own, producer and codec for ops_parts, and a
 * reader.
 */
#ifndef TEST_SUPPORT_OPS_KAFKA_H
#define TEST_SUPPORT_OPS_KAFKA_H
#include <librdkafka/rdkafka.h>
#include "support/ops_parts.h"

struct ops_kafka {
    struct ops_parts *parts;
    rd_kafka_t *reader;
    char key[256]; /* of the record taken last */
};

/* Makes the topics, of one partition, with the prefix `name`, and sets parts->base.producer and .wire. */
void ops_kafka_start(struct ops_kafka *kafka, struct ops_parts *parts, const char *bootstrap,
                     const char *name);
void ops_kafka_stop(struct ops_kafka *kafka); /* before ops_parts_stop */

/* The next record of any topic of ours that was published, as JSON, with its "topic" added; waits for it.
 * json_decref is the caller's. */
json_t *ops_take(struct ops_kafka *kafka);
/* The same without waiting longer than that; NULL when there is none. */
json_t *ops_take_within(struct ops_kafka *kafka, int ms);
const char *ops_text(const json_t *record, const char *field);

#endif
