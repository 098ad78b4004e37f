/* Room on hosts, what containers and hosts report, and that whoever waits gets a container made. */
#include "support/limits.h"
#include "support/pool_slot.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include "support/pool_check.h"

static struct pool_slot slot;
static void start(void) {
    pool_slot_start(&slot);
}
static void stop(void) {
    pool_slot_stop(&slot);
}
TestSuite(pool_hosts, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

static const char *keep(const char *id) { /* a name that outlives the next call */
    static char kept[8][100];
    static int turn;
    char *text = kept[turn = (turn + 1) % 8];
    snprintf(text, sizeof kept[0], "%s", id);
    return text;
}

/* ---- room ---- */

Test(pool_hosts, without_a_host_it_waits_until_one_is_up) {
    pool_acquire(&slot, .id = "r1");
    cr_assert_eq(pool_commands(&slot, "create"), 0);
    cr_assert_eq(pool_beat(&slot, "h1", 5, 0, "up"), 1, "not known as up before");
    cr_assert_eq(pool_beat(&slot, "h1", 5, 0, "up"), 0);
    pool_host_event(&slot, "h1", "host_up", "");
    cr_assert_eq(pool_commands(&slot, "create"), 1);
}

Test(pool_hosts, the_one_with_most_room_gets_it) {
    pool_host(&slot, "h1", 3, 0);
    pool_host(&slot, "h2", 5, 0);
    pool_acquire_many(&slot, 0, 5, "react");
    int on_h2 = 0;
    for (size_t i = 0; i < 5; i++) on_h2 += strcmp(record_str(&slot.answer, i, "host"), "h2") == 0;
    cr_assert_eq(on_h2, 3);
    cr_assert_eq(pool_host_stat(&slot, "h1", "used"), 2);
}

Test(pool_hosts, memory_is_room_too) {
    pool_host(&slot, "h1", 10, 1000);
    pool_host(&slot, "h2", 2, 0);
    pool_acquire_many(&slot, 0, 6, "react");
    cr_assert_eq(pool_commands(&slot, "create"), 5, "three times 256 MB, and two");
    cr_assert_eq(pool_host_stat(&slot, "h1", "memory_used_mb"), 768);
}

Test(pool_hosts, one_that_drains_or_is_silent_gets_none) {
    pool_beat(&slot, "h1", 10, 0, "draining");
    pool_acquire_many(&slot, 0, 1, "react");
    cr_assert_eq(pool_commands(&slot, "create"), 0);
    pool_host(&slot, "h2", 10, 0);
    pool_advance_time(&slot, 16);
    pool_acquire_many(&slot, 1, 1, "react");
    cr_assert_eq(pool_commands(&slot, "create"), 0);
    cr_assert_eq(pool_beat(&slot, "h2", 10, 0, "up"), 1, "its room is there again");
    pool_host_event(&slot, "h2", "host_up", "");
    cr_assert_eq(pool_commands(&slot, "create"), 2);
}

Test(pool_hosts, at_the_pools_maximum_the_oldest_unusable_idle_one_makes_room) {
    pool_host(&slot, "h1", 50, 0);
    pool_settings(&slot, "{'max_containers': 2}");
    pool_warm(&slot, "react", 2);
    pool_acquire(&slot, .id = "r1", .tenant = "red");
    const char *first = keep(pool_answer_str(&slot, "r1", "container_id"));
    pool_acquire(&slot, .id = "r2", .tenant = "red");
    pool_release(&slot, "r1");
    pool_release(&slot, "r2");
    pool_acquire(&slot, .id = "r3", .tenant = "blue");
    cr_assert_eq(slot.answer.count, 1);
    cr_assert_str_eq(pool_commanded(&slot, "destroy", 0), first);
    pool_acquire(&slot, .id = "r3", .tenant = "blue");
    cr_assert_eq(slot.answer.count, 0, "one for one who waits");
    pool_event(&slot, first, "gone", "");
    cr_assert_eq(pool_commands(&slot, "create"), 1);
    pool_ready_created(&slot);
    cr_assert_str_eq(pool_answer_str(&slot, "r3", "status"), "assigned");
}

Test(pool_hosts, full_hosts_take_from_the_least_recently_active_pool) {
    pool_host(&slot, "h1", 4, 0);
    pool_warm(&slot, "old", 2);
    pool_advance_time(&slot, 1);
    pool_warm(&slot, "young", 2);
    pool_advance_time(&slot, 1);
    pool_acquire(&slot, .id = "r1");
    cr_assert_eq(slot.answer.count, 1);
    const char *victim = keep(pool_commanded(&slot, "destroy", 0));
    cr_assert(strstr(victim, "wp-old-"), "%s", victim);
    pool_acquire(&slot, .id = "r1");
    pool_acquire(&slot, .id = "r2", .timeout_ms = POOL_ZERO);
    cr_assert_eq(pool_commands(&slot, "destroy"), 0, "one for one who waits");
    pool_acquire(&slot, .id = "r3");
    cr_assert_eq(pool_commands(&slot, "destroy"), 1, "one for one who waits");
    pool_event(&slot, victim, "gone", "");
    cr_assert_eq(pool_commands(&slot, "create"), 1, "the starved pool gets what came free");
}

Test(pool_hosts, a_full_host_of_its_own_idle_ones_makes_room_too) {
    pool_host(&slot, "h1", 1, 0);
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1", .tenant = "red");
    pool_release(&slot, "r1");
    pool_acquire(&slot, .id = "r2", .tenant = "blue");
    const char *victim = keep(pool_commanded(&slot, "destroy", 0));
    pool_event(&slot, victim, "gone", "");
    pool_ready_created(&slot);
    cr_assert_str_eq(pool_answer_str(&slot, "r2", "status"), "assigned");
}

Test(pool_hosts, room_goes_to_all_starved_pools_in_bounded_steps) {
    slot.unchecked = true;
    char name[32];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "p%d", i);
        pool_acquire_many(&slot, i, 1, name);
    }
    pool_host(&slot, "h1", 200, 0);
    pool_host_event(&slot, "h1", "host_up", "");
    cr_assert_leq(pool_commands(&slot, "create"), 32);
    cr_assert_eq(pool_follow(&slot).commands, 100);
    pool_check(&slot.redis);
    pool_check_restored(&slot.redis, 100);
}

