/* What the parts of ops/ share. Internal to ops/. */
#ifndef WP_OPS_OPS_INTERNAL_H
#define WP_OPS_OPS_INTERNAL_H
#include <jansson.h>
#include "ops/ops.h"
#include "ops/warnings.h"

/* What the read functions of both slots said last; the same from every worker. NULL: never known yet. */
struct shared {
    json_t *pool, *cache; /* owned: wp_pool_stats, wp_cache_stats (redis/README.md) */
    int64_t pool_wall_ms; /* when the pools' figures came; 0: never */
};

struct wp_ops {
    uv_loop_t *loop;
    const struct wp_config *config;
    struct wp_stats *stats;
    struct wp_link *links[WP_SLOTS];
    struct wp_producer *producer;
    struct wp_wire *wire;
    char worker_id[128]; /* worker.id, else host name and process id */
    int64_t started_wall_ms;
    struct shared shared;
    struct shared_reader *reader;
    struct warnings warnings; /* of the last metrics round */
    struct http *http;
    struct sweeper *sweeper;
    struct prewarm *prewarm;
    struct optimizer *optimizer;
    struct tuning *tuning;
    struct metrics *metrics;
    bool started;
};

/* Publishes an event of ours (nobody waits for it); false when the producer cannot take it now. */
bool wp_ops_publish(struct wp_ops *ops, enum wp_topic topic, struct wp_str key, const void *event);
/* The same to a partition of its own choice, -1: by the key. */
bool wp_ops_publish_to(struct wp_ops *ops, enum wp_topic topic, int32_t partition, struct wp_str key,
                       const void *event);

/* A number of a JSON object, 0 when there is none. */
static inline double figure_of(const json_t *object, const char *name) {
    return json_number_value(json_object_get(object, name));
}
static inline int64_t count_of(const json_t *object, const char *name) {
    return (int64_t)figure_of(object, name);
}
/* The JSON object that a read function answered with; NULL when it is an error or none. Owned by the caller.
 */
json_t *wp_ops_parse(const redisReply *reply);
/* Resident memory of this process, bytes; 0 when /proc is not there. */
uint64_t wp_ops_rss_bytes(void);

#endif
