/* The metrics record of a whole worker's ops, read back from a real Kafka. */
#include "core/clock.h"
#include "ops/figures.h"
#include "ops/ops.h"
#include "support/cache_slot.h"
#include "support/kafka_shared.h"
#include "support/limits.h"
#include "support/ops_kafka.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

static struct cache_slot slot;
static struct ops_parts parts;
static struct ops_kafka kafka;
static struct wp_ops *ops;

static void start(void) {
    char name[32];
    struct wp_error error;
    snprintf(name, sizeof name, "t%d-", (int)getpid());
    cache_slot_start(&slot, CACHE_SETTINGS(1000));
    ops_parts_start(&parts, &slot.redis);
    ops_parts_set(&parts, "pool.prewarm", "");
    ops_parts_set(&parts, "metrics.interval", "1");
    ops_parts_set(&parts, "memory.interval", "1");
    ops_parts_set(&parts, "worker.id", "the-worker");
    parts.stats.redis.ready = parts.stats.kafka.ready = parts.stats.state.ready = true;
    parts.stats.started_us = wp_clock_us();
    ops_kafka_start(&kafka, &parts, kafka_shared(), name);
    cr_assert_eq(wp_ops_new(&ops, &parts.loop, &parts.config, &parts.stats, parts.base.links,
                            parts.base.producer, parts.base.wire, &error),
                 WP_OK, "%s", error.text);
}
static void stop(void) {
    wp_ops_free(ops);
    ops_kafka_stop(&kafka);
    ops_parts_stop(&parts);
    cache_slot_stop(&slot);
}
TestSuite(ops_record, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

static json_t *take(void) {
    json_t *record = ops_take(&kafka);
    cr_assert_str_eq(ops_text(record, "topic"), "metrics");
    return record;
}

/* A figure by its path: "cache_stats", "hits". */
#define FIGURE(record, part, name) figure_of(json_object_get(record, part), name)
#define IS(a, b) (fabs((a) - (b)) < 1e-9)

Test(ops_record, has_the_documented_structure_under_the_documented_names) {
    cache_set(&slot, "tool", "calculator", "add", NO_TTL);
    for (int i = 0; i < 20; i++) cache_get(&slot, "tool", "calculator");
    cache_get(&slot, "tool", "none");
    parts.stats.events[WP_TOPIC_ACQUIRE][WP_DONE_OK] = 3;
    parts.stats.lag[WP_TOPIC_CACHE] = 4;
    wp_histogram_add(&parts.stats.acquire_to_assignment, 1000);
    ops_parts_say_settings(&parts);
    wp_ops_start(ops);
    json_t *record = take();
    cr_assert_str_eq(kafka.key, "the-worker");
    cr_assert(IS(FIGURE(record, "optimization_metrics", "cache_hits"), 20));
    cr_assert(IS(FIGURE(record, "optimization_metrics", "cache_misses"), 1));
    cr_assert(json_object_get(json_object_get(record, "optimization_metrics"), "gc_collections"));
    cr_assert(IS(FIGURE(record, "cache_stats", "size"), 1));
    cr_assert(IS(FIGURE(record, "cache_stats", "max_size"), 1000));
    cr_assert(IS(FIGURE(record, "cache_stats", "hit_rate_percent"), 95.24));
    cr_assert(IS(
        FIGURE(json_object_get(json_object_get(record, "cache_stats"), "namespaces"), "tool", "hits"), 20));
    cr_assert(IS(FIGURE(record, "pool_stats", "pool_size"), 10));
    cr_assert(json_is_true(json_object_get(json_object_get(record, "pool_stats"), "warm_start_enabled")));
    cr_assert(IS(FIGURE(record, "targets", "hit_rate_percent"), 90));
    cr_assert(IS(FIGURE(record, "targets", "utilization_max_percent"), 80));
    const json_t *worker = json_object_get(record, "worker");
    cr_assert_str_eq(ops_text(worker, "id"), "the-worker");
    cr_assert_str_eq(ops_text(worker, "version"), WP_VERSION);
    cr_assert(IS(figure_of(json_array_get(json_object_get(worker, "events"), WP_TOPIC_ACQUIRE), "ok"), 3));
    cr_assert(IS(FIGURE(worker, "lag", "cache"), 4));
    cr_assert(IS(FIGURE(worker, "acquire_to_assignment", "p99_ms"), 1));
    cr_assert(json_is_true(json_object_get(json_object_get(worker, "redis"), "ready")));
    cr_assert(figure_of(worker, "rss_mb") > 1);
    cr_assert_str_eq(ops_text(json_object_get(record, "tuning"), "mode"), "advise");
    cr_assert_eq(json_array_size(json_object_get(record, "warnings")), 0);
    json_decref(record);
}

/* The text of the first warning of the next record that has one. */
static json_t *take_warned(void) {
    for (int i = 0; i < 10; i++) {
        json_t *record = take(), *warnings = json_object_get(record, "warnings");
        json_t *first = json_incref(json_array_get(warnings, 0));
        json_decref(record);
        if (first) return first;
    }
    return NULL;
}

Test(ops_record, carries_the_warnings_with_figure_target_and_advice) {
    wp_ops_start(ops);
    for (int i = 0; i < 20; i++) cache_get(&slot, "tool", "none");
    json_t *warning = take_warned();
    cr_assert(warning);
    cr_assert_str_eq(ops_text(warning, "code"), "cache_hit_rate_low");
    cr_assert_str_eq(ops_text(warning, "subject"), "cache");
    cr_assert(strstr(ops_text(warning, "advice"), "from 1000 to 2000"));
    cr_assert(IS(figure_of(warning, "figure"), 0) && IS(figure_of(warning, "target"), 90));
    json_decref(warning);
}

Test(ops_record, goes_on_without_redis_with_what_was_known) {
    cache_set(&slot, "tool", "calculator", "add", NO_TTL);
    wp_ops_start(ops);
    json_t *record = take();
    cr_assert(IS(FIGURE(record, "cache_stats", "size"), 1));
    json_decref(record);
    test_redis_kill(&slot.redis);
    parts.stats.redis.ready = false;
    snprintf(parts.stats.redis.reason, sizeof parts.stats.redis.reason, "it is gone");
    bool ready = true;
    for (int i = 0; ready && i < 10; i++) {
        record = take();
        const json_t *redis = json_object_get(json_object_get(record, "worker"), "redis");
        ready = json_is_true(json_object_get(redis, "ready"));
        cr_assert(ready || strcmp(ops_text(redis, "reason"), "it is gone") == 0);
        cr_assert(IS(FIGURE(record, "cache_stats", "size"), 1), "the last known");
        json_decref(record);
    }
    cr_assert_not(ready);
}

Test(ops_record, is_published_a_last_time_at_the_stop) {
    ops_parts_set(&parts, "metrics.interval", "3600");
    wp_ops_start(ops);
    wp_ops_stop(ops); /* before the first round */
    wp_ops_stop(ops);
    json_t *record = take();
    cr_assert(IS(FIGURE(record, "cache_stats", "max_size"), 0), "nothing was known");
    cr_assert(IS(FIGURE(record, "pool_stats", "pool_size"), 10), "but for the configuration");
    json_decref(record);
    cr_assert_null(ops_take_within(&kafka, 300), "once");
}

Test(ops_record, counts_the_optimizers_rounds) {
    ops_parts_set(&parts, "memory.interval", "3"); /* longer than metrics.interval: a record for each round */
    cache_set(&slot, "tool", "calculator", "add", 5);
    cache_advance_time(&slot, 6);
    wp_ops_start(ops);
    double rounds = 0, collected = 0;
    for (int i = 0; i < 30 && rounds < 2; i++) {
        json_t *record = take();
        rounds = FIGURE(record, "optimization_metrics", "gc_collections");
        cr_assert(IS(FIGURE(record, "memory", "rounds"), rounds));
        collected += FIGURE(record, "memory", "objects_collected");
        cr_assert(json_is_true(json_object_get(json_object_get(record, "memory"), "enabled")));
        json_decref(record);
    }
    cr_assert(rounds >= 2);
    cr_assert(collected >= 1);
}

Test(ops_record, an_empty_id_is_made_of_machine_and_process) {
    char machine[64] = "", wanted[96];
    struct wp_ops *other;
    gethostname(machine, sizeof machine - 1);
    snprintf(wanted, sizeof wanted, "%s-%d", machine, (int)getpid());
    ops_parts_set(&parts, "worker.id", "");
    cr_assert_eq(wp_ops_new(&other, &parts.loop, &parts.config, &parts.stats, parts.base.links,
                            parts.base.producer, parts.base.wire, NULL),
                 WP_OK);
    wp_ops_start(other);
    wp_ops_stop(other); /* publishes a record */
    json_t *record = take();
    cr_assert_str_eq(kafka.key, wanted);
    json_decref(record);
    wp_ops_free(other);
}

Test(ops_record, a_wrong_address_ends_the_start) {
    struct wp_ops *other;
    struct wp_error error;
    ops_parts_set(&parts, "http.listen", "no.such.host.invalid:1");
    cr_assert_eq(wp_ops_new(&other, &parts.loop, &parts.config, &parts.stats, parts.base.links,
                            parts.base.producer, parts.base.wire, &error),
                 WP_ERR_CONFIG);
    cr_assert(strstr(error.text, "http.listen"));
}