/* ---- what containers report ---- */

Test(pool_hosts, ready_counts_once) {
    pool_host(&slot, "h1", 5, 0);
    pool_control(&slot, "react", "pre_warm", 1);
    const char *id = keep(pool_commanded(&slot, "create", 0));
    pool_event(&slot, id, "ready", "");
    pool_event(&slot, id, "ready", "");
    cr_assert_eq(pool_stat(&slot, "react", "available"), 1);
    pool_acquire(&slot, .id = "r1");
    pool_event(&slot, id, "ready", "");
    cr_assert_str_eq(pool_state(&slot, id), "leased");
}

Test(pool_hosts, unknown_containers_are_never_adopted) {
    pool_host(&slot, "h1", 5, 0);
    const char *states[] = {"ready", "failed", "died", "gone"};
    for (int i = 0; i < 4; i++) {
        pool_event(&slot, "wp-react-7", states[i], "");
        cr_assert_eq(slot.answer.count, 0);
    }
    cr_assert_str_eq(pool_state(&slot, "wp-react-7"), "");
}

Test(pool_hosts, failing_creates_back_off_up_to_30_seconds) {
    pool_settings(&slot, "{'max_failures': 0}");
    pool_host(&slot, "h1", 5, 0);
    pool_acquire(&slot, .id = "r1", .timeout_ms = 3600000);
    double wait = 0.5;
    for (int i = 0; i < 9; i++) {
        cr_assert_eq(pool_commands(&slot, "create"), 1, "after %d failures", i);
        pool_event(&slot, keep(pool_commanded(&slot, "create", 0)), "failed", "no image");
        cr_assert_eq(slot.answer.count, 0, "not at once");
        cr_assert_eq(pool_host_stat(&slot, "h1", "used"), 0);
        pool_control(&slot, "react", "pre_warm", 2);
        cr_assert_eq(slot.answer.count, 0, "nor for a pre-warm");
        pool_host(&slot, "h1", 5, 0);
        redisReply *due = calls_function(&slot.redis, WP_SLOT_POOL, "due", NULL);
        double left = (double)due->element[0]->integer / 1e6;
        cr_assert(left <= wait && left > wait - 0.4, "%g, not %g", left, wait);
        freeReplyObject(due);
        pool_advance_time(&slot, wait);
        pool_host(&slot, "h1", 5, 0);
        pool_sweep_due(&slot);
        wait = wait * 2 > 30 ? 30 : wait * 2;
    }
    pool_ready_created(&slot);
    cr_assert_str_eq(pool_answer_str(&slot, "r1", "status"), "assigned");
    pool_acquire(&slot, .id = "r2");
    cr_assert_eq(pool_commands(&slot, "create"), 1, "all is well again");
}

