/* Tenants that share a pool: turns between those that wait. */
#include "support/pool_suite.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include "support/pool_check.h"

POOL_SUITE(pool_tenants);

#define MADE 64
static char made[MADE][100]; /* containers that were created and are not ready yet, in their order */
static int made_count, made_next;

static void note_created(void) {
    for (size_t i = 0; i < pool_commands(&slot, "create"); i++) {
        cr_assert_lt(made_count, MADE);
        snprintf(made[made_count++], sizeof made[0], "%s", pool_commanded(&slot, "create", i));
    }
}

/* Acquires <tenant>0 and on, in one call. */
static void let_wait(const char *tenant, int from, int count) {
    struct test_events events = {0};
    for (int i = from; i < from + count; i++) {
        char id[32];
        snprintf(id, sizeof id, "%s%d", tenant, i);
        pool_add_request(&events, pool_next(&slot, POOL_ACQUIRE) + i - from,
                         &(struct pool_request){.id = id, .tenant = tenant});
    }
    pool_send(&slot, POOL_ACQUIRE, &events);
    note_created();
}

static const char *last_served(void) {
    return record_count(&slot.answer, 1) == 0
               ? ""
               : record_str(&slot.answer, record_find(&slot.answer, 1, 0), "request_id");
}

/* The next container is ready: who gets it. */
static const char *next_ready(void) {
    cr_assert_lt(made_next, made_count, "no create is under way");
    pool_event(&slot, made[made_next++], "ready", "");
    note_created();
    return last_served();
}

static void expect_next(const char *id) {
    const char *got = next_ready();
    cr_assert_str_eq(got, id, "%s has it, not %s", got, id);
}

Test(pool_tenants, a_flood_delays_the_first_of_another_tenant_by_one_turn) {
    slot.unchecked = true; /* a check reads all that wait */
    pool_settings(&slot, "{'max_containers': 8}");
    for (int i = 0; i < 20; i++) let_wait("red", i * 500, 500);
    let_wait("blue", 0, 2);
    expect_next("red0");
    expect_next("blue0");
    expect_next("red1");
    expect_next("blue1");
    let_wait("green", 0, 1);
    expect_next("red2");
    expect_next("green0");
    expect_next("red3");
    pool_check(&slot.redis);
}

Test(pool_tenants, have_turns_in_the_order_in_which_they_came) {
    pool_settings(&slot, "{'max_containers': 9}");
    let_wait("c", 0, 3);
    let_wait("a", 0, 2);
    let_wait("b", 0, 3);
    const char *order[] = {"c0", "a0", "b0", "c1", "a1", "b1", "c2", "b2"};
    for (int i = 0; i < 8; i++) expect_next(order[i]);
}

Test(pool_tenants, cancelled_requests_cost_no_turn) {
    pool_settings(&slot, "{'max_containers': 6}");
    let_wait("red", 0, 30);
    let_wait("blue", 0, 3);
    for (int i = 0; i < 20; i++) {
        char id[16];
        snprintf(id, sizeof id, "red%d", i);
        pool_release(&slot, id);
    }
    const char *order[] = {"red20", "blue0", "red21", "blue1", "red22", "blue2"};
    for (int i = 0; i < 6; i++) expect_next(order[i]);
}

Test(pool_tenants, one_that_waits_again_and_again_has_no_more_than_its_turns) {
    pool_settings(&slot, "{'max_containers': 8}");
    let_wait("red", 0, 8);
    for (int i = 0; i < 4; i++) {
        char id[16];
        let_wait("blue", i, 1);
        snprintf(id, sizeof id, "red%d", i);
        expect_next(id);
        snprintf(id, sizeof id, "blue%d", i);
        expect_next(id);
    }
}

Test(pool_tenants, get_containers_that_everybody_may_have_by_turns) {
    pool_settings(&slot, "{'reuse': 'always', 'max_containers': 1}");
    pool_warm(&slot, "react", 1);
    let_wait("red", 0, 3);
    let_wait("blue", 0, 2);
    const char *order[] = {"red0", "red1", "blue0", "red2", "blue1"};
    for (int i = 0; i + 1 < 5; i++) {
        pool_release(&slot, order[i]);
        cr_assert_str_eq(last_served(), order[i + 1]);
    }
}

/* ---- across an upgrade ---- */

