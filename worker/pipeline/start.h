/* Where a partition begins (delivery rule 6): what Kafka has answered, what the state slot says, and telling
 * the delivery core. The decision itself is delivery/begin.h's. The loop's thread. */
#ifndef WP_PIPELINE_START_H
#define WP_PIPELINE_START_H
#include "pipeline/partition.h"

struct starter { /* embedded by the pipeline */
    const struct pipeline_context *context;
    /* The slot has lost its data: rebuild it, unless that is under way. */
    void (*recover)(void *ctx);
    void *ctx;
};

/* Kafka's answer about the partition is in p->base; error: NULL, or why there is none. Ends in
 * wp_delivery_begin, _block or _ask_again, now or later. */
void start_partition(const struct starter *starter, struct partition *p, const char *error);

#endif