Test(pool_hosts, a_leased_one_that_dies_is_lost_and_its_room_free) {
    pool_host(&slot, "h1", 1, 0);
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1", .agent = "a1");
    const char *id = keep(pool_answer_str(&slot, "r1", "container_id"));
    pool_acquire(&slot, .id = "r2");
    pool_event(&slot, id, "died", "exited: exit 1");
    cr_assert_str_eq(pool_answer_str(&slot, "r1", "status"), "lost");
    cr_assert_str_eq(pool_answer_str(&slot, "r1", "reason"), "container_died: exited: exit 1");
    cr_assert_eq(pool_commands(&slot, "create"), 1, "for r2");
    cr_assert_eq(pool_stat(&slot, NULL, "lost"), 1);
    pool_event(&slot, id, "died", "exited: exit 1");
    cr_assert_eq(slot.answer.count, 0);
    pool_release(&slot, "r1");
    cr_assert_eq(slot.answer.count, 0, "its lease is over");
}

/* A lease of 300 MB that ends by this. */
static void lose(const char *detail) {
    pool_acquire(&slot, .id = "r1", .memory = 300);
    pool_ready_created(&slot);
    pool_event(&slot, keep(pool_answer_str(&slot, "r1", "container_id")), "died", detail);
    cr_assert_str_eq(pool_answer_str(&slot, "r1", "status"), "lost");
}

Test(pool_hosts, a_lease_that_ran_out_of_memory_is_no_sample_unless_that_is_asked_for) {
    pool_host(&slot, "h1", 5, 0);
    lose("out_of_memory: it needed more");
    cr_assert_eq(pool_predicted(&slot, "react", "samples"), 0);
}

Test(pool_hosts, a_lease_that_ran_out_of_memory_is_a_sample_of_its_limit_when_that_is_asked_for) {
    pool_settings(&slot, "{'learn_oom': true}");
    pool_host(&slot, "h1", 5, 0);
    lose("out_of_memory: it needed more");
    cr_assert_eq(pool_predicted(&slot, "react", "samples"), 1);
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.memory_mb"), 360, "1.2 times its limit");
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.cpu_percent"), 50, "the default");
    pool_usage(&slot, "react", 10, 100, 1);
    cr_assert_eq(pool_predicted(&slot, "react", "samples"), 2);
    cr_assert_eq(pool_predicted(&slot, "react", "requirements.memory_mb"), 240);
}

Test(pool_hosts, another_end_or_one_without_a_lease_is_no_sample) {
    pool_settings(&slot, "{'learn_oom': true}");
    pool_host(&slot, "h1", 5, 0);
    lose("killed: signal 9 ended it");
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r2");
    const char *id = keep(pool_answer_str(&slot, "r2", "container_id"));
    pool_release(&slot, "r2");
    pool_event(&slot, id, "died", "out_of_memory: it needed more");
    cr_assert_eq(pool_predicted(&slot, "react", "samples"), 0);
}

Test(pool_hosts, a_request_larger_than_any_host_is_told_so_and_costs_nobody_a_container) {
    pool_host(&slot, "h1", 5, 1000);
    pool_host(&slot, "h2", 5, 2000);
    pool_warm(&slot, "other", 2);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r1", .memory = 2001), "rejected");
    cr_assert_str_eq(pool_answer_str(&slot, "r1", "reason"),
                     "too_large: memory_mb is 2001, the largest host has 2000 (host.memory_mb)");
    cr_assert_eq(pool_commands(&slot, "destroy"), 0);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r2", .memory = 2000), "", "it waits");
    pool_host(&slot, "h3", 5, 0);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r3", .memory = 4000), "", "h3 has no limit");
}

Test(pool_hosts, one_that_went_ten_minutes_ago_may_come_back) {
    pool_host(&slot, "h1", 5, 1000);
    pool_host(&slot, "h2", 5, 4000);
    pool_beat(&slot, "h2", 5, 4000, "draining");
    pool_host_event(&slot, "h2", "host_down", "stopping");
    cr_assert_str_eq(pool_acquire(&slot, .id = "r1", .memory = 3000), "", "it waits for h2");
    pool_advance_time(&slot, 601);
    pool_host(&slot, "h1", 5, 1000);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r2", .memory = 3000), "rejected");
}

