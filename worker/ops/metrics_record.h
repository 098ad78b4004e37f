/* The metrics record as JSON. Internal to ops/. */
#ifndef WP_OPS_METRICS_RECORD_H
#define WP_OPS_METRICS_RECORD_H
#include "ops/snapshot.h"

/* In the shape of schemas/metrics.avsc; owned by the caller (json_decref). */
json_t *metrics_record(const struct ops_snapshot *of);

#endif