/* A pool's row as a library without turns has it: the last value of the array is not there. */
static void make_row_old(const char *philosophy) {
    static const char script[] = "local r = {cmsgpack.unpack(redis.call('HGET', KEYS[1], ARGV[1]))} "
                                 "redis.call('HSET', KEYS[1], ARGV[1], cmsgpack.pack(unpack(r, 1, 28)))";
    freeReplyObject(test_redis_command(&slot.redis, "EVAL %s 1 wp:{pool}:pools %s", script, philosophy));
    freeReplyObject(test_redis_command(&slot.redis, "DEL wp:{pool}:turn:%s", philosophy));
}

Test(pool_tenants, requests_that_waited_before_there_were_turns_come_first) {
    slot.unchecked = true;
    pool_settings(&slot, "{'max_containers': 12, 'reuse': 'always'}");
    let_wait("red", 0, 3);
    let_wait("blue", 0, 1);
    freeReplyObject(
        test_redis_command(&slot.redis, "DEL wp:{pool}:wait:react:red wp:{pool}:wait:react:blue"));
    make_row_old("react");
    let_wait("red", 3, 3);
    let_wait("blue", 1, 2);
    const char *order[] = {"red0", "red1", "red2", "blue0", "blue1", "red3", "blue2", "red4", "red5"};
    for (int i = 0; i < 9; i++) expect_next(order[i]);
    pool_check(&slot.redis);
    cr_assert_eq(test_redis_int(&slot.redis, "HEXISTS wp:{pool}:meta repaired"), 0);
}

Test(pool_tenants, a_lost_turn_is_found_again) {
    pool_settings(&slot, "{'max_containers': 4}");
    let_wait("red", 0, 2);
    let_wait("blue", 0, 1);
    slot.unchecked = true;
    freeReplyObject(test_redis_command(&slot.redis, "DEL wp:{pool}:turn:react"));
    expect_next("red0");
    cr_assert_eq(test_redis_int(&slot.redis, "HGET wp:{pool}:meta repaired"), 1);
    expect_next("red1");
    expect_next("blue0");
    pool_check(&slot.redis);
}

/* ---- a full pool ---- */

/* Gives back a lease; says who was served, or that its container is destroyed for others, which is then gone.
 */
static const char *give_back(const char *id) {
    static char served[32];
    pool_release(&slot, id);
    note_created();
    snprintf(served, sizeof served, "%s", last_served());
    if (pool_commands(&slot, "destroy") == 0) return served;
    pool_event(&slot, pool_commanded(&slot, "destroy", 0), "gone", "");
    note_created();
    return "destroyed";
}

Test(pool_tenants, a_flood_in_a_full_pool_gives_up_a_container_for_the_first_of_another) {
    pool_settings(&slot, "{'max_containers': 2}");
    let_wait("red", 0, 40);
    expect_next("red0");
    expect_next("red1");
    cr_assert_str_eq(give_back("red0"), "red2", "nobody else waits");
    let_wait("blue", 0, 1);
    cr_assert_str_eq(give_back("red1"), "red3", "its turn was due before");
    cr_assert_str_eq(give_back("red2"), "destroyed");
    expect_next("blue0");
    cr_assert_str_eq(give_back("red3"), "red4", "blue does not wait");
}

Test(pool_tenants, that_have_their_share_of_a_full_pool_keep_their_containers) {
    pool_settings(&slot, "{'max_containers': 8}");
    int destroyed = 0, given[2] = {0, 0};
    let_wait("red", 0, 200);
    for (int i = 0; i < 8; i++) next_ready();
    let_wait("blue", 0, 200);
    int held[2][8], count[2] = {8, 0}, at = 0; /* leases of red and blue, by their requests */
    for (int i = 0; i < 8; i++) held[0][i] = i;
    for (int round = 0; round < 160; round++) {
        int who = count[1] > 0 && round % 8 < count[1] ? 1 : 0;
        char id[32];
        at = held[who][0];
        snprintf(id, sizeof id, "%s%d", who ? "blue" : "red", at);
        for (int i = 1; i < count[who]; i++) held[who][i - 1] = held[who][i];
        count[who]--;
        const char *served = give_back(id);
        if (strcmp(served, "destroyed") == 0) {
            destroyed++;
            served = next_ready();
        }
        int gets = strncmp(served, "blue", 4) == 0;
        held[gets][count[gets]++] = atoi(served + (gets ? 4 : 3));
        given[gets]++;
    }
    cr_log_info("%d destroyed, red was served %d times, blue %d times", destroyed, given[0], given[1]);
    cr_assert_leq(destroyed, 12);
    cr_assert_geq(count[1], 3, "blue has %d of 8 containers", count[1]);
    cr_assert_geq(given[1], 50);
}

/* ---- limits ---- */

static void expect_limit(const char *id, const char *reason) {
    cr_assert_str_eq(pool_answer_str(&slot, id, "status"), "rejected");
    cr_assert_str_eq(pool_answer_str(&slot, id, "reason"), reason);
}

