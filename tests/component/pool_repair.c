/* A row that is gone although others count on it (part of Redis' data was lost, or somebody deleted a key)
 * stops no sweep: the others go on, the row is put right, and that is counted. */
#include "support/pool_suite.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include "support/pool_check.h"

POOL_SUITE(pool_repair);

static char bad[200]; /* the container that loses its rows */

static void lose(const char *hash, const char *field) {
    cr_assert_eq(test_redis_int(&slot.redis, "HDEL wp:{pool}:%s %s", hash, field), 1);
}

static double repaired(void) {
    json_t *stats = calls_public(&slot.redis, "wp_pool_stats", NULL);
    double count = json_number_at(stats, "repaired", NULL);
    json_decref(stats);
    return count;
}

static void expect_repaired(void) {
    slot.unchecked = false;
    cr_assert_gt(repaired(), 0);
    pool_check(&slot.redis);
    double before = repaired();
    pool_sweep_due(&slot);
    cr_assert_eq(repaired(), before, "once");
}

/* Two leases that end at the same time; `bad` is the first one's container. */
static void two_leases(void) {
    pool_warm(&slot, "react", 2);
    pool_acquire(&slot, .id = "r1", .agent = "a1", .lease_ms = 60000);
    snprintf(bad, sizeof bad, "%s", pool_answer_str(&slot, "r1", "container_id"));
    pool_acquire(&slot, .id = "r2", .agent = "a2", .lease_ms = 60000);
    slot.unchecked = true;
    pool_advance_time(&slot, 61);
    pool_host(&slot, "h1", 50, 0);
}

static void expect_both_lost(void) {
    pool_sweep_due(&slot);
    cr_assert_str_eq(pool_answer_str(&slot, "r1", "status"), "lost");
    cr_assert_str_eq(pool_answer_str(&slot, "r1", "agent_id"), "a1");
    cr_assert_str_eq(pool_answer_str(&slot, "r2", "status"), "lost");
    cr_assert_eq(pool_stat(&slot, "react", "leased"), 0);
    expect_repaired();
}

Test(pool_repair, a_lease_whose_container_is_gone_does_not_end_the_sweep) {
    two_leases();
    lose("is", bad);
    lose("c", bad);
    expect_both_lost();
}

Test(pool_repair, nor_does_one_whose_container_has_half_of_its_rows) {
    two_leases();
    lose("c", bad);
    expect_both_lost();
}

Test(pool_repair, nor_the_other_half) {
    two_leases();
    lose("is", bad);
    expect_both_lost();
}

Test(pool_repair, a_deadline_whose_request_is_gone_goes) {
    two_leases();
    lose("req", "r1");
    pool_sweep_due(&slot);
    cr_assert_str_eq(pool_answer_str(&slot, "r2", "status"), "lost");
    cr_assert_eq(test_redis_int(&slot.redis, "ZCARD wp:{pool}:expiry"), 0);
}

Test(pool_repair, waiting_requests_without_their_pool_time_out) {
    pool_host(&slot, "h1", 0, 0);
    pool_acquire(&slot, .id = "r1", .timeout_ms = 1000);
    pool_acquire(&slot, .id = "r2", .timeout_ms = 1000, .tenant = "red");
    pool_acquire(&slot, .id = "r3", .timeout_ms = 1000, .philosophy = "other");
    slot.unchecked = true;
    lose("pools", "react");
    pool_advance_time(&slot, 2);
    pool_host(&slot, "h1", 50, 0);
    pool_sweep_due(&slot);
    cr_assert_eq(record_count(&slot.answer, 1), 3);
    cr_assert_eq(pool_stat(&slot, NULL, "waiting"), 0);
    expect_repaired();
}

Test(pool_repair, a_waiting_list_with_requests_that_are_gone_is_no_endless_drain) {
    pool_host(&slot, "h1", 0, 0);
    pool_acquire(&slot, .id = "r1");
    pool_acquire(&slot, .id = "r2");
    slot.unchecked = true;
    lose("req", "r1");
    freeReplyObject(test_redis_command(&slot.redis, "ZREM wp:{pool}:timeout r1"));
    pool_control(&slot, "react", "drain", -1);
    cr_assert_str_eq(pool_answer_str(&slot, "r2", "status"), "rejected");
    cr_assert_lt(pool_follow(&slot).calls, 3);
    cr_assert_eq(pool_stat(&slot, "react", "waiting"), 0);
    cr_assert_gt(repaired(), 0);
}

