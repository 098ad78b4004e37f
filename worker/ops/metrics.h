/* The metrics record: every metrics.interval the shared figures are read, judged and published together with
 * the worker's own. Internal to ops/. */
#ifndef WP_OPS_METRICS_H
#define WP_OPS_METRICS_H
#include "ops/ops_internal.h"

struct metrics *metrics_new(struct wp_ops *ops);
void metrics_start(struct metrics *metrics);
/* Publishes a last record with what is known. */
void metrics_stop(struct metrics *metrics);
void metrics_free(struct metrics *metrics); /* NULL is fine */

/* The record as JSON, in the shape of schemas/metrics.avsc; json_decref is the caller's. */
json_t *metrics_record(const struct wp_ops *ops);

#endif