Test(pool_tenants, beyond_max_leases_an_acquire_is_rejected_with_what_is_used) {
    pool_settings(&slot, "{'tenant_max_leases': 3, 'tenant_max_leases_of': {'blue': 1, 'green': 0}}");
    pool_warm(&slot, "react", 8);
    let_wait("red", 0, 5);
    expect_limit("red3", "limit: tenant red has 3 leases, tenant.max_leases is 3");
    expect_limit("red4", "limit: tenant red has 3 leases, tenant.max_leases is 3");
    let_wait("blue", 0, 2);
    expect_limit("blue1", "limit: tenant blue has 1 leases, tenant.max_leases is 1");
    let_wait("green", 0, 4);
    cr_assert_eq(record_count(&slot.answer, 1), 4, "0 is no limit");
    pool_release(&slot, "red0");
    let_wait("red", 5, 2);
    cr_assert_str_eq(pool_answer_str(&slot, "red5", "status"), "assigned");
    expect_limit("red6", "limit: tenant red has 3 leases, tenant.max_leases is 3");
}

Test(pool_tenants, requests_that_wait_count_for_max_leases) {
    pool_settings(&slot, "{'tenant_max_leases': 3}");
    pool_warm(&slot, "react", 1);
    let_wait("red", 0, 4);
    expect_limit("red3", "limit: tenant red has 1 leases and 2 requests that wait, tenant.max_leases is 3");
    expect_next("red1");
    pool_acquire(&slot, .id = "other", .tenant = "red", .philosophy = "multi_agent");
    expect_limit("other", "limit: tenant red has 2 leases and 1 requests that wait, tenant.max_leases is 3");
}

Test(pool_tenants, leases_that_end_in_any_way_count_no_more) {
    pool_settings(&slot, "{'tenant_max_leases': 2}");
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "expires", .tenant = "red", .lease_ms = 2000);
    let_wait("red", 0, 1);
    expect_next("red0");
    char dies[100];
    snprintf(dies, sizeof dies, "%s", pool_answer_str(&slot, "red0", "container_id"));
    let_wait("red", 1, 1);
    expect_limit("red1", "limit: tenant red has 2 leases, tenant.max_leases is 2");
    pool_event(&slot, dies, "died", "killed");
    pool_advance_time(&slot, 3);
    pool_sweep_due(&slot);
    cr_assert_eq(test_redis_int(&slot.redis, "EXISTS wp:{pool}:tenant:leases"), 0);
    let_wait("red", 2, 2);
    cr_assert_eq(record_count(&slot.answer, 1), 0, "both may wait");
    pool_release(&slot, "red2");
    pool_release(&slot, "red3");
    cr_assert_eq(test_redis_int(&slot.redis, "EXISTS wp:{pool}:tenant:waiting"), 0);
}

Test(pool_tenants, beyond_max_waiting_an_acquire_is_rejected_with_what_is_used) {
    pool_settings(&slot, "{'tenant_max_waiting_of': {'red': 2}}");
    let_wait("red", 0, 3);
    expect_limit("red2", "limit: tenant red has 2 requests that wait, tenant.max_waiting is 2");
    let_wait("blue", 0, 3);
    cr_assert_eq(record_count(&slot.answer, 1), 0);
    expect_next("red0");
    let_wait("red", 3, 1);
    cr_assert_eq(record_count(&slot.answer, 1), 0);
}

Test(pool_tenants, beyond_max_creating_requests_wait_and_those_of_others_go_on) {
    pool_settings(&slot, "{'tenant_max_creating': 2}");
    let_wait("red", 0, 10);
    cr_assert_eq(made_count, 2);
    let_wait("blue", 0, 1);
    cr_assert_eq(made_count, 3);
    pool_acquire(&slot, .id = "elsewhere", .tenant = "red", .philosophy = "multi_agent");
    cr_assert_eq(pool_commands(&slot, "create"), 0, "in all philosophies together");
    int elsewhere = 0;
    for (int i = 0; i < 12; i++) {
        elsewhere += strcmp(next_ready(), "elsewhere") == 0;
        cr_assert_leq(test_redis_int(&slot.redis, "HGET wp:{pool}:tenant:creating red"), 2);
    }
    cr_assert_eq(elsewhere, 1);
    cr_assert_eq(pool_stat(&slot, NULL, "waiting"), 0);
    cr_assert_eq(test_redis_int(&slot.redis, "ZCARD wp:{pool}:held"), 0);
}