Test(pool_repair, nobody_makes_containers_for_a_request_that_is_gone) {
    pool_host(&slot, "h1", 0, 0);
    pool_acquire(&slot, .id = "r1");
    pool_acquire(&slot, .id = "r2");
    slot.unchecked = true;
    lose("req", "r1");
    freeReplyObject(test_redis_command(&slot.redis, "ZREM wp:{pool}:timeout r1"));
    pool_host(&slot, "h1", 50, 0);
    pool_host_event(&slot, "h1", "host_up", "");
    pool_ready_created(&slot);
    cr_assert_str_eq(pool_answer_str(&slot, "r2", "status"), "assigned");
    pool_host_event(&slot, "h1", "host_up", "");
    pool_follow(&slot);
    cr_assert_eq(pool_stat(&slot, "react", "waiting"), 0);
    cr_assert_leq(pool_stat(&slot, "react", "creating"), 1);
}

Test(pool_repair, an_idle_container_without_rows_is_neither_handed_out_nor_stops_the_others) {
    pool_settings(&slot, "{'idle_ttl': 100}");
    pool_warm(&slot, "react", 3);
    pool_acquire(&slot, .id = "r1");
    snprintf(bad, sizeof bad, "%s", pool_answer_str(&slot, "r1", "container_id"));
    pool_release(&slot, "r1");
    slot.unchecked = true;
    lose("is", bad);
    lose("c", bad);
    pool_advance_time(&slot, 101);
    pool_host(&slot, "h1", 50, 0);
    pool_sweep_due(&slot);
    cr_assert_eq(pool_commands(&slot, "destroy"), 2);
    cr_assert_eq(pool_stat(&slot, "react", "available"), 0);
    cr_assert_gt(repaired(), 0);
}

Test(pool_repair, a_host_is_dropped_whose_container_has_no_rows_or_no_pool) {
    pool_warm(&slot, "react", 2);
    pool_warm(&slot, "other", 1);
    pool_acquire(&slot, .id = "r1");
    snprintf(bad, sizeof bad, "%s", pool_answer_str(&slot, "r1", "container_id"));
    pool_acquire(&slot, .id = "r2");
    pool_acquire(&slot, .id = "r3", .philosophy = "other");
    slot.unchecked = true;
    lose("is", bad);
    lose("pools", "other");
    pool_beat(&slot, "h1", 50, 0, "draining");
    pool_host_event(&slot, "h1", "host_down", "stopping");
    cr_assert_str_eq(pool_reason(&slot, "r2"), "host_down");
    cr_assert_str_eq(pool_reason(&slot, "r3"), "host_down");
    cr_assert_eq(test_redis_int(&slot.redis, "EXISTS wp:{pool}:hc:h1"), 0);
}

Test(pool_repair, a_deadline_or_a_turn_without_its_pool_goes) {
    slot.unchecked = true;
    freeReplyObject(test_redis_command(&slot.redis, "ZADD wp:{pool}:deadline 1 bnone 1 inone 1 pnone"));
    for (int i = 0; i < 40; i++)
        freeReplyObject(test_redis_command(&slot.redis, "ZADD wp:{pool}:hungry 1 none%d", i));
    pool_host(&slot, "h1", 0, 0);
    pool_acquire(&slot, .id = "r1");
    pool_sweep_due(&slot);
    cr_assert_eq(test_redis_int(&slot.redis, "ZCARD wp:{pool}:deadline"), 0);
    pool_host(&slot, "h1", 50, 0);
    pool_host_event(&slot, "h1", "host_up", "");
    pool_host_event(&slot, "h1", "host_up", "");
    cr_assert_eq(pool_commands(&slot, "create") + (size_t)pool_stat(&slot, "react", "creating"), 2,
                 "it has had its turn");
}
