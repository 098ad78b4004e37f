/* What the {pool} slot keeps stays bounded, and works on when Redis is full: by the topics' calls alone,
 * without a sweep, which a deployment may have switched off. */
#include "support/pool_suite.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

POOL_SUITE(pool_bounds);

static long long remembered(void) {
    long long rows = test_redis_int(&slot.redis, "HLEN wp:{pool}:req");
    cr_assert_eq(test_redis_int(&slot.redis, "LLEN wp:{pool}:ended"), rows);
    return rows;
}

/* Requests that end at once: nothing is idle and they do not wait. */
static void end_requests(int first, int count) {
    struct test_events events = {0};
    for (int i = 0; i < count; i++) {
        char id[24];
        snprintf(id, sizeof id, "r %d", first + i); /* an id may have spaces */
        struct pool_request request = {.id = id, .timeout_ms = POOL_ZERO};
        pool_add_request(&events, pool_next(&slot, POOL_ACQUIRE) + i, &request);
    }
    pool_send(&slot, POOL_ACQUIRE, &events);
}

/* ---- requests that ended ---- */

Test(pool_bounds, calls_forget_requests_that_ended_long_ago) {
    end_requests(0, 500);
    pool_advance_time(&slot, 595);
    end_requests(500, 1);
    cr_assert_eq(remembered(), 501, "their time is not over");
    pool_advance_time(&slot, 6);
    for (int i = 0; i < 20; i++) end_requests(1000 + i * 50, 50);
    cr_assert_eq(remembered(), 1001, "only those of the last minutes are left");
    cr_assert_eq(test_redis_int(&slot.redis, "HEXISTS wp:{pool}:req %s", "r 0"), 0);
}

Test(pool_bounds, a_call_forgets_more_than_it_adds_but_not_all_at_once) {
    end_requests(0, 1000);
    pool_advance_time(&slot, 700);
    end_requests(1000, 1);
    long long left = remembered();
    cr_assert(left < 1000 && left > 900, "%lld", left);
}

Test(pool_bounds, calls_keep_no_more_than_the_limit) {
    pool_settings(&slot, "{'max_requests': 100}");
    for (int i = 0; i < 10; i++) end_requests(i * 60, 60);
    cr_assert_leq(remembered(), 100);
    end_requests(599, 1);
    cr_assert_eq(slot.answer.count, 0, "the last ones are remembered");
}

Test(pool_bounds, one_cancelled_before_it_came_is_remembered_from_its_answer_on) {
    pool_release(&slot, "r1");
    pool_advance_time(&slot, 599);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r1"), "rejected");
    pool_advance_time(&slot, 10);
    end_requests(0, 5);
    pool_acquire(&slot, .id = "r1");
    cr_assert_eq(slot.answer.count, 0, "it had its one answer");
    pool_advance_time(&slot, 600);
    end_requests(5, 5);
    cr_assert_eq(test_redis_int(&slot.redis, "HEXISTS wp:{pool}:req r1"), 0);
}

Test(pool_bounds, one_cancelled_that_never_came_is_forgotten) {
    pool_release(&slot, "r1");
    pool_advance_time(&slot, 601);
    end_requests(0, 1);
    cr_assert_eq(test_redis_int(&slot.redis, "HEXISTS wp:{pool}:req r1"), 0);
    cr_assert_eq(remembered(), 1);
}

Test(pool_bounds, waiting_and_leased_requests_are_never_forgotten) {
    pool_settings(&slot, "{'max_requests': 1}");
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "leased", .lease_ms = POOL_ZERO);
    pool_acquire(&slot, .id = "waits", .timeout_ms = 3600000);
    end_requests(0, 50);
    pool_advance_time(&slot, 700);
    end_requests(50, 50);
    cr_assert_eq(test_redis_int(&slot.redis, "HEXISTS wp:{pool}:req leased"), 1);
    cr_assert_eq(test_redis_int(&slot.redis, "HEXISTS wp:{pool}:req waits"), 1);
    cr_assert_str_eq(pool_acquire(&slot, .id = "leased"), "assigned");
}

/* ---- a full Redis ---- */

static void limit_memory(const char *limit) {
    freeReplyObject(test_redis_command(&slot.redis, "CONFIG SET maxmemory %s", limit));
}

static void fill(void) {
    limit_memory("100kb");
    struct test_events events = {0};
    struct pool_request request = {.id = "refused"};
    pool_add_request(&events, pool_next(&slot, POOL_ACQUIRE), &request);
    char *text = json_dumps(slot.settings, 0);
    char *error = calls_topic_fails(&slot.redis, "acquire", pool_partition(POOL_ACQUIRE),
                                    slot.last[POOL_ACQUIRE], 0, text, &events);
    cr_assert(strncmp(error, "OOM", 3) == 0, "%s", error);
    free(error);
    free(text);
}