Test(pool_hosts, one_that_is_dying_is_gone_at_once_unless_it_is_leased) {
    pool_host(&slot, "h1", 5, 0);
    pool_warm(&slot, "react", 2);
    pool_acquire(&slot, .id = "r1");
    const char *leased = keep(pool_answer_str(&slot, "r1", "container_id"));
    pool_acquire(&slot, .id = "r2");
    const char *idle = keep(pool_answer_str(&slot, "r2", "container_id"));
    pool_release(&slot, "r2");
    pool_event(&slot, idle, "died", "dying");
    cr_assert_str_eq(pool_state(&slot, idle), "");
    pool_event(&slot, idle, "died", "exited: it exited with status 1");
    cr_assert_eq(slot.answer.count, 0, "it is gone already");
    pool_event(&slot, leased, "died", "dying");
    cr_assert_eq(slot.answer.count, 0, "its holder is told with the reason");
    pool_event(&slot, leased, "died", "exited: it exited with status 1");
    cr_assert_str_eq(pool_answer_str(&slot, "r1", "reason"),
                     "container_died: exited: it exited with status 1");
}

/* Says that the container has ended, as its host does before its event is read. */
static int64_t ended(const char *id) {
    redisReply *reply = calls_function(&slot.redis, WP_SLOT_POOL, "ended", id, NULL);
    cr_assert(reply->type == REDIS_REPLY_INTEGER, "ended: %s", reply->str);
    int64_t aside = reply->integer;
    freeReplyObject(reply);
    return aside;
}

Test(pool_hosts, one_that_ended_is_given_to_nobody_before_its_event_is_read) {
    pool_settings(&slot, "{'min_idle': 0, 'clean': false}");
    pool_host(&slot, "h1", 5, 0);
    pool_warm(&slot, "react", 2);
    pool_acquire(&slot, .id = "r1");
    const char *leased = keep(pool_answer_str(&slot, "r1", "container_id"));
    pool_acquire(&slot, .id = "r2");
    const char *idle = keep(pool_answer_str(&slot, "r2", "container_id"));
    pool_release(&slot, "r2");
    cr_assert_eq(ended(idle), 1);
    cr_assert_eq(ended(idle), 0, "said twice");
    cr_assert_eq(ended("wp-react-unknown-1"), 0);
    cr_assert_eq(pool_stat(&slot, "react", "available"), 0);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r3"), "", "it waits for another one");
    pool_ready_created(&slot);
    cr_assert_str_neq(pool_answer_str(&slot, "r3", "container_id"), idle);
    pool_event(&slot, idle, "died", "exited: it exited with status 1");
    cr_assert_str_eq(pool_state(&slot, idle), "");
    cr_assert_eq(ended(leased), 0, "its holder keeps it until the event is read");
    pool_release(&slot, "r1");
    cr_assert_eq(pool_commands(&slot, "destroy"), 1, "it does not become idle again");
    cr_assert_eq(pool_stat(&slot, "react", "available"), 0);
}

/* One container on a host that drains, and the pool may have no other: then it ends. */
static void let_one_wait_for(void (*end)(void)) {
    pool_settings(&slot, "{'max_containers': 1, 'lease_ms': 5000}");
    pool_host(&slot, "h1", 5, 0);
    pool_acquire(&slot, .id = "r1");
    pool_ready_created(&slot);
    pool_beat(&slot, "h1", 5, 0, "draining");
    pool_host(&slot, "h2", 5, 0);
    pool_acquire(&slot, .id = "r2");
    cr_assert_eq(pool_commands(&slot, "create"), 0, "it waits for the pool's only one");
    end();
    cr_assert_eq(pool_stat(&slot, "react", "creating"), 1, "on the other host");
}

static void release_for_good(void) {
    pool_release_as(&slot, "r1", "react", "", false);
}

static void let_expire(void) {
    pool_advance_time(&slot, 6);
    pool_host(&slot, "h2", 5, 0);
    pool_sweep_due(&slot);
}

Test(pool_hosts, what_ends_on_a_host_that_drains_makes_room_in_its_pool_at_once) {
    let_one_wait_for(release_for_good);
}

Test(pool_hosts, so_does_what_expires_there) {
    let_one_wait_for(let_expire);
}

Test(pool_hosts, an_idle_or_ending_one_that_dies_is_gone) {
    pool_host(&slot, "h1", 5, 0);
    pool_warm(&slot, "react", 2);
    pool_control(&slot, "react", "resize", 1);
    const char *ending = keep(pool_commanded(&slot, "destroy", 0));
    pool_event(&slot, ending, "died", "");
    cr_assert_str_eq(pool_state(&slot, ending), "");
    pool_control(&slot, "react", "expire", -1);
    const char *idle = keep(pool_commanded(&slot, "destroy", 0));
    pool_event(&slot, idle, "gone", "");
    cr_assert_eq(pool_host_stat(&slot, "h1", "used"), 1, "the refill");
}