Test(pool_tenants, a_timeout_says_that_a_tenant_has_all_its_creates) {
    pool_settings(&slot, "{'tenant_max_creating': 1}");
    pool_acquire(&slot, .id = "red0", .tenant = "red");
    pool_acquire(&slot, .id = "red1", .tenant = "red", .timeout_ms = 5000);
    pool_advance_time(&slot, 6);
    pool_sweep_due(&slot);
    cr_assert(
        strstr(pool_answer_str(&slot, "red1", "reason"), "its tenant has all its tenant.max_creating, 1"));
}

Test(pool_tenants, with_a_weight_have_as_many_turns_for_one_of_others) {
    pool_settings(&slot, "{'max_containers': 12, 'tenant_weights': {'red': 3}}");
    let_wait("red", 0, 9);
    let_wait("blue", 0, 9);
    int served[2] = {0, 0};
    for (int i = 0; i < 8; i++) served[strncmp(next_ready(), "blue", 4) == 0]++;
    cr_assert_eq(served[0], 6, "red was served %d times of 8", served[0]);
}

Test(pool_tenants, what_comes_in_one_call_is_counted) {
    pool_warm(&slot, "react", 8);
    let_wait("red", 0, 8);
    cr_assert_eq(test_redis_int(&slot.redis, "HGET wp:{pool}:tenant:leases red"), 8);
    struct test_events events = {0};
    for (int i = 0; i < 8; i++) {
        char id[16];
        snprintf(id, sizeof id, "red%d", i);
        event_add(&events, pool_next(&slot, POOL_RELEASE) + i, "sssb", id, "react", "", true);
    }
    pool_send(&slot, POOL_RELEASE, &events);
    cr_assert_eq(test_redis_int(&slot.redis, "EXISTS wp:{pool}:tenant:leases"), 0);
}

/* Counts are right for a limit that comes later; what was there before there were counts is not counted. */
Test(pool_tenants, limits_hold_for_leases_of_before) {
    pool_warm(&slot, "react", 3);
    let_wait("red", 0, 2);
    pool_settings(&slot, "{'tenant_max_leases': 2}");
    let_wait("red", 2, 1);
    expect_limit("red2", "limit: tenant red has 2 leases, tenant.max_leases is 2");
}

static void make_lease_old(const char *id) {
    static const char script[] = "local r = redis.call('HGET', KEYS[1], ARGV[1]) "
                                 "r = r:sub(1, 1) .. string.char(r:byte(2) - 4) .. r:sub(3) "
                                 "redis.call('HSET', KEYS[1], ARGV[1], r)";
    freeReplyObject(test_redis_command(&slot.redis, "EVAL %s 1 wp:{pool}:req %s", script, id));
}

Test(pool_tenants, leases_of_before_there_were_counts_end_without_a_trace) {
    slot.unchecked = true;
    pool_warm(&slot, "react", 4);
    let_wait("red", 0, 3);
    make_lease_old("red0");
    make_lease_old("red1");
    freeReplyObject(test_redis_command(&slot.redis, "HSET wp:{pool}:tenant:leases red 1"));
    pool_settings(&slot, "{'tenant_max_leases': 2}");
    let_wait("red", 3, 1);
    cr_assert_str_eq(pool_answer_str(&slot, "red3", "status"), "assigned", "one is counted");
    pool_release(&slot, "red0");
    pool_release(&slot, "red1");
    cr_assert_eq(test_redis_int(&slot.redis, "HGET wp:{pool}:tenant:leases red"), 2);
    let_wait("red", 4, 1);
    expect_limit("red4", "limit: tenant red has 2 leases, tenant.max_leases is 2");
    pool_check(&slot.redis);
}

/* ---- full hosts ---- */

Test(pool_tenants, a_container_that_is_given_back_makes_room_for_another_philosophy) {
    pool_host(&slot, "h1", 1, 0);
    pool_warm(&slot, "react", 1);
    let_wait("red", 0, 1);
    pool_acquire(&slot, .id = "blue0", .tenant = "blue", .philosophy = "multi_agent");
    cr_assert_str_eq(give_back("red0"), "destroyed");
    expect_next("blue0");
}

Test(pool_tenants, a_flood_on_full_hosts_gives_up_a_container_for_the_first_of_another_philosophy) {
    pool_host(&slot, "h1", 2, 0);
    let_wait("red", 0, 40);
    expect_next("red0");
    expect_next("red1");
    pool_acquire(&slot, .id = "blue0", .tenant = "blue", .philosophy = "multi_agent");
    cr_assert_str_eq(give_back("red0"), "destroyed");
    expect_next("blue0");
    cr_assert_str_eq(give_back("red1"), "red2");
}
