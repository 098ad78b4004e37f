/* What all parts of ops/ use: the loop, the configuration, the counters, the links and the producer. It holds
 * no state of a part. Internal to ops/. */
#ifndef WP_OPS_BASE_H
#define WP_OPS_BASE_H
#include "core/worker_name.h"
#include "kafka/producer.h"
#include "store/link.h"
#include "wire/wire.h"

struct ops_base { /* does not change once it is filled; the pointers are borrowed */
    uv_loop_t *loop;
    const struct wp_config *config;
    struct wp_stats *stats;
    struct wp_link *links[WP_SLOTS];
    struct wp_producer *producer;
    struct wp_wire *wire;
    char worker_id[WP_WORKER_NAME_BYTES]; /* wp_worker_name */
    int64_t started_wall_ms;
};

/* Publishes an event, without a report of its delivery. False: the producer cannot take it now. */
bool wp_ops_publish(const struct ops_base *base, enum wp_topic topic, struct wp_str key, const void *event);
/* The same to a given partition; -1: by the key's hash. */
bool wp_ops_publish_to(const struct ops_base *base, enum wp_topic topic, int32_t partition, struct wp_str key,
                       const void *event);

#endif
