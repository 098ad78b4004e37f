/* The parts of ops/ put together by hand, for tests: a loop, a configuration, counters, and links if asked
 * for; no Kafka. */
#ifndef TEST_SUPPORT_OPS_PARTS_H
#define TEST_SUPPORT_OPS_PARTS_H
#include "support/loop.h"
#include "ops/snapshot.h"
#include "ops/tuning.h"
#include "support/limits.h"
#include "support/redis.h"

struct ops_parts {
    uv_loop_t loop;
    struct wp_config config;
    struct wp_stats stats;
    struct ops_base base;
    struct shared shared;
    struct warnings warnings;
    struct ops_snapshot snapshot; /* made by ops_parts_snapshot */
    /* What a test makes of them; NULL: not made. */
    struct shared_reader *reader;
    struct http *http;
    struct optimizer *optimizer;
    struct tuning *tuning;
};

/* Defaults, with http.listen = 127.0.0.1:0. `redis` NULL: no links; else both lead there. */
void ops_parts_start(struct ops_parts *parts, struct test_redis *redis);
void ops_parts_stop(struct ops_parts *parts); /* what the test made of ops is freed before */
/* Of the parts as they are now; borrowed. */
const struct ops_snapshot *ops_parts_snapshot(struct ops_parts *parts);
/* "section.key" = value, before something is made of it. */
void ops_parts_set(struct ops_parts *parts, const char *key, const char *value);
/* The configuration as it is now is the latest that a worker has read: both slots go by it. */
void ops_parts_say_settings(struct ops_parts *parts);
/* Figures in place of what Redis would say, JSON in which ' may stand for ". */
void ops_parts_pool(struct ops_parts *parts, const char *json);
void ops_parts_cache(struct ops_parts *parts, const char *json);
json_t *ops_json(const char *json);

/* Runs the loop until the condition holds; a test that waits longer fails. */
#define OPS_WAIT(parts, condition)                                                                           \
    do {                                                                                                     \
        uint64_t end_ = uv_hrtime() + WAIT_LIMIT_S * UINT64_C(1000000000);                                   \
        while (!(condition) && uv_hrtime() < end_) loop_turn(&(parts)->loop);                                \
        cr_assert(condition, "waited for: %s", #condition);                                                  \
    } while (0)

/* One HTTP request over the loop: "GET", "/healthz". The whole answer, NUL-terminated; free is the caller's.
 */
char *ops_http(struct ops_parts *parts, int family, int port, const char *method, const char *path);

#endif