/* ---- hosts that go ---- */

Test(pool_hosts, one_that_is_not_silent_is_not_dropped) {
    pool_host(&slot, "h1", 5, 0);
    pool_warm(&slot, "react", 2);
    pool_host_event(&slot, "h1", "host_down", "");
    cr_assert_eq(slot.answer.count, 0);
    cr_assert_eq(pool_stat(&slot, "react", "available"), 2);
}

Test(pool_hosts, a_silent_one_loses_its_leases_100_a_step) {
    slot.unchecked = true;
    pool_settings(&slot, "{'max_containers': 300, 'size': 300, 'lease_ms': 0}");
    pool_host(&slot, "h1", 300, 0);
    pool_warm(&slot, "react", 250);
    pool_acquire_many(&slot, 0, 250, "react");
    pool_advance_time(&slot, 16);
    redisReply *due = calls_function(&slot.redis, WP_SLOT_POOL, "due", NULL);
    cr_assert_eq(due->element[0]->integer, -1);
    cr_assert_str_eq(due->element[1]->str, "h1");
    freeReplyObject(due);
    pool_host_event(&slot, "h1", "host_down", "");
    cr_assert_eq(record_count(&slot.answer, 1), 100);
    cr_assert(strstr(record_str(&slot.answer, 0, "reason"), "host_down: the host h1 was"));
    struct pool_followed all = pool_follow(&slot);
    cr_assert_eq(all.assignments, 250);
    cr_assert_eq(all.calls, 2);
    pool_check(&slot.redis);
    json_t *stats = calls_public(&slot.redis, "wp_pool_stats", NULL);
    cr_assert_eq(json_object_size(json_object_get(stats, "hosts")), 0);
    json_decref(stats);
}

Test(pool_hosts, one_that_stops_is_dropped_at_once_and_others_take_over) {
    pool_host(&slot, "h1", 5, 0);
    pool_acquire(&slot, .id = "r1");
    pool_host(&slot, "h2", 2, 0);
    pool_beat(&slot, "h1", 5, 0, "draining");
    pool_host_event(&slot, "h1", "host_down", "stopping");
    cr_assert_eq(pool_commands(&slot, "create"), 1);
    cr_assert_str_eq(record_str(&slot.answer, 0, "host"), "h2");
}

/* Of the container that was told to be made last. */
static void expect_spare(const char *wanted) {
    char id[96];
    snprintf(id, sizeof id, "%s", record_str(&slot.answer, 0, "container_id"));
    redisReply *reply = calls_function(&slot.redis, WP_SLOT_POOL, "desired", "h1", id, NULL);
    json_t *desired = calls_unpack(reply);
    freeReplyObject(reply);
    cr_expect_str_eq(json_string_value(json_array_get(json_array_get(desired, 0), 1)), "creating");
    cr_expect_str_eq(json_string_value(json_array_get(json_array_get(desired, 0), 5)), wanted);
    json_decref(desired);
}

Test(pool_hosts, what_no_request_waits_for_is_made_last) {
    pool_host(&slot, "h1", 5, 0);
    pool_control(&slot, "react", "pre_warm", 1);
    expect_spare("spare");
    pool_acquire(&slot, .id = "r1", .philosophy = "planning");
    expect_spare("");
}

Test(pool_hosts, desired_and_owned_say_what_is_to_be) {
    pool_host(&slot, "h1", 5, 0);
    pool_warm(&slot, "react", 1);
    redisReply *reply = calls_function(&slot.redis, WP_SLOT_POOL, "owned", "h1", NULL);
    json_t *owned = calls_unpack(reply);
    freeReplyObject(reply);
    json_t *row = json_array_get(owned, 0);
    cr_assert_eq(json_array_size(owned), 1);
    cr_assert_str_eq(json_string_value(json_array_get(row, 1)), "idle");
    cr_assert_str_eq(json_string_value(json_array_get(row, 2)), "react");
    cr_assert_eq(json_integer_value(json_array_get(row, 4)), 256);
    reply = calls_function(&slot.redis, WP_SLOT_POOL, "desired", "h1",
                           json_string_value(json_array_get(row, 0)), "no", NULL);
    json_t *desired = calls_unpack(reply);
    freeReplyObject(reply);
    cr_assert(json_equal(json_array_get(desired, 0), row));
    cr_assert_str_eq(json_string_value(json_array_get(json_array_get(desired, 1), 1)), "");
    json_decref(desired);
    json_decref(owned);
}
