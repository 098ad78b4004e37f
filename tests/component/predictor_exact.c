/* What is predicted from usage, to the digit; and when predictions are published. */
#include "support/limits.h"
#include "support/pool_slot.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct pool_slot slot;
static void start(void) {
    pool_slot_start(&slot);
}
static void stop(void) {
    pool_slot_stop(&slot);
}
TestSuite(predictor, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

static void repeat(int count, double cpu, double memory, double time) {
    struct test_events events = {0};
    for (int i = 0; i < count; i++)
        event_add(&events, pool_next(&slot, POOL_USAGE) + i, "sssddd", "", "", "react", cpu, memory, time);
    pool_send(&slot, POOL_USAGE, &events);
}

static void with_id(const char *id, double cpu) {
    struct test_events events = {0};
    event_add(&events, pool_next(&slot, POOL_USAGE), "sssd--", id, "", "react", cpu);
    pool_send(&slot, POOL_USAGE, &events);
}

static void expect_recommended(double cpu, double memory, double time) {
    cr_assert_eq(pool_predicted(&slot, "react", "recommended.cpu_percent"), cpu, "%g",
                 pool_predicted(&slot, "react", "recommended.cpu_percent"));
    cr_assert_eq(pool_predicted(&slot, "react", "recommended.memory_mb"), memory);
    cr_assert_eq(pool_predicted(&slot, "react", "recommended.execution_time_seconds"), time);
}

Test(predictor, what_nobody_told_settings_knows_nothing) {
    test_redis_flush(&slot.redis);
    json_t *all = calls_public(&slot.redis, "wp_predict", "react", NULL);
    cr_assert(json_is_object(all) && json_object_size(all) == 0);
    json_decref(all);
}

Test(predictor, a_figure_that_no_sample_has_takes_its_default) {
    with_id("u1", 45);
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.cpu_percent"), 54);
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.memory_mb"), 256);
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.execution_time_seconds"), 60);
    struct test_events events = {0};
    event_add(&events, pool_next(&slot, POOL_USAGE), "sss-d-", "", "", "react", 100.0);
    pool_send(&slot, POOL_USAGE, &events);
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.cpu_percent"), 54, "missing, not 0");
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.memory_mb"), 120);
    cr_assert_eq(pool_predicted(&slot, "react", "samples"), 2);
}

Test(predictor, figures_are_rounded_to_two_places) {
    repeat(1, 33.337, 100.003, 0.004);
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.cpu_percent"), 40.0);
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.memory_mb"), 120.0);
    repeat(2, 33.337, 100.003, 0.006);
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.execution_time_seconds"), 0.01);
}

Test(predictor, nothing_drifts) {
    for (int i = 0; i < 20; i++) repeat(50, 0.1 + i % 3, 0.3, 0.7);
    repeat(100, 0.1, 0.3, 0.7);
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.cpu_percent"), 0.12);
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.memory_mb"), 0.36);
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.execution_time_seconds"), 0.84);
}

Test(predictor, what_is_recommended_follows_the_confidence) {
    repeat(29, 100, 200, 10);
    expect_recommended(50, 256, 60);
    repeat(1, 100, 200, 10);
    expect_recommended(150, 300, 15);
    repeat(39, 100, 200, 10);
    expect_recommended(150, 300, 15);
    repeat(1, 100, 200, 10);
    expect_recommended(120, 240, 12);
}

Test(predictor, says_on_what_it_is_based) {
    const struct {
        int more;
        const char *basis;
    } steps[] = {{0, "default"}, {1, "low"}, {30, "medium"}, {60, "high"}};
    pool_control(&slot, "react", "pre_warm", 0);
    for (int i = 0; i < 4; i++) {
        if (steps[i].more) repeat(steps[i].more, 1, 1, 1);
        json_t *all = calls_public(&slot.redis, "wp_predict", "react", NULL);
        cr_assert_str_eq(json_string_value(json_object_get(all, "basis")), steps[i].basis);
        json_decref(all);
    }
}

Test(predictor, bands_and_buffers_are_settings) {
    pool_settings(&slot, "{'history_size': 10, 'low_confidence': 0.5, 'low_cpu': 75, 'low_memory': 512, "
                         "'low_time': 120, 'medium_buffer': 2, 'buffer': 1}");
    repeat(4, 100, 200, 10);
    expect_recommended(75, 512, 120);
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.cpu_percent"), 100);
    repeat(1, 100, 200, 10);
    expect_recommended(200, 400, 20);
}

Test(predictor, new_containers_get_what_is_recommended_within_bounds) {
    pool_host(&slot, "h1", 10, 0);
    pool_settings(&slot, "{'max_memory': 500, 'min_cpu': 10}");
    repeat(80, 5, 800, 1);
    pool_control(&slot, "react", "pre_warm", 1);
    cr_assert_eq(record_double(&slot.answer, 0, "limits.cpu"), 10);
    cr_assert_eq(record_double(&slot.answer, 0, "limits.memory"), 500);
}

Test(predictor, the_history_is_cut_to_its_size) {
    repeat(250, 1, 1, 1);
    cr_assert_eq(test_redis_int(&slot.redis, "LLEN wp:{pool}:h:react"), 100);
    pool_settings(&slot, "{'history_size': 20}");
    repeat(1, 1, 1, 1);
    cr_assert_eq(test_redis_int(&slot.redis, "LLEN wp:{pool}:h:react"), 20);
    cr_assert_eq(pool_predicted(&slot, "react", "confidence"), 1);
}

Test(predictor, a_batch_beyond_the_history_keeps_its_last) {
    pool_settings(&slot, "{'history_size': 3}");
    struct test_events events = {0};
    for (int i = 0; i < 10; i++) {
        char id[8];
        snprintf(id, sizeof id, "u%d", i);
        event_add(&events, i, "sssd--", id, "", "react", (double)i);
    }
    pool_send(&slot, POOL_USAGE, &events);
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.cpu_percent"), 9.6);
    cr_assert_eq(test_redis_int(&slot.redis, "SCARD wp:{pool}:rec:react"), 3);
}

/* With the record ids from..to, each with its number for its cpu. */
static void batch_of(int from, int to) {
    struct test_events events = {0};
    int64_t next = pool_next(&slot, POOL_USAGE);
    for (int i = from; i <= to; i++) {
        char id[8];
        snprintf(id, sizeof id, "u%d", i);
        event_add(&events, next + i - from, "sssd--", id, "", "react", (double)i);
    }
    pool_send(&slot, POOL_USAGE, &events);
}

Test(predictor, a_batch_that_replaces_a_part_or_all_of_the_history_keeps_its_last) {
    pool_settings(&slot, "{'history_size': 3}");
    batch_of(1, 3);
    batch_of(4, 5); /* 3, 4, 5 */
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.cpu_percent"), 4.8);
    batch_of(4, 6); /* two of them are known */
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.cpu_percent"), 6);
    batch_of(10, 15); /* 13, 14, 15 */
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.cpu_percent"), 16.8);
    cr_assert_eq(test_redis_int(&slot.redis, "LLEN wp:{pool}:h:react"), 3);
    cr_assert_eq(test_redis_int(&slot.redis, "SCARD wp:{pool}:rec:react"), 3);
    batch_of(1, 1); /* forgotten with its sample: 14, 15, 1 */
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.cpu_percent"), 12);
}

Test(predictor, a_record_counts_once_while_its_sample_is_kept) {
    pool_settings(&slot, "{'history_size': 2}");
    with_id("u1", 10);
    with_id("u1", 90);
    cr_assert_eq(pool_predicted(&slot, "react", "samples"), 1);
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.cpu_percent"), 12);
    struct test_events events = {0};
    for (int i = 0; i < 2; i++)
        event_add(&events, pool_next(&slot, POOL_USAGE) + i, "sssd--", "u2", "", "react", 20.0);
    pool_send(&slot, POOL_USAGE, &events);
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.cpu_percent"), 18);
    with_id("u3", 30);
    cr_assert_eq(test_redis_int(&slot.redis, "SCARD wp:{pool}:rec:react"), 2, "ids go with their samples");
}

Test(predictor, philosophies_beyond_the_limit_are_dead_lettered) {
    pool_settings(&slot, "{'max_philosophies': 1}");
    pool_usage(&slot, "one", 1, 1, 1);
    pool_usage(&slot, "two", 1, 1, 1);
    cr_assert_eq(record_kind(&slot.answer, 0), 5);
    pool_usage(&slot, "one", 1, 1, 1);
    cr_assert_eq(record_count(&slot.answer, 5), 0);
    cr_assert_eq(pool_predicted(&slot, "one", "samples"), 2);
}

/* ---- published ---- */

Test(predictor, is_published_at_once_and_then_once_an_interval) {
    pool_usage(&slot, "react", 45, 180, 25);
    cr_assert_eq(record_kind(&slot.answer, 0), 4);
    cr_assert_eq(record_double(&slot.answer, 0, "prediction.requirements.memory"), 216);
    pool_usage(&slot, "react", 55, 220, 35);
    cr_assert_eq(slot.answer.count, 0, "its interval is not over");
    redisReply *due = calls_function(&slot.redis, WP_SLOT_POOL, "due", NULL);
    cr_assert(due->element[0]->integer > 0 && due->element[0]->integer <= 1000000);
    freeReplyObject(due);
    pool_advance_time(&slot, 1);
    pool_sweep_due(&slot);
    cr_assert_eq(slot.answer.count, 1);
    cr_assert_eq(record_double(&slot.answer, 0, "prediction.requirements.cpu"), 60);
    pool_advance_time(&slot, 1);
    pool_sweep_due(&slot);
    cr_assert_eq(slot.answer.count, 0, "it did not change");
}

/* ---- keys that somebody has deleted ---- */

static void delete_key(const char *name) {
    cr_assert_eq(test_redis_int(&slot.redis, "DEL wp:{pool}:%s", name), 1);
}

Test(predictor, a_history_whose_samples_were_deleted_begins_anew) {
    repeat(150, 10, 100, 1);
    delete_key("h:react");
    repeat(10, 20, 200, 2);
    cr_assert_eq(pool_predicted(&slot, "react", "samples"), 10);
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.cpu_percent"), 24);
    repeat(100, 30, 300, 3);
    cr_assert_eq(pool_predicted(&slot, "react", "samples"), 100);
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.cpu_percent"), 36);
    json_t *stats = calls_public(&slot.redis, "wp_pool_stats", NULL);
    cr_assert_eq(json_number_at(stats, "repaired", NULL), 1);
    json_decref(stats);
}

Test(predictor, samples_whose_sums_were_deleted_are_not_counted_later) {
    repeat(100, 1000, 100, 1);
    delete_key("pred");
    repeat(150, 10, 100, 1);
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.cpu_percent"), 12);
    repeat(20, 10, 100, 1);
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.cpu_percent"), 12);
}
