/* Records on their way to Kafka, in order: what the producer cannot take now waits here and is tried again.
 * The loop's thread. */
#ifndef WP_PIPELINE_PUBLISH_H
#define WP_PIPELINE_PUBLISH_H
#include "pipeline/context.h"

struct publisher;

struct publisher_callbacks { /* both are given the record's token, which is the callee's again */
    /* Kafka will never take the record, for this reason: something else has to be published in its place. */
    void (*too_large)(void *ctx, void *token, const char *reason);
    /* It was still waiting when the publisher ended. */
    void (*dropped)(void *ctx, void *token);
    void *ctx;
};

struct publisher *publisher_new(const struct pipeline_context *context,
                                const struct publisher_callbacks *callbacks);
void publisher_free(struct publisher *publisher); /* NULL is fine; run the loop once more afterwards */

/* Copies what has to wait; takes record->headers. A command goes to the partition of its key, the host. A
 * dead letter that is too large is cut. */
void publisher_send(struct publisher *publisher, struct wp_record *record);
/* So much waits that nothing more should be asked for. */
bool publisher_is_full(const struct publisher *publisher);
size_t publisher_waiting(const struct publisher *publisher);

#endif
