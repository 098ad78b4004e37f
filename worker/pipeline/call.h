/* Calls of the topics' functions: one carries the batches of several partitions of a topic, and its reply one
 * answer for each. Internal to pipeline/. */
#ifndef WP_PIPELINE_CALL_H
#define WP_PIPELINE_CALL_H
#include "pipeline/partition.h"

/* As many calls as may be under way, for what the topic's partitions have not sent yet. */
void topic_send(struct wp_pipeline *pipeline, enum wp_topic topic);
/* An empty call for the partitions whose slot does not know their floor. */
void topic_tell_floors(struct wp_pipeline *pipeline, enum wp_topic topic);
/* Rule 7: compares what the slot knows of the partition with what it had acknowledged. */
void partition_verify(struct partition *p);

#endif
