/* Records to Kafka: what a call answered, and dead letters. What the producer cannot take now is kept in
 * order and tried again. Internal to pipeline/. */
#ifndef WP_PIPELINE_PUBLISH_H
#define WP_PIPELINE_PUBLISH_H
#include "pipeline/partition.h"

struct publisher;
struct publisher *publisher_new(struct wp_pipeline *pipeline);
void publisher_free(struct publisher *publisher);

/* Publishes the records of `chunk` that belong to events of this partition between first and last that are
 * SENT, and counts them in their `outstanding`. False when the chunk is not MessagePack of this convention.
 */
bool publish_chunk(struct partition *p, struct wp_str chunk, int64_t first, int64_t last);
/* The event's own bytes to dead-letter. */
void publish_dead(struct partition *p, struct event *event, struct wp_str reason);
/* True while records wait for the producer: no new calls then. */
bool publisher_is_full(const struct publisher *publisher);
size_t publisher_waiting(const struct publisher *publisher);

#endif
