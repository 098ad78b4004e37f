/* What the policies publish, read back from a real Kafka: pre-warming, the sweep, tuning, trimming. */
#include "ops/figures.h"
#include "ops/optimizer.h"
#include "ops/prewarm.h"
#include "ops/sweeper.h"
#include "ops/tuning.h"
#include "support/kafka_shared.h"
#include "support/limits.h"
#include "support/ops_kafka.h"
#include "support/pool_slot.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

static struct pool_slot slot;
static struct ops_parts parts;
static struct ops_kafka kafka;

static void start(void) {
    char name[32];
    snprintf(name, sizeof name, "t%d-", (int)getpid());
    pool_slot_start(&slot);
    pool_host(&slot, "h1", 200, 0);
    ops_parts_start(&parts, &slot.redis);
    ops_kafka_start(&kafka, &parts, kafka_shared(), name);
}
static void stop(void) {
    ops_kafka_stop(&kafka);
    ops_parts_stop(&parts);
    pool_slot_stop(&slot);
}
TestSuite(ops_events, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

/* The next record is a control of this pool; its id is left in *ret_id. */
static void expect_control(const char *philosophy, const char *op, int64_t count, char *ret_id, size_t size) {
    json_t *record = ops_take(&kafka);
    cr_assert_str_eq(ops_text(record, "topic"), "pool-control");
    cr_assert_str_eq(ops_text(record, "philosophy"), philosophy);
    cr_assert_str_eq(ops_text(record, "op"), op);
    cr_assert_eq(count_of(record, "count"), count, "%lld", (long long)count_of(record, "count"));
    snprintf(ret_id, size, "%s", ops_text(record, "control_id"));
    json_decref(record);
}

Test(ops_events, each_pool_is_pre_warmed_once_a_workers_start) {
    char id[256];
    ops_parts_set(&parts, "pool.prewarm", "react:5,multi_agent:3");
    struct prewarm *prewarm = prewarm_new(&parts.base);
    expect_control("react", "pre_warm", 5, id, sizeof id);
    cr_assert_str_eq(id, "prewarm/start/react/worker-1/1700000000500");
    expect_control("multi_agent", "pre_warm", 3, id, sizeof id);
    cr_assert_str_eq(id, "prewarm/start/multi_agent/worker-1/1700000000500");
    cr_assert_null(ops_take_within(&kafka, 500), "once");
    prewarm_stop(prewarm);
    prewarm_free(prewarm);
}

Test(ops_events, a_pool_that_runs_low_gets_more_and_all_workers_say_it_with_one_id) {
    char first[256], second[256];
    ops_parts_set(&parts, "pool.prewarm", "");
    ops_parts_set(&parts, "pool.prewarm_interval", "1");
    pool_settings(&slot, "{'sizes': {'react': 10, 'full': 2, 'drained': 10}}");
    pool_warm(&slot, "react", 2);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r1"), "assigned"); /* 1 of 10 is left */
    pool_warm(&slot, "full", 1);                                   /* 50 % */
    cr_assert_str_eq(pool_acquire(&slot, .id = "r2", .philosophy = "full"), "assigned");
    pool_control(&slot, "full", "pre_warm", 1);
    pool_ready_created(&slot);
    pool_acquire(&slot, .id = "r3", .philosophy = "drained");
    pool_control(&slot, "drained", "drain", -1);
    struct prewarm *one = prewarm_new(&parts.base), *two = prewarm_new(&parts.base);
    int64_t count =
        (int64_t)(pool_stat(&slot, "react", "available") + pool_stat(&slot, "react", "creating")) + 3;
    expect_control("react", "pre_warm", count, first, sizeof first);
    expect_control("react", "pre_warm", count, second, sizeof second);
    cr_assert_str_eq(kafka.key, "react");
    cr_assert(strncmp(first, "prewarm/react/", 14) == 0, "%s", first);
    cr_assert_str_eq(first, second);
    prewarm_free(one);
    prewarm_free(two);
}

Test(ops_events, pre_warming_ends_at_the_pools_size_and_counts_what_is_being_made) {
    char id[256];
    ops_parts_set(&parts, "pool.prewarm", "");
    ops_parts_set(&parts, "pool.prewarm_interval", "1");
    pool_settings(&slot, "{'sizes': {'react': 2, 'making': 2, 'none': 0, 'asked': 10}}");
    pool_acquire(&slot, .id = "r1");
    pool_ready_created(&slot);
    pool_control(&slot, "making", "pre_warm", 2);           /* all that it may have is on its way */
    pool_control(&slot, "none", "pre_warm", 1);             /* keeps nothing idle */
    pool_acquire(&slot, .id = "r2", .philosophy = "asked"); /* the one being made is spoken for */
    struct prewarm *prewarm = prewarm_new(&parts.base);
    int seen = 0;
    while (seen < 2) {
        json_t *record = ops_take(&kafka);
        const char *philosophy = ops_text(record, "philosophy");
        bool react = strcmp(philosophy, "react") == 0;
        cr_assert(react || strcmp(philosophy, "asked") == 0, "%s", philosophy);
        cr_assert_eq(count_of(record, "count"), react ? 2 : 3);
        snprintf(id, sizeof id, "prewarm/%s/", philosophy);
        cr_assert(strncmp(ops_text(record, "control_id"), id, strlen(id)) == 0);
        json_decref(record);
        seen++;
    }
    prewarm_free(prewarm);
}

static void expect_event(const char *state, const char *host) {
    json_t *record = ops_take(&kafka);
    cr_assert_str_eq(ops_text(record, "topic"), "container-event");
    cr_assert_str_eq(ops_text(record, "state"), state);
    cr_assert_str_eq(ops_text(record, "host"), host);
    cr_assert_str_eq(kafka.key, "sweep");
    json_decref(record);
}

Test(ops_events, only_the_owner_says_that_something_is_due) {
    pool_settings(&slot, "{'max_containers': 0}");
    cr_assert_str_eq(pool_acquire(&slot, .id = "r1", .timeout_ms = 5000), "");
    struct sweeper *sweeper = sweeper_new(&parts.base);
    sweeper_set_owner(sweeper, true);
    cr_assert_null(ops_take_within(&kafka, 500), "nothing is due");
    sweeper_set_owner(sweeper, false);
    pool_advance_time(&slot, 6);
    cr_assert_null(ops_take_within(&kafka, 500), "another worker sweeps");
    sweeper_set_owner(sweeper, true);
    expect_event("request_timed_out", "-");
    sweeper_stop(sweeper);
    sweeper_free(sweeper);
}

Test(ops_events, one_sweep_is_on_its_way_at_a_time) {
    pool_settings(&slot, "{'max_containers': 0}");
    cr_assert_str_eq(pool_acquire(&slot, .id = "r1", .timeout_ms = 5000), "");
    pool_advance_time(&slot, 6);
    struct sweeper *sweeper = sweeper_new(&parts.base);
    uint64_t before = uv_hrtime();
    sweeper_set_owner(sweeper, true);
    expect_event("request_timed_out", "-");
    if (uv_hrtime() - before < 2000000000u) /* what is lost comes again later */
        cr_assert_null(ops_take_within(&kafka, 1000), "nothing was finished since");
    before = uv_hrtime();
    parts.stats.events[WP_TOPIC_EVENT][WP_DONE_OK]++;
    expect_event("request_timed_out", "-"); /* it is still due */
    expect_event("request_timed_out", "-"); /* the one before may be lost */
    cr_assert_gt(uv_hrtime() - before, 4000000000u);
    pool_host(&slot, "h1", 200, 0); /* its heartbeat, or it is due, too, on a slow machine */
    pool_sweep_due(&slot);
    parts.stats.events[WP_TOPIC_EVENT][WP_DONE_OK]++;
    cr_assert_null(ops_take_within(&kafka, 500), "nothing is due any more");
    sweeper_free(sweeper);
}

Test(ops_events, a_host_without_a_heartbeat_is_said_to_be_down) {
    pool_advance_time(&slot, 20);
    pool_host(&slot, "h2", 10, 0);
    struct sweeper *sweeper = sweeper_new(&parts.base);
    sweeper_set_owner(sweeper, true);
    expect_event("host_down", "h1");
    sweeper_free(sweeper);
}

/* Two looks, an interval apart; the second sees the figures given. */
static void tune(struct tuning *tuning, int64_t now_ms, const char *pool, const char *cache) {
    char json[1024];
    snprintf(json, sizeof json, "{'now': %lld, 'pools': {%s}}", (long long)now_ms, pool);
    ops_parts_pool(&parts, json);
    snprintf(json, sizeof json, "{'now': %lld, %s}", (long long)now_ms, cache);
    ops_parts_cache(&parts, json);
    tuning_consider(tuning, &parts.shared);
}

#define NO_CACHE "'hits': 0, 'misses': 0, 'max_size': 1000"

Test(ops_events, tuning_doubles_a_cache_with_few_hits_once_an_interval) {
    ops_parts_set(&parts, "tuning.mode", "apply");
    struct tuning *tuning = tuning_new(&parts.base);
    tune(tuning, 300000 * 7, "", "'hits': 1000, 'misses': 0, 'max_size': 1000");
    tune(tuning, 300000 * 8 - 1, "", "'hits': 1050, 'misses': 50, 'max_size': 1000");
    cr_assert_eq(json_array_size(tuning_applied(tuning)), 0, "the interval is not over");
    tune(tuning, 300000 * 8, "", "'hits': 1050, 'misses': 50, 'max_size': 1000");
    json_t *record = ops_take(&kafka);
    cr_assert_str_eq(ops_text(record, "topic"), "cache");
    cr_assert_str_eq(ops_text(record, "op"), "resize");
    cr_assert_str_eq(ops_text(record, "event_id"), "tuning/cache/8");
    cr_assert_eq(count_of(record, "count"), 2000);
    json_decref(record);
    cr_assert_str_eq(json_string_value(json_array_get(tuning_applied(tuning), 0)),
                     "cache.max_entries from 1000 to 2000: 50.00 % of 100 lookups were hits");
    tune(tuning, 300000 * 8 + 1, "", "'hits': 1050, 'misses': 500, 'max_size': 2000");
    cr_assert_eq(json_array_size(tuning_applied(tuning)), 1, "still what was done in this interval");
    tune(tuning, 300000 * 9, "", "'hits': 2050, 'misses': 60, 'max_size': 2000");
    cr_assert_eq(json_array_size(tuning_applied(tuning)), 0, "99 %% since, whatever it was before");
    cr_assert_null(ops_take_within(&kafka, 300));
    tuning_free(tuning);
}

Test(ops_events, tuning_adds_five_to_a_pool_with_few_warm_starts) {
    char id[256];
    ops_parts_set(&parts, "tuning.mode", "apply");
    struct tuning *tuning = tuning_new(&parts.base);
    tune(tuning, 300000 * 7, "'react': {'warm_starts': 500, 'cold_starts': 0, 'pool_size': 10}", NO_CACHE);
    tune(tuning, 300000 * 8,
         "'react': {'warm_starts': 515, 'cold_starts': 5, 'pool_size': 10},"
         " 'new': {'warm_starts': 0, 'cold_starts': 50, 'pool_size': 10}",
         NO_CACHE);
    expect_control("react", "resize", 15, id, sizeof id);
    cr_assert_str_eq(id, "tuning/pool/react/8");
    cr_assert_eq(json_array_size(tuning_applied(tuning)), 1);
    cr_assert_null(ops_take_within(&kafka, 300), "a pool that was not there before is looked at next time");
    tuning_free(tuning);
}

Test(ops_events, tuning_leaves_alone_what_has_no_data_enough_hits_or_no_room) {
    ops_parts_set(&parts, "tuning.mode", "apply");
    ops_parts_set(&parts, "tuning.max_pool_size", "12");
    ops_parts_set(&parts, "tuning.max_cache_entries", "1500");
    struct tuning *tuning = tuning_new(&parts.base);
    tune(tuning, 300000,
         "'a': {'pool_size': 12}, 'b': {'pool_size': 5}, 'c': {'pool_size': 5}, 'd': {'pool_size': 5}",
         NO_CACHE);
    tune(tuning, 300000 * 2,
         "'a': {'pool_size': 12, 'cold_starts': 50},"                    /* at the ceiling */
         " 'b': {'pool_size': 5, 'cold_starts': 19},"                    /* too few */
         " 'c': {'pool_size': 5, 'cold_starts': 20, 'warm_starts': 80}," /* 80 % */
         " 'd': {'pool_size': 5, 'cold_starts': 50, 'draining': true}",  /* refuses all */
         "'hits': 0, 'misses': 99, 'max_size': 1000");
    tune(tuning, 300000 * 3, "", "'hits': 0, 'misses': 500, 'max_size': 1500");
    tune(tuning, 300000 * 4, "", "'hits': 0, 'misses': 10, 'max_size': 1000"); /* Redis has forgotten */
    cr_assert_null(ops_take_within(&kafka, 500));
    tune(tuning, 300000 * 5, "", "'hits': 0, 'misses': 110, 'max_size': 1000");
    json_t *record = ops_take(&kafka);
    cr_assert_eq(count_of(record, "count"), 1500, "up to the ceiling");
    json_decref(record);
    tuning_free(tuning);
}

Test(ops_events, advise_applies_nothing) {
    struct tuning *tuning = tuning_new(&parts.base);
    tune(tuning, 300000 * 7, "", NO_CACHE);
    tune(tuning, 300000 * 8, "", "'hits': 0, 'misses': 5000, 'max_size': 1000");
    cr_assert_null(ops_take_within(&kafka, 300));
    cr_assert_str_eq(tuning_mode_name(parts.config.tuning.mode), "advise");
    tuning_free(tuning);
}

Test(ops_events, the_optimizer_trims_idle_containers_beyond_the_size) {
    char id[256];
    ops_parts_set(&parts, "memory.interval", "1");
    pool_warm(&slot, "react", 5);
    pool_warm(&slot, "multi_agent", 2);
    ops_parts_set(&parts, "pool.size", "2");
    ops_parts_say_settings(&parts);
    cr_assert_eq(pool_stat(&slot, "react", "available"), 5);
    struct optimizer *optimizer = optimizer_new(&parts.base);
    optimizer_start(optimizer);
    expect_control("react", "expire", 3, id, sizeof id);
    cr_assert(strncmp(id, "trim/react/", 11) == 0, "%s", id);
    optimizer_free(optimizer);
}

/* True. The link loads the functions again as soon as it notices, so a round finds none when this is called
 * with each turn. */
static bool remove_functions(void) {
    freeReplyObject(test_redis_command(&slot.redis, "FUNCTION FLUSH"));
    return true;
}

Test(ops_events, a_round_without_functions_is_a_failed_round) {
    ops_parts_set(&parts, "memory.interval", "1");
    struct optimizer *optimizer = optimizer_new(&parts.base);
    optimizer_start(optimizer);
    OPS_WAIT(&parts, remove_functions() && parts.stats.optimizer_rounds == 1);
    cr_assert_eq(parts.stats.optimizer_failures, 1);
    OPS_WAIT(&parts, parts.stats.optimizer_rounds >= 2 &&
                         parts.stats.optimizer_failures < parts.stats.optimizer_rounds);
    optimizer_free(optimizer);
}

/* Answers that come after their asker is gone find nobody, and nothing breaks. */
Test(ops_events, may_be_freed_while_calls_are_under_way) {
    ops_parts_set(&parts, "pool.prewarm_interval", "1");
    ops_parts_set(&parts, "memory.interval", "1");
    struct prewarm *prewarm = prewarm_new(&parts.base);
    struct sweeper *sweeper = sweeper_new(&parts.base);
    struct optimizer *optimizer = optimizer_new(&parts.base);
    sweeper_set_owner(sweeper, true);
    optimizer_start(optimizer);
    test_redis_pause(&slot.redis);
    uint64_t end = uv_now(&parts.loop) + 1500;
    while (uv_now(&parts.loop) < end) loop_turn(&parts.loop);
    cr_assert_eq(parts.stats.optimizer_rounds, 0, "its call is under way");
    prewarm_free(prewarm);
    sweeper_free(sweeper);
    optimizer_free(optimizer);
    uint64_t calls = parts.stats.redis_calls;
    test_redis_resume(&slot.redis);
    OPS_WAIT(&parts, parts.stats.redis_calls >= calls + 3);
}
