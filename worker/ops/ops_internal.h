/* What the parts of ops/ share. Internal to ops/. */
#ifndef WP_OPS_OPS_INTERNAL_H
#define WP_OPS_OPS_INTERNAL_H
#include "ops/ops.h"

struct wp_ops {
    uv_loop_t *loop;
    const struct wp_config *config;
    struct wp_stats *stats;
    struct wp_link *links[WP_SLOTS];
    struct wp_sink *sink;
    struct wp_wire *wire;
    char worker_id[128]; /* worker.id, else host name and process id */
    int64_t started_wall_ms;
    struct http *http;
    struct sweeper *sweeper;
    struct prewarm *prewarm;
    bool started;
};

/* Publishes an event of ours (nobody waits for it); false when the sink cannot take it now. */
bool wp_ops_publish(struct wp_ops *ops, enum wp_topic topic, struct wp_str key, const void *event);

#endif
