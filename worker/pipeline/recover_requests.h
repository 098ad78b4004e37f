/* What a recovery has read of each request, and the rows that Redis gets of it. Calls pool/recover_calls.h
 * for the rows. One thread. */
#ifndef WP_PIPELINE_RECOVER_REQUESTS_H
#define WP_PIPELINE_RECOVER_REQUESTS_H
#include <librdkafka/rdkafka.h>
#include "wire/wire.h"

struct recover_requests;

struct recover_requests *recover_requests_new(const struct wp_config *config, struct wp_wire *wire);
void recover_requests_free(struct recover_requests *requests); /* NULL is fine */

/* Takes a record of container-acquire, -assignment or -release; at_ms: its time. A record that cannot be
 * decoded is ignored. False: its schema is being looked up, and it is to be handed over again. */
bool recover_requests_take(struct recover_requests *requests, enum wp_topic topic,
                           const rd_kafka_message_t *message, int64_t at_ms);
/* All records before at_ms were taken: forgets the requests that ended more than pool.request_ttl before it.
 * That bounds memory, however long the topics are. */
void recover_requests_read_until(struct recover_requests *requests, int64_t at_ms);

size_t recover_requests_count(const struct recover_requests *requests);
/* Takes out requests, the youngest leases first, until they have given `most` rows of the function recover
 * (pool/recover_calls.h), and appends these rows. Returns their number. */
uint32_t recover_requests_pack(struct recover_requests *requests, uint32_t most, struct wp_buf *rows);

#endif
