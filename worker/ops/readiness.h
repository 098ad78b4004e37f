/* Why a worker is not ready, as /readyz and the status page say it. Internal to ops/. */
#ifndef WP_OPS_READINESS_H
#define WP_OPS_READINESS_H
#include "core/buf.h"
#include "core/stats.h"

/* Adds a line for each part that is not ready, "redis: not connected yet\n"; nothing when all are. */
void readiness_write(const struct wp_stats *stats, struct wp_buf *out);

#endif
