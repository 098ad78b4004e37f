/* The figures as Prometheus text (exposition format 0.0.4). Internal to ops/. */
#ifndef WP_OPS_PROMETHEUS_H
#define WP_OPS_PROMETHEUS_H
#include "core/buf.h"

struct wp_ops;
void wp_prometheus_write(struct wp_ops *ops, struct wp_buf *out);

#endif
