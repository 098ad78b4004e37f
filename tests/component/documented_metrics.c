/* The documented scenario of the performance metrics, under its documented name: the documented figures, made
 * by events on a real Redis. */
#include "ops/metrics_record.h"
#include "ops/optimizer.h"
#include "ops/tuning.h"
#include "support/cache_slot.h"
#include "support/limits.h"
#include "support/ops_parts.h"
#include "support/pool_slot.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct pool_slot pool;
static struct cache_slot cache; /* in the same Redis */
static struct ops_parts parts;

static void start(void) {
    struct wp_error error;
    pool_slot_start(&pool);
    pool.unchecked = true;
    cache = (struct cache_slot){.redis = pool.redis, .settings = CACHE_SETTINGS(1000), .last = -1};
    calls_load(&cache.redis, WP_SLOT_CACHE);
    ops_parts_start(&parts, NULL);
    pool_host(&pool, "h1", 50, 0);
    cr_assert_eq(wp_wire_new(&parts.base.wire, &parts.config, &error), WP_OK, "%s", error.text);
    parts.optimizer = optimizer_new(&parts.base);
    parts.tuning = tuning_new(&parts.base);
}
static void stop(void) {
    wp_wire_free(parts.base.wire);
    optimizer_free(parts.optimizer);
    tuning_free(parts.tuning);
    ops_parts_stop(&parts);
    calls_reply_done(&cache.answer);
    pool_slot_stop(&pool);
}
TestSuite(documented, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

static void warm_starts(const char *philosophy, int count) {
    for (int i = 0; i < count; i++) {
        char id[32];
        snprintf(id, sizeof id, "w-%s-%d", philosophy, i);
        cr_assert_str_eq(pool_acquire(&pool, .id = id, .philosophy = philosophy), "assigned");
        pool_release_as(&pool, id, philosophy, "", true);
    }
}

static void cold_starts(int count) {
    for (int i = 0; i < count; i++) {
        char id[32];
        snprintf(id, sizeof id, "c%d", i);
        cr_assert_str_eq(pool_acquire(&pool, .id = id), "");
        pool_ready_created(&pool);
        pool_release_as(&pool, id, "react", "", false); /* not to be used again */
    }
}

static void run_agents(int count) {
    struct test_events events = {0};
    for (int i = 0; i < count; i++) {
        char agent[16];
        snprintf(agent, sizeof agent, "a%d", i);
        event_add(&events, pool_next(&pool, POOL_USAGE) + i, "sssddd", "", agent, "react", 10.0, 100.0, 1.0);
    }
    pool_send(&pool, POOL_USAGE, &events);
}

/* 1050 gets in one call: 1000 find one of 150 entries. */
static void look_up(void) {
    struct test_events events = {0};
    for (int i = 0; i < 150; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        cache_add(&cache, &events, "set", "tool", key, "value", NO_TTL, 0);
    }
    for (int i = 0; i < 1050; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i < 1000 ? i % 150 : i);
        cache_add(&cache, &events, "get", "tool", key, NULL, NO_TTL, 0);
    }
    cache_send(&cache, &events);
}

/* The record of what Redis says now, as a consumer of the topic reads it. */
static json_t *reported(void) {
    struct wp_error error;
    struct wp_buf bytes = {0}, text = {0};
    parts.shared.pool = calls_public(&pool.redis, "wp_pool_stats", NULL);
    parts.shared.cache = calls_public(&cache.redis, "wp_cache_stats", NULL);
    json_t *record = metrics_record(ops_parts_snapshot(&parts));
    char *json = json_dumps(record, 0);
    cr_assert_eq(wp_wire_encode_json(parts.base.wire, WP_TOPIC_METRICS, wp_str(json), &bytes, &error), WP_OK,
                 "%s", error.text);
    cr_assert_eq(wp_wire_decode_json(parts.base.wire, WP_TOPIC_METRICS, wp_buf_str(&bytes), &text, &error),
                 WP_OK, "%s", error.text);
    free(json);
    json_decref(record);
    record = json_loadb(text.data, text.len, 0, NULL);
    wp_buf_done(&bytes);
    wp_buf_done(&text);
    return record;
}

Test(documented, test_optimizer_performance_metrics) {
    look_up();
    cold_starts(10);
    pool_warm(&pool, "react", 8);
    pool_warm(&pool, "chain_of_thought", 5);
    warm_starts("react", 100);
    warm_starts("chain_of_thought", 50);
    run_agents(3);
    parts.stats.optimizer_rounds = 5;
    parts.stats.memory_released_mb = 125.5;
    json_t *record = reported();
    cr_assert_gt(json_number_at(record, "timestamp_ms", NULL), 1.6e12);
    cr_assert_eq(json_number_at(record, "optimization_metrics", "cache_hits", NULL), 1000);
    cr_assert_eq(json_number_at(record, "optimization_metrics", "cache_misses", NULL), 50);
    cr_assert_eq(json_number_at(record, "optimization_metrics", "warm_starts", NULL), 150);
    cr_assert_eq(json_number_at(record, "optimization_metrics", "cold_starts", NULL), 10);
    cr_assert_eq(json_number_at(record, "optimization_metrics", "gc_collections", NULL), 5);
    cr_assert_eq(json_number_at(record, "optimization_metrics", "memory_released_mb", NULL), 125.5);
    cr_assert_eq(json_number_at(record, "cache_stats", "size", NULL), 150);
    cr_assert_eq(json_number_at(record, "cache_stats", "max_size", NULL), 1000);
    cr_assert_eq(json_number_at(record, "cache_stats", "hits", NULL), 1000);
    cr_assert_eq(json_number_at(record, "cache_stats", "misses", NULL), 50);
    cr_assert_eq(json_number_at(record, "cache_stats", "hit_rate_percent", NULL), 95.24);
    cr_assert_eq(json_number_at(record, "cache_stats", "namespaces", "tool", "size", NULL), 150);
    cr_assert_eq(json_number_at(record, "pool_stats", "pool_size", NULL), 10);
    cr_assert(json_is_true(json_object_get(json_object_get(record, "pool_stats"), "warm_start_enabled")));
    cr_assert_eq(json_number_at(record, "pool_stats", "pools", "react", "available", NULL), 8);
    cr_assert_eq(json_number_at(record, "pool_stats", "pools", "react", "utilization_percent", NULL), 80);
    cr_assert_eq(json_number_at(record, "pool_stats", "pools", "chain_of_thought", "available", NULL), 5);
    cr_assert_eq(
        json_number_at(record, "pool_stats", "pools", "chain_of_thought", "utilization_percent", NULL), 50);
    cr_assert_eq(json_number_at(record, "pool_stats", "total", "available", NULL), 13);
    cr_assert_eq(json_number_at(record, "pool_stats", "total", "pool_size", NULL), 20);
    cr_assert_eq(json_number_at(record, "pool_stats", "total", "utilization_percent", NULL), 65);
    cr_assert_eq(json_number_at(record, "warm_start_rate_percent", NULL), 93.75);
    cr_assert_eq(json_number_at(record, "tracked_agents", NULL), 3);
    cr_assert_eq(json_number_at(record, "targets", "hit_rate_percent", NULL), 90);
    cr_assert_eq(json_number_at(record, "targets", "warm_start_rate_percent", NULL), 90);
    cr_assert_eq(json_number_at(record, "targets", "utilization_min_percent", NULL), 50);
    cr_assert_eq(json_number_at(record, "targets", "utilization_max_percent", NULL), 80);
    json_decref(record);
}
