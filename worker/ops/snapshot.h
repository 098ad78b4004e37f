/* The figures for the metrics record and /metrics: pointers to each part's own, borrowed, so that they are
 * current whenever they are read. Internal to ops/. */
#ifndef WP_OPS_SNAPSHOT_H
#define WP_OPS_SNAPSHOT_H
#include "ops/base.h"
#include "ops/optimizer.h"
#include "ops/shared.h"
#include "ops/warnings.h"

struct ops_snapshot {
    const struct ops_base *base;
    const struct shared *shared;
    const struct warnings *warnings; /* in force since the last round */
    /* For the record alone: */
    const struct optimizer_result *optimizer;
    json_t *tuning_applied; /* what tuning_applied returned */
};

#endif
