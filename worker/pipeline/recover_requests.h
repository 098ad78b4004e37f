/* What a recovery has read of each request, and what of it Redis should know. One thread. */
#ifndef WP_PIPELINE_RECOVER_REQUESTS_H
#define WP_PIPELINE_RECOVER_REQUESTS_H
#include <librdkafka/rdkafka.h>
#include "wire/wire.h"

struct recover_requests;

struct recover_requests *recover_requests_new(const struct wp_config *config, struct wp_wire *wire);
void recover_requests_free(struct recover_requests *requests); /* NULL is fine */

/* A record of container-acquire, -assignment or -release; at_ms: its time. One that cannot be read says
 * nothing. */
void recover_requests_take(struct recover_requests *requests, enum wp_topic topic,
                           const rd_kafka_message_t *message, int64_t at_ms);
/* All records before that time were taken, ms: who ended pool.request_ttl earlier is forgotten. So much is
 * kept at a time, however long the topics are. */
void recover_requests_read_until(struct recover_requests *requests, int64_t at_ms);

size_t recover_requests_count(const struct recover_requests *requests);
/* Takes out as many as give so many rows of recover (pool/recover_calls.h), the youngest leases first, and
 * adds these. How many they are. */
uint32_t recover_requests_pack(struct recover_requests *requests, uint32_t most, struct wp_buf *rows);

#endif
