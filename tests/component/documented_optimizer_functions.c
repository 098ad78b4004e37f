/* The documented scenarios of the optimizer's configuration, caching and tracking, under their documented
 * names: the Redis functions with the settings that a worker hands them. */
#include "cache/cache_calls.h"
#include "ops/optimizer.h"
#include "pool/pool_calls.h"
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
static char *cache_settings;

/* MessagePack of the worker's own pack function, as JSON. */
static json_t *unpacked(struct wp_buf *packed) {
    json_t *all = calls_unpack_all(packed->data, packed->len);
    json_t *settings = json_incref(json_array_get(all, 0));
    json_decref(all);
    wp_buf_done(packed);
    return settings;
}

/* Both slots go by the worker's configuration. */
static void configure(void) {
    struct wp_buf packed = {0};
    wp_pack_pool_settings(&packed, &parts.config);
    json_decref(pool.settings);
    pool.settings = unpacked(&packed);
    wp_pack_cache_settings(&packed, &parts.config);
    json_t *settings = unpacked(&packed);
    free(cache_settings);
    cache.settings = cache_settings = json_dumps(settings, 0);
    json_decref(settings);
}

static void start(void) {
    pool_slot_start(&pool);
    cache = (struct cache_slot){.redis = pool.redis, .last = -1};
    calls_load(&cache.redis, WP_SLOT_CACHE);
    ops_parts_start(&parts, NULL);
    configure();
    pool_host(&pool, "h1", 50, 0);
}
static void stop(void) {
    free(cache_settings);
    ops_parts_stop(&parts);
    calls_reply_done(&cache.answer);
    pool_slot_stop(&pool);
}
TestSuite(documented, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

static bool optimizer_would_run(void) {
    struct optimizer *optimizer = optimizer_new(&parts.base);
    optimizer_start(optimizer);
    bool runs = optimizer_running(optimizer);
    cr_assert_eq(optimizer_result(optimizer)->enabled, runs);
    optimizer_free(optimizer);
    return runs;
}

/* Sizes are as given, and each flag works without the others. */
Test(documented, test_optimizer_initialization) {
    ops_parts_set(&parts, "cache.max_entries", "42");
    ops_parts_set(&parts, "pool.size", "5");
    configure();
    cache_set(&cache, "tool", "a", "value", NO_TTL);
    pool_warm(&pool, "react", 100);
    cr_assert_eq(cache_stat(&cache, "max_size"), 42);
    cr_assert_eq(pool_stat(&pool, "react", "pool_size"), 5);
    cr_assert_eq(pool_stat(&pool, "react", "available"), 5);
    cr_assert(optimizer_would_run());

    ops_parts_set(&parts, "cache.enabled", "false");
    configure();
    cr_assert_null(cache_get(&cache, "tool", "a"), "without the cache every get is a miss");
    cr_assert_str_eq(cache_reason(&cache), "disabled");
    cr_assert_str_eq(pool_acquire(&pool, .id = "r1"), "assigned", "the pool works without the cache");
    cr_assert(optimizer_would_run());

    ops_parts_set(&parts, "cache.enabled", "true");
    ops_parts_set(&parts, "pool.enabled", "false");
    configure();
    cr_assert_str_eq(cache_get(&cache, "tool", "a"), "value", "the cache works without the pool");
    cr_assert_str_eq(pool_acquire(&pool, .id = "r2"), "", "without the pool nothing is handed out warm");
    cr_assert(optimizer_would_run());

    ops_parts_set(&parts, "pool.enabled", "true");
    ops_parts_set(&parts, "memory.enabled", "false");
    configure();
    cr_assert_not_null(cache_get(&cache, "tool", "a"));
    cr_assert_not(optimizer_would_run());
}

Test(documented, test_optimizer_container_creation_without_pool) {
    ops_parts_set(&parts, "pool.enabled", "false");
    configure();
    pool_control(&pool, "react", "pre_warm", 3);
    cr_assert_eq(pool_commands(&pool, "create"), 0, "nothing is kept ready");
    const char *ids[] = {"r1", "r2"};
    for (int i = 0; i < 2; i++) {
        cr_assert_str_eq(pool_acquire(&pool, .id = ids[i], .agent = "a1"), "");
        cr_assert_eq(pool_commands(&pool, "create"), 1, "a container of its own");
        pool_ready_created(&pool);
        cr_assert_str_eq(pool_answer_str(&pool, ids[i], "status"), "assigned");
        cr_assert_not(record_bool(&pool.answer, (size_t)pool_answer_of(&pool, ids[i]), "warm_start"));
        pool_release(&pool, ids[i]);
        cr_assert_eq(pool_commands(&pool, "destroy"), 1, "and never used again");
        cr_assert_eq(pool_stat(&pool, "react", "available"), 0);
    }
    cr_assert_eq(pool_stat(&pool, "react", "cold_starts"), 2);
    cr_assert_eq(pool_stat(&pool, "react", "warm_starts"), 0);
}

/* Kept for so many seconds, and not one longer. */
static void is_kept(const char *ns, int seconds) {
    cache_set(&cache, ns, "key", "{\"name\": \"calculator\"}", NO_TTL);
    cr_assert_str_eq(cache_get(&cache, ns, "key"), "{\"name\": \"calculator\"}");
    cr_assert_eq(record_int(&cache.answer, 0, "ttl_seconds"), seconds);
    cache_advance_time(&cache, seconds - 1);
    cr_assert_str_eq(cache_get(&cache, ns, "key"), "{\"name\": \"calculator\"}");
    cache_advance_time(&cache, 1);
    cr_assert_null(cache_get(&cache, ns, "key"));
}

Test(documented, test_optimizer_tool_metadata_caching) {
    is_kept("tool", 600);
    cr_assert_eq(cache_namespace_stat(&cache, "tool", "hits"), 2);
    cr_assert_eq(cache_namespace_stat(&cache, "tool", "misses"), 1);
}

Test(documented, test_optimizer_execution_pattern_caching) {
    is_kept("pattern", 300);
    cache_set(&cache, "pattern", "key", "of a pattern", NO_TTL);
    cr_assert_null(cache_get(&cache, "tool", "key"), "a namespace of its own");
}

static void use(const char *agent, double cpu, double memory, double seconds) {
    struct test_events events = {0};
    event_add(&events, pool_next(&pool, POOL_USAGE), "sssddd", "", agent, "react", cpu, memory, seconds);
    pool_send(&pool, POOL_USAGE, &events);
}

static double tracked_agents(void) {
    json_t *stats = calls_public(&pool.redis, "wp_pool_stats", NULL);
    double count = json_number_at(stats, "tracked_agents", NULL);
    json_decref(stats);
    return count;
}

Test(documented, test_optimizer_resource_tracking) {
    pool_warm(&pool, "react", 1);
    pool_acquire(&pool, .id = "r1", .agent = "a1");
    use("a1", 45, 180, 25);
    use("a2", 55, 220, 35);
    json_t *agent = calls_public(&pool.redis, "wp_agents", "a1", NULL);
    cr_assert_eq(json_number_at(agent, "cpu_percent", NULL), 45);
    cr_assert_eq(json_number_at(agent, "memory_mb", NULL), 180);
    cr_assert_eq(json_number_at(agent, "execution_time_seconds", NULL), 25);
    cr_assert_str_eq(json_string_value(json_object_get(agent, "philosophy")), "react");
    cr_assert_str_eq(json_string_value(json_object_get(agent, "request_id")), "r1");
    json_decref(agent);
    cr_assert_eq(tracked_agents(), 2);
    pool_release(&pool, "r1");
    cr_assert_eq(tracked_agents(), 1, "an agent whose lease is over is forgotten");
    cr_assert_eq(pool_predicted(&pool, "react", "samples"), 2, "what was learned of it stays");
}

static double recommended(const char *name) {
    char field[64];
    snprintf(field, sizeof field, "recommended.%s", name);
    return pool_predicted(&pool, "react", field);
}

Test(documented, test_optimizer_resource_prediction) {
    for (int i = 0; i < 10; i++) use("", i % 2 ? 45 : 55, i % 2 ? 180 : 220, i % 2 ? 25 : 35);
    cr_assert_eq(pool_predicted(&pool, "react", "requirements.cpu_percent"), 60, "the mean of 50, times 1.2");
    cr_assert_eq(pool_predicted(&pool, "react", "requirements.memory_mb"), 240);
    cr_assert_eq(pool_predicted(&pool, "react", "requirements.execution_time_seconds"), 36);
    cr_assert_eq(pool_predicted(&pool, "react", "confidence"), 0.1);
    cr_assert_eq(recommended("cpu_percent"), 50, "below 0.3: the defaults");
    cr_assert_eq(recommended("memory_mb"), 256);
    for (int i = 0; i < 20; i++) use("", 50, 200, 30);
    cr_assert_eq(pool_predicted(&pool, "react", "confidence"), 0.3);
    cr_assert_eq(recommended("cpu_percent"), 75, "from 0.3 on: the mean times 1.5");
    for (int i = 0; i < 40; i++) use("", 50, 200, 30);
    cr_assert_eq(pool_predicted(&pool, "react", "confidence"), 0.7);
    cr_assert_eq(recommended("memory_mb"), 240, "from 0.7 on: the mean times 1.2");
    cr_assert_str_eq(pool_acquire(&pool, .id = "r1", .agent = "a1"), "");
    pool_ready_created(&pool);
    cr_assert_eq(pool_answer_number(&pool, "r1", "prediction.confidence"), 0.7, "every assignment has it");
    cr_assert_eq(pool_answer_number(&pool, "r1", "prediction.recommended.cpu"), 60);
    cr_assert_eq(pool_answer_number(&pool, "r1", "limits.cpu"), 60, "and the container is held to it");
}
