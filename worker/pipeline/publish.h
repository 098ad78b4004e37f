/* The publisher: passes records to the producer in order; those that it cannot take now wait here and are
 * tried again. The loop's thread. */
#ifndef WP_PIPELINE_PUBLISH_H
#define WP_PIPELINE_PUBLISH_H
#include "pipeline/context.h"

struct publisher;

struct publisher_callbacks { /* both get the record's token, which the publisher no longer uses */
    /* Kafka will never take the record: the callee publishes something else in its place. */
    void (*too_large)(void *ctx, void *token, const char *reason);
    /* The record was still waiting when the publisher was freed. */
    void (*dropped)(void *ctx, void *token);
    void *ctx;
};

struct publisher *publisher_new(const struct pipeline_context *context,
                                const struct publisher_callbacks *callbacks);
void publisher_free(struct publisher *publisher); /* NULL is fine; run the loop once more afterwards */

/* Copies what has to wait; takes record->headers. A command goes to the partition of its key, the host. A
 * dead letter that is too large is cut. */
void publisher_send(struct publisher *publisher, struct wp_record *record);
/* True when so many records wait that no further calls should be sent. */
bool publisher_is_full(const struct publisher *publisher);
size_t publisher_waiting(const struct publisher *publisher);

#endif
