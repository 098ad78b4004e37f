/* Calls of the topics' functions: one carries the batches of several partitions of a topic, and its reply one
 * answer for each (redis/README.md). The loop's thread. */
#ifndef WP_PIPELINE_CALLS_H
#define WP_PIPELINE_CALLS_H
#include "pipeline/records.h"

struct calls;

/* Borrows all. partitions: where the pipeline's list begins; a sent batch moves its partition to the list's
 * end. */
struct calls *calls_new(const struct pipeline_context *context, struct records *records,
                        struct publisher *publisher, struct partition **partitions);
/* Answers are ignored from now on; freed when the last call has ended. */
void calls_free(struct calls *calls);

/* Sends the next events of the topic's partitions, in as many calls as may be under way (worker.calls). */
void calls_send(struct calls *calls, enum wp_topic topic);
/* Tells the slot a floor that no batch carries. */
void calls_tell_floor(struct calls *calls, struct partition *p, int64_t prev, int64_t floor);
/* Rule 7: compares what the slot has of the partition with what it has acknowledged to this worker. */
void calls_verify(struct calls *calls, struct partition *p);

#endif