Test(pool_bounds, a_full_redis_still_takes_heartbeats_so_no_host_is_taken_for_dead) {
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1");
    fill();
    for (int i = 0; i < 3; i++) {
        limit_memory("0"); /* the test's own write */
        pool_advance_time(&slot, 10);
        limit_memory("100kb");
        pool_host(&slot, "h1", 50, 0);
    }
    redisReply *due = calls_function(&slot.redis, WP_SLOT_POOL, "due", NULL);
    cr_assert_eq(due->elements, 1, "no host is silent");
    freeReplyObject(due);
    pool_host_event(&slot, "h1", "host_down", "");
    cr_assert_eq(pool_stat(&slot, "react", "leased"), 1);
}

Test(pool_bounds, a_full_redis_still_ends_leases_also_for_a_worker_that_begins) {
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1");
    fill();
    redisReply *reply =
        calls_function(&slot.redis, WP_SLOT_POOL, "begin", "c/container-release/1", "5", "new", "0", NULL);
    cr_assert(reply->type == REDIS_REPLY_ARRAY && reply->element[0]->integer == 5, "begin: %s", reply->str);
    freeReplyObject(reply);
    pool_release(&slot, "r1");
    cr_assert_eq(pool_stat(&slot, "react", "leased"), 0);
    char prev[24], offset[24];
    snprintf(prev, sizeof prev, "%lld", (long long)slot.last[POOL_RELEASE]);
    snprintf(offset, sizeof offset, "%lld", (long long)slot.last[POOL_RELEASE] + 1);
    struct wp_str args[] = {wp_str(pool_partition(POOL_RELEASE)), wp_str("0"), wp_str(prev), wp_str("0"),
                            wp_str(offset)};
    reply = calls_function_on(slot.redis.connection, WP_SLOT_POOL, "skip", args, 5);
    cr_assert(reply->type == REDIS_REPLY_ARRAY, "skip: %s", reply->str);
    cr_assert_eq(reply->element[0]->element[0]->integer, 1);
    freeReplyObject(reply);
}

/* ---- predictions ---- */

Test(pool_bounds, a_prediction_that_samples_do_not_change_is_published_once) {
    pool_settings(&slot, "{'history_size': 3, 'predict_interval_ms': 1000}");
    for (int i = 0; i < 3; i++) {
        pool_usage(&slot, "react", 45, 180, 25);
        cr_assert_eq(record_count(&slot.answer, 4), 1, "its confidence grows");
        pool_advance_time(&slot, 2);
    }
    pool_usage(&slot, "react", 45, 180, 25);
    cr_assert_eq(slot.answer.count, 0, "the history is full of the same");
    pool_usage(&slot, "react", 45, 180, 26);
    cr_assert_eq(record_count(&slot.answer, 4), 1, "and what changes again is published at once");
    pool_usage(&slot, "react", 45, 180, 26);
    pool_advance_time(&slot, 2);
    pool_sweep_due(&slot);
    cr_assert_eq(record_count(&slot.answer, 4), 1);
    cr_assert_eq(record_double(&slot.answer, 0, "prediction.requirements.time"), 30.8);
}

/* ---- of one philosophy ---- */

Test(pool_bounds, max_containers_of_one_philosophy_bounds_it_alone) {
    pool_settings(&slot, "{'max_containers_of': {'react': 1}}");
    pool_acquire(&slot, .id = "r1");
    pool_acquire(&slot, .id = "r2");
    cr_expect_eq(pool_stat(&slot, "react", "creating"), 1);
    pool_acquire(&slot, .id = "r3", .philosophy = "other");
    pool_acquire(&slot, .id = "r4", .philosophy = "other");
    cr_expect_eq(pool_stat(&slot, "other", "creating"), 2);
}

Test(pool_bounds, limits_of_one_philosophy_are_its_containers_and_who_asks_for_more_gets_more) {
    pool_settings(&slot, "{'cpu_limits': {'react': 5}, 'memory_limit': 96}");
    pool_acquire(&slot, .id = "r1");
    pool_ready_created(&slot);
    cr_expect_eq(pool_answer_number(&slot, "r1", "limits.cpu"), 5);
    cr_expect_eq(pool_answer_number(&slot, "r1", "limits.memory"), 96);
    pool_acquire(&slot, .id = "r2", .memory = 200);
    pool_ready_created(&slot);
    cr_expect_eq(pool_answer_number(&slot, "r2", "limits.memory"), 200);
}
