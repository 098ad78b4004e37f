/* A host whose engine is away: what becomes of its containers, and when it is back. */
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
TestSuite(pool_away, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

#define AWAY "{'capacity': 5, 'memory_mb': 0, 'runtime': 'docker', 'state': 'away', 'ttl_ms': 60000}"
#define UP "{'capacity': 5, 'memory_mb': 0, 'runtime': 'docker', 'state': 'up', 'ttl_ms': 60000}"

static void go_away(void) {
    pool_beat_with(&slot, "h1", AWAY);
    pool_host_event(&slot, "h1", "host_down", "away");
}

static void come_back(void) {
    pool_beat_with(&slot, "h1", UP);
    pool_host_event(&slot, "h1", "host_up", "");
}

/* h1 is up with so many idle containers. */
static void warm_up(int count) {
    pool_beat_with(&slot, "h1", UP);
    pool_warm(&slot, "react", count);
}

Test(pool_away, what_one_that_is_away_has_not_ready_is_made_by_others_and_leases_stay) {
    pool_settings(&slot, "{'max_containers': 4}");
    warm_up(2);
    pool_acquire(&slot, .id = "leased");
    pool_acquire(&slot, .id = "w1", .philosophy = "other");
    char creating[100];
    snprintf(creating, sizeof creating, "%s", pool_commanded(&slot, "create", 0));
    pool_host_event(&slot, "h1", "host_down", "away");
    cr_assert_eq(slot.answer.count, 0, "it is up");
    cr_assert_eq(pool_beat_with(&slot, "h1", AWAY), 1);
    pool_host_event(&slot, "h1", "host_down", "away");
    cr_assert_eq(slot.answer.count, 0, "nobody else can make it, and nobody lost what he has");
    cr_assert_str_eq(pool_state(&slot, creating), "");
    cr_assert_eq(pool_stat(&slot, "other", "waiting"), 1);
    cr_assert_eq(pool_stat(&slot, "react", "available"), 0, "its idle one is set aside");
    cr_assert_eq(pool_stat(&slot, "react", "leased"), 1);
    pool_host(&slot, "h2", 1, 0);
    pool_host_event(&slot, "h2", "host_up", "");
    cr_assert_eq(pool_commands(&slot, "create"), 1);
    cr_assert_str_eq(record_str(&slot.answer, 0, "host"), "h2");
    pool_acquire(&slot, .id = "w2", .philosophy = "other");
    cr_assert_eq(pool_commands(&slot, "create"), 0);
    cr_assert_eq(pool_beat_with(&slot, "h1", UP), 1);
    pool_host_event(&slot, "h1", "host_up", "");
    cr_assert_eq(pool_commands(&slot, "create"), 1, "it is back");
}

Test(pool_away, idle_ones_of_one_that_is_away_are_handed_out_only_when_it_is_back) {
    warm_up(2);
    go_away();
    pool_host_event(&slot, "h1", "host_down", "away"); /* said again: nothing changes */
    pool_acquire(&slot, .id = "r1");
    cr_assert_eq(pool_stat(&slot, "react", "waiting"), 1);
    come_back();
    cr_assert_eq(pool_stat(&slot, "react", "waiting"), 0);
    cr_assert_eq(pool_stat(&slot, "react", "leased"), 1);
    cr_assert_eq(pool_stat(&slot, "react", "available"), 1);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r2"), "assigned");
}

Test(pool_away, used_ones_that_come_back_are_not_ready_for_whoever_comes) {
    pool_settings(&slot, "{'reuse': 'same_tenant'}");
    warm_up(2);
    pool_acquire(&slot, .id = "r1", .tenant = "blue");
    pool_acquire(&slot, .id = "r2", .tenant = "red");
    pool_release(&slot, "r1");
    pool_release(&slot, "r2");
    cr_assert_eq(pool_stat(&slot, "react", "available"), 2);
    cr_assert_eq(pool_stat(&slot, "react", "ready"), 0, "each is its tenant's");
    go_away();
    come_back();
    cr_assert_eq(pool_stat(&slot, "react", "available"), 2);
    cr_assert_eq(pool_stat(&slot, "react", "ready"), 0);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r3", .tenant = "newcomer"), "");
}

Test(pool_away, one_given_back_where_the_host_is_away_is_set_aside_too) {
    warm_up(1);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r1"), "assigned");
    go_away();
    pool_release(&slot, "r1");
    cr_assert_eq(pool_stat(&slot, "react", "available"), 0);
    come_back();
    cr_assert_eq(pool_stat(&slot, "react", "available"), 1);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r2"), "assigned");
}

Test(pool_away, what_was_set_aside_gives_way_to_what_others_made_meanwhile) {
    pool_settings(&slot, "{'max_containers': 2}");
    warm_up(2);
    pool_beat_with(&slot, "h1", AWAY);
    pool_host(&slot, "h2", 2, 0);
    pool_host_event(&slot, "h1", "host_down", "away");
    pool_acquire(&slot, .id = "r1");
    cr_assert_eq(pool_commands(&slot, "create"), 1);
    come_back();
    cr_assert_eq(pool_commands(&slot, "destroy"), 1, "pool.max_containers is 2");
}

Test(pool_away, what_was_set_aside_is_gone_when_its_host_is_down) {
    warm_up(2);
    go_away();
    pool_host_event(&slot, "h1", "host_down", "stopping");
    cr_assert_eq(test_redis_int(&slot.redis, "HLEN wp:{pool}:c"), 0);
}

/* The host's state changes: so many are idle after the first step, and after the last. */
static void change_in_steps(const char *state, const char *event, int first, int last) {
    pool_beat(&slot, "h1", 300, 0, state);
    pool_host_event(&slot, "h1", event, strcmp(state, "away") == 0 ? "away" : "");
    cr_assert_eq(pool_stat(&slot, "react", "available"), first);
    pool_follow(&slot);
    cr_assert_eq(pool_stat(&slot, "react", "available"), last);
    pool_check(&slot.redis);
}

Test(pool_away, more_than_a_step_of_idle_ones_is_set_aside_and_comes_back_by_events) {
    slot.unchecked = true;
    pool_settings(&slot, "{'max_containers': 300, 'size': 300}");
    pool_beat(&slot, "h1", 300, 0, "up");
    pool_warm(&slot, "react", 250);
    change_in_steps("away", "host_down", 150, 0);
    change_in_steps("up", "host_up", 100, 250);
}

Test(pool_away, more_than_a_step_of_what_is_not_ready_goes_on_by_an_event) {
    slot.unchecked = true;
    pool_settings(&slot, "{'max_containers': 300, 'size': 300}");
    pool_beat_with(&slot, "h1",
                   "{'capacity': 300, 'memory_mb': 0, 'runtime': 'docker', 'state': 'up', 'ttl_ms': 60000}");
    pool_acquire_many(&slot, 0, 150, "react");
    pool_follow(&slot);
    cr_assert_eq(pool_stat(&slot, "react", "creating"), 150);
    go_away();
    cr_assert_eq(pool_stat(&slot, "react", "creating"), 50);
    pool_follow(&slot);
    cr_assert_eq(pool_stat(&slot, "react", "creating"), 0);
    cr_assert_eq(pool_stat(&slot, "react", "waiting"), 150);
    pool_check(&slot.redis);
}

/* r1 comes when h1, which has the only idle container, is away, and h2 has room for one. */
static void acquire_while_the_only_idle_one_is_away(void) {
    warm_up(1);
    pool_beat_with(&slot, "h1", AWAY);
    pool_host(&slot, "h2", 1, 0);
    pool_acquire(&slot, .id = "r1");
}

Test(pool_away, one_that_is_away_wakes_no_container_and_gives_no_claim) {
    pool_settings(&slot, "{'hot': 0}");
    acquire_while_the_only_idle_one_is_away();
    cr_assert_eq(pool_commands(&slot, "bind"), 0);
    cr_assert_eq(pool_commands(&slot, "create"), 1);
    pool_beat_with(&slot, "h1", UP);
    pool_acquire(&slot, .id = "r2");
    cr_assert_eq(pool_commands(&slot, "bind"), 1);
    go_away();
    cr_assert_eq(pool_stat(&slot, "react", "waiting"), 2, "it waits again");
}

Test(pool_away, paused_ones_of_one_that_is_away_give_way_at_once) {
    pool_settings(&slot, "{'hot': 0, 'max_containers': 1}");
    acquire_while_the_only_idle_one_is_away();
    cr_assert_eq(pool_commands(&slot, "destroy"), 1, "when it is back");
    cr_assert_eq(pool_commands(&slot, "create"), 1, "nobody destroys the other one now");
    cr_assert_str_eq(record_str(&slot.answer, 1, "host"), "h2");
}

Test(pool_away, one_given_back_that_nobody_is_there_to_reset_gives_way_at_once) {
    pool_settings(&slot, "{'reset': true, 'max_containers': 1}");
    warm_up(1);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r1"), "assigned");
    pool_beat_with(&slot, "h1", AWAY);
    pool_host(&slot, "h2", 1, 0);
    pool_release(&slot, "r1");
    cr_assert_eq(pool_commands(&slot, "reset"), 0);
    cr_assert_eq(pool_commands(&slot, "destroy"), 1);
    pool_acquire(&slot, .id = "r2");
    cr_assert_eq(pool_commands(&slot, "create"), 1);
}

Test(pool_away, what_was_being_reset_or_destroyed_where_a_host_went_away_is_not_waited_for) {
    pool_settings(&slot, "{'reset': true, 'max_containers': 2}");
    warm_up(2);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r1"), "assigned");
    cr_assert_str_eq(pool_acquire(&slot, .id = "r2"), "assigned");
    pool_release(&slot, "r1");
    cr_assert_eq(pool_commands(&slot, "reset"), 1);
    pool_release_as(&slot, "r2", "react", "", false);
    cr_assert_eq(pool_commands(&slot, "destroy"), 1);
    pool_beat_with(&slot, "h1", AWAY);
    pool_host(&slot, "h2", 2, 0);
    pool_host_event(&slot, "h1", "host_down", "away");
    cr_assert_eq(pool_stat(&slot, "react", "resetting"), 0);
    pool_acquire(&slot, .id = "r3");
    cr_assert_eq(pool_commands(&slot, "create"), 1);
    pool_acquire(&slot, .id = "r4");
    cr_assert_eq(pool_commands(&slot, "create"), 1);
}
