/* The metrics record, composed of given figures. */
#include "ops/metrics_record.h"
#include "ops/optimizer.h"
#include "ops/tuning.h"
#include "support/limits.h"
#include "support/ops_parts.h"
#include <criterion/criterion.h>
#include <math.h>

static struct ops_parts parts;
static json_t *record;

static void start(void) {
    ops_parts_start(&parts, NULL);
    parts.optimizer = optimizer_new(&parts.base);
    parts.tuning = tuning_new(&parts.base);
}
static void stop(void) {
    json_decref(record);
    optimizer_free(parts.optimizer);
    tuning_free(parts.tuning);
    ops_parts_stop(&parts);
}
TestSuite(ops_metrics_record, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

/* A figure by its path, up to NULL. */
static double at(const char *name, ...) {
    va_list names;
    const json_t *value = json_object_get(record, name);
    va_start(names, name);
    for (const char *next; (next = va_arg(names, const char *));) value = json_object_get(value, next);
    va_end(names);
    cr_assert(json_is_number(value), "no number at %s...", name);
    return json_number_value(value);
}

#define IS(expected, ...) cr_assert(fabs(at(__VA_ARGS__, NULL) - (expected)) < 1e-9)

Test(ops_metrics_record, sums_up_the_pools) {
    ops_parts_pool(
        &parts,
        "{'pool_size': 10, 'warm_start_enabled': false, 'tracked_agents': 17,"
        " 'total': {'available': 7, 'leased': 3, 'warm_starts': 150, 'cold_starts': 10,"
        " 'rejected': 2, 'lost': 1, 'warm_start_rate_percent': 93.75},"
        " 'pools': {'react': {'available': 6, 'ready': 4, 'pool_size': 10, 'utilization_percent': 60.0,"
        " 'peak_leased': 4, 'active': true, 'confidence': 0.25},"
        " 'multi_agent': {'available': 1, 'pool_size': 5, 'utilization_percent': 20.0,"
        " 'peak_leased': 8, 'draining': true}}}");
    record = metrics_record(ops_parts_snapshot(&parts));
    IS(93.75, "warm_start_rate_percent");
    IS(17, "tracked_agents");
    IS(150, "optimization_metrics", "warm_starts");
    IS(10, "optimization_metrics", "cold_starts");
    IS(15, "pool_stats", "total", "pool_size");
    IS(12, "pool_stats", "total", "peak_leased");
    IS(46.67, "pool_stats", "total", "utilization_percent");
    IS(2, "pool_stats", "total", "rejected");
    IS(60, "pool_stats", "pools", "react", "utilization_percent");
    IS(0.25, "pool_stats", "pools", "react", "confidence");
    IS(4, "pool_stats", "pools", "react", "ready");
    IS(0, "pool_stats", "pools", "react", "waiting");
    const json_t *stats = json_object_get(record, "pool_stats"), *pools = json_object_get(stats, "pools");
    cr_assert(json_is_false(json_object_get(stats, "warm_start_enabled")));
    cr_assert(json_is_true(json_object_get(json_object_get(pools, "react"), "active")));
    cr_assert(json_is_true(json_object_get(json_object_get(pools, "multi_agent"), "draining")));
}

Test(ops_metrics_record, of_no_figures_is_complete_and_zero) {
    record = metrics_record(ops_parts_snapshot(&parts));
    IS(0, "warm_start_rate_percent");
    IS(0, "cache_stats", "hit_rate_percent");
    IS(0, "pool_stats", "total", "utilization_percent");
    IS(10, "pool_stats", "pool_size");
    IS(0, "memory", "objects_collected");
    IS(90, "targets", "warm_start_rate_percent");
    IS(50, "targets", "utilization_min_percent");
}

Test(ops_metrics_record, carries_what_the_worker_counts) {
    parts.stats.records[WP_TOPIC_PREDICTION] = 6;
    parts.stats.assigned = 5;
    parts.stats.rejected = 4;
    parts.stats.lost = 3;
    parts.stats.ended[WP_END_OUT_OF_MEMORY] = 2;
    parts.stats.out_of_memory = 4;
    parts.stats.partitions = 2;
    parts.stats.redis_reconnects = 1;
    parts.stats.produce_errors = 8;
    parts.stats.optimizer_rounds = 9;
    parts.stats.optimizer_failures = 2;
    parts.stats.memory_released_mb = 125.499999;
    ops_parts_set(&parts, "host.name", "h7");
    for (int i = 1; i <= 100; i++) wp_histogram_add(&parts.stats.acquire_to_assignment, i * 1000);
    record = metrics_record(ops_parts_snapshot(&parts));
    IS(6, "worker", "records", "prediction");
    IS(5, "worker", "assigned");
    IS(4, "worker", "rejected");
    IS(3, "worker", "lost");
    IS(2, "worker", "ended", "out_of_memory");
    IS(4, "worker", "out_of_memory");
    IS(2, "worker", "partitions");
    IS(1, "worker", "redis", "reconnects");
    IS(8, "worker", "kafka", "produce_errors");
    IS(9, "optimization_metrics", "gc_collections");
    IS(2, "memory", "failures");
    IS(125.5, "optimization_metrics", "memory_released_mb");
    IS(100, "worker", "acquire_to_assignment", "count");
    IS(100, "worker", "acquire_to_assignment", "max_ms");
    double p50 = at("worker", "acquire_to_assignment", "p50_ms", NULL);
    cr_assert(p50 >= 50 && p50 < 52, "%f", p50);
    cr_assert_str_eq(json_string_value(json_object_get(json_object_get(record, "worker"), "host")), "h7");
}

Test(ops_metrics_record, says_why_redis_and_kafka_are_not_ready) {
    snprintf(parts.stats.redis.reason, sizeof parts.stats.redis.reason, "connection refused");
    parts.stats.kafka.ready = true;
    record = metrics_record(ops_parts_snapshot(&parts));
    const json_t *worker = json_object_get(record, "worker"), *redis = json_object_get(worker, "redis"),
                 *kafka = json_object_get(worker, "kafka");
    cr_assert(json_is_false(json_object_get(redis, "ready")));
    cr_assert_str_eq(json_string_value(json_object_get(redis, "reason")), "connection refused");
    cr_assert(json_is_true(json_object_get(kafka, "ready")));
    cr_assert(json_is_null(json_object_get(kafka, "reason")));
}
