/* The metrics record as JSON. Internal to ops/. */
#ifndef WP_OPS_METRICS_RECORD_H
#define WP_OPS_METRICS_RECORD_H
#include "ops/snapshot.h"

/* In the shape of schemas/metrics.avsc; json_decref is the caller's. */
json_t *metrics_record(const struct ops_snapshot *of);

#endif
