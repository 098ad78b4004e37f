/* What the state slot answers, as records for Kafka: from a chunk of a function's reply (redis/README.md) to
 * the topics, and events that cannot be handled to dead-letter. The loop's thread. */
#ifndef WP_PIPELINE_RECORDS_H
#define WP_PIPELINE_RECORDS_H
#include "pipeline/partition.h"
#include "pipeline/publish.h"

struct records;

/* Borrows both. */
struct records *records_new(const struct pipeline_context *context, struct publisher *publisher);
void records_free(struct records *records); /* NULL is fine */

/* Publishes the records of a chunk that belong to events of the batch up to `applied`. reply: the chunk, or
 * an array of it and an array of values. False: it is not of this convention. */
bool records_publish(struct records *records, struct partition *p, const struct wp_batch *batch,
                     int64_t applied, const redisReply *reply);
/* The item's own bytes to dead-letter; the delivery core counts one record for it. attempts: how often it was
 * tried. */
void records_dead_letter(struct records *records, struct item *item, struct wp_str reason, unsigned attempts);
/* Kafka will never take one of the item's records, whose reference this takes over: a dead letter goes in its
 * place. */
void records_replace(struct records *records, struct item *item, const char *reason);

#endif
