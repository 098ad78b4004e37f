/* Makes the records for Kafka: those in a chunk of a function's reply (redis/README.md), and dead letters of
 * events that cannot be handled. Passes them to the publisher. The loop's thread. */
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
/* Publishes the item's own bytes to dead-letter; the delivery core counts one record for it. attempts: how
 * often the event was tried. */
void records_dead_letter(struct records *records, struct item *item, struct wp_str reason, unsigned attempts);
/* Kafka will never take one of the item's records: publishes a dead letter in its place, which takes over the
 * record's reference to the item. */
void records_replace(struct records *records, struct item *item, const char *reason);

#endif
