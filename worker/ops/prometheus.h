/* Writes the snapshot as Prometheus text (exposition format 0.0.4). Internal to ops/. */
#ifndef WP_OPS_PROMETHEUS_H
#define WP_OPS_PROMETHEUS_H
#include "core/buf.h"
#include "ops/snapshot.h"

void wp_prometheus_write(const struct ops_snapshot *snapshot, struct wp_buf *out);

#endif
