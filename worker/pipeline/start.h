/* Finds out where a partition begins (delivery rule 6): takes Kafka's answer, asks the state slot, and
 * reports the decision of delivery/begin.h to the delivery core. The loop's thread. */
#ifndef WP_PIPELINE_START_H
#define WP_PIPELINE_START_H
#include "pipeline/partition.h"

struct starter { /* embedded by the pipeline */
    const struct pipeline_context *context;
    /* The slot has lost its data: rebuild it, unless that is under way. */
    void (*recover)(void *ctx);
    void *ctx;
};

/* Kafka's answer to the offset query is in p->base; error: NULL, or why there is no answer. Ends in
 * wp_delivery_begin, _block or _ask_again, now or later. */
void start_partition(const struct starter *starter, struct partition *p, const char *error);

#endif
