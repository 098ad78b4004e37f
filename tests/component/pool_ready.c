/* pool.min_idle: so many containers that any request could get are ready at all times. */
#include "support/pool_suite.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

POOL_SUITE(pool_ready);

static const char *keep(const char *id) {
    static char kept[8][96];
    static int turn;
    turn = (turn + 1) % 8;
    snprintf(kept[turn], sizeof kept[0], "%s", id);
    return kept[turn];
}

/* Hosts do what they were told, until nothing is made and nothing ends. */
static void settle(void) {
    for (bool quiet = false; !quiet;) {
        redisReply *is = test_redis_command(&slot.redis, "HGETALL wp:{pool}:is");
        quiet = true;
        for (size_t i = 0; i < is->elements; i += 2) {
            bool creating = strncmp(is->element[i + 1]->str, "\nc", 2) == 0,
                 ending = strncmp(is->element[i + 1]->str, "\ne", 2) == 0;
            if (creating || ending) pool_event(&slot, is->element[i]->str, creating ? "ready" : "gone", "");
            quiet = quiet && !creating && !ending;
        }
        freeReplyObject(is);
    }
}

/* react has five of them, which are ready. */
static void have_five(void) {
    pool_settings(&slot, "{'min_idle_of': {'react': 5}}");
    pool_control(&slot, "react", "pre_warm", 5);
    cr_assert_eq(pool_commands(&slot, "create"), 5);
    pool_ready_created(&slot);
    cr_assert_eq(pool_stat(&slot, "react", "available"), 5);
    cr_assert_eq(pool_commands(&slot, "create"), 0);
}

static void expect_five_again(void) {
    pool_ready_created(&slot);
    cr_assert_eq(pool_stat(&slot, "react", "available"), 5);
    cr_assert_eq(pool_stat(&slot, "react", "creating"), 0);
}

Test(pool_ready, what_is_taken_is_made_up_for_at_once) {
    have_five();
    pool_acquire_many(&slot, 1, 5, "react");
    cr_assert_eq(pool_commands(&slot, "create"), 5);
    expect_five_again();
    pool_acquire(&slot, .id = "large", .memory = 1000); /* too large for those that are idle */
    cr_assert_eq(pool_commands(&slot, "create"), 1, "its own, and no more");
}

Test(pool_ready, so_is_one_that_dies_idle) {
    have_five();
    pool_acquire(&slot, .id = "r1");
    const char *id = keep(pool_answer_str(&slot, "r1", "container_id"));
    expect_five_again();
    pool_release(&slot, "r1");
    cr_assert_eq(pool_stat(&slot, "react", "available"), 6);
    pool_event(&slot, id, "died", "exited: it exited with status 1");
    cr_assert_eq(pool_commands(&slot, "create"), 0, "five are left");
    for (int i = 0; i < 2; i++) {
        pool_control(&slot, "react", "expire", 1);
        cr_assert_eq(pool_commands(&slot, "create"), 1);
        pool_ready_created(&slot);
    }
}

Test(pool_ready, so_is_one_that_was_too_old) {
    pool_settings(&slot, "{'max_ages': {'react': 100}}");
    have_five();
    pool_advance_time(&slot, 101);
    pool_host(&slot, "h1", 50, 0);
    pool_sweep_due(&slot);
    cr_assert_eq(pool_stat(&slot, "react", "creating"), 5);
}

Test(pool_ready, they_have_no_limit_of_idle_time_and_others_have) {
    pool_settings(&slot, "{'idle_ttls': {'react': 10}}");
    have_five();
    pool_control(&slot, "react", "pre_warm", 7);
    pool_ready_created(&slot);
    for (int i = 0; i < 3; i++) {
        pool_advance_time(&slot, 11);
        pool_host(&slot, "h1", 50, 0);
        pool_sweep_due(&slot);
        cr_assert_eq(pool_stat(&slot, "react", "available"), 5, "at %d", i);
        cr_assert_eq(pool_stat(&slot, "react", "creating"), 0);
    }
}

Test(pool_ready, one_that_could_not_be_made_is_tried_again) {
    pool_settings(&slot, "{'min_idle_of': {'react': 1}}");
    pool_control(&slot, "react", "pre_warm", 1);
    pool_event(&slot, keep(pool_commanded(&slot, "create", 0)), "failed", "no space");
    cr_assert_eq(pool_commands(&slot, "create"), 0, "not at once");
    pool_advance_time(&slot, 1);
    pool_host(&slot, "h1", 50, 0);
    pool_sweep_due(&slot);
    cr_assert_eq(pool_commands(&slot, "create"), 1);
}

Test(pool_ready, a_host_that_comes_gets_them_after_those_that_wait) {
    pool_settings(&slot, "{'min_idle_of': {'react': 5}, 'max_failures': 0}");
    pool_beat(&slot, "h1", 50, 0, "draining");
    pool_control(&slot, "react", "pre_warm", 5);
    pool_acquire(&slot, .id = "r1", .philosophy = "other");
    pool_acquire(&slot, .id = "r2", .philosophy = "other");
    cr_assert_eq(pool_stat(&slot, NULL, "creating"), 0);
    pool_host(&slot, "h1", 3, 0);
    pool_host_event(&slot, "h1", "host_up", "");
    cr_assert_eq(pool_stat(&slot, "other", "creating"), 2);
    cr_assert_eq(pool_stat(&slot, "react", "creating"), 1, "what room is left");
    pool_host(&slot, "h2", 10, 0);
    pool_host_event(&slot, "h2", "host_up", "");
    cr_assert_eq(pool_stat(&slot, "react", "creating"), 5);
}

Test(pool_ready, another_pools_request_takes_their_room_and_gets_it_first) {
    pool_host(&slot, "h1", 5, 0);
    have_five();
    pool_acquire(&slot, .id = "r1", .philosophy = "other");
    cr_assert_eq(pool_commands(&slot, "destroy"), 1);
    const char *ending = keep(pool_commanded(&slot, "destroy", 0));
    cr_assert_eq(pool_stat(&slot, "react", "creating"), 0);
    pool_event(&slot, ending, "gone", "");
    cr_assert_eq(pool_stat(&slot, "other", "creating"), 1);
    cr_assert_eq(pool_stat(&slot, "react", "creating"), 0, "there is no room for a fifth");
    pool_ready_created(&slot);
    pool_release_as(&slot, "r1", "other", "", false);
    pool_event(&slot, keep(pool_commanded(&slot, "destroy", 0)), "gone", "");
    cr_assert_eq(pool_stat(&slot, "react", "creating"), 1);
}

Test(pool_ready, the_rate_of_refills_is_bounded_and_waiting_requests_are_not) {
    pool_settings(&slot, "{'refill_rate': 2}");
    pool_settings(&slot, "{'min_idle_of': {'react': 5}}");
    pool_control(&slot, "react", "pre_warm", 5);
    pool_ready_created(&slot);
    pool_advance_time(&slot, 60);
    pool_host(&slot, "h1", 50, 0);
    pool_acquire_many(&slot, 1, 5, "react");
    cr_assert_eq(pool_commands(&slot, "create"), 1);
    pool_acquire_many(&slot, 6, 3, "react");
    cr_assert_eq(pool_stat(&slot, "react", "creating"), 3, "one for each that waits");
    pool_ready_created(&slot);
    for (int i = 0; i < 3; i++) {
        pool_advance_time(&slot, 0.6);
        pool_host(&slot, "h1", 50, 0);
        pool_sweep_due(&slot);
    }
    double coming = pool_stat(&slot, "react", "creating") + pool_stat(&slot, "react", "available");
    cr_assert(coming >= 2 && coming <= 4, "%g", coming);
}

/* Four containers that red has used and given back, in a pool of four. */
static void red_owns_all(void) {
    pool_host(&slot, "h1", 50, 0);
    pool_settings(&slot, "{'sizes': {'react': 4}, 'max_containers_of': {'react': 4}}");
    pool_warm(&slot, "react", 4);
    char id[8];
    for (int i = 1; i <= 4; i++) {
        snprintf(id, sizeof id, "r%d", i);
        pool_acquire(&slot, .id = id, .tenant = "red");
    }
    for (int i = 1; i <= 4; i++) {
        snprintf(id, sizeof id, "r%d", i);
        pool_release(&slot, id);
    }
    cr_assert_eq(pool_stat(&slot, "react", "available"), 4);
}

Test(pool_ready, used_ones_are_no_reserve_when_a_second_tenant_comes) {
    red_owns_all();
    pool_settings(&slot, "{'min_idle_of': {'react': 2}}");
    pool_acquire(&slot, .id = "red", .tenant = "red");
    cr_assert_eq(pool_commands(&slot, "create"), 0, "all are for red, and nobody else is there");
    pool_release(&slot, "red");
    cr_assert_eq(pool_stat(&slot, "react", "ready"), 4, "red, who has used them, alone asks for them");
    pool_acquire(&slot, .id = "b1", .tenant = "blue");
    settle();
    cr_assert_eq(pool_stat(&slot, "react", "ready"), 2, "of those that are idle, red's do not count");
    cr_assert_gt(pool_stat(&slot, "react", "available"), 0);
    cr_assert_str_eq(pool_acquire(&slot, .id = "b2", .tenant = "blue"), "assigned", "a warm one");
    cr_assert_eq(pool_stat(&slot, "react", "cold_starts"), 1);
}

Test(pool_ready, in_a_full_pool_the_oldest_used_one_of_another_tenant_goes_not_the_newcomer) {
    red_owns_all();
    pool_settings(&slot, "{'max_containers_of': {'react': 10}}");
    pool_acquire(&slot, .id = "b1", .tenant = "blue");
    pool_ready_created(&slot);
    const char *blue = keep(pool_answer_str(&slot, "b1", "container_id"));
    pool_release(&slot, "b1");
    cr_assert_eq(pool_commands(&slot, "destroy"), 1);
    cr_assert_str_eq(pool_state(&slot, blue), "idle");
    cr_assert_eq(pool_stat(&slot, "react", "available"), 4);
    pool_acquire(&slot, .id = "b2", .tenant = "blue");
    cr_assert_str_eq(pool_answer_str(&slot, "b2", "container_id"), blue);
}

Test(pool_ready, a_pool_that_is_drained_makes_none_until_it_is_resized) {
    have_five();
    pool_control(&slot, "react", "drain", -1);
    cr_assert_eq(pool_commands(&slot, "create"), 0);
    pool_control(&slot, "react", "resize", 3);
    cr_assert_eq(pool_commands(&slot, "create"), 3, "as many as its size allows");
}

/* host.on_exit = destroy: they go with their worker. */
Test(pool_ready, nobody_gets_those_of_a_worker_that_stops_and_its_next_one_makes_others) {
    have_five();
    pool_beat(&slot, "h1", 50, 0, "stopping");
    cr_assert_eq(pool_stat(&slot, "react", "available"), 0);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r1"), "", "it waits");
    pool_host(&slot, "h1", 50, 0); /* the next one comes before the event */
    pool_host_event(&slot, "h1", "host_up", "");
    cr_assert_eq(pool_stat(&slot, "react", "creating"), 6);
    settle();
    cr_assert_eq(pool_stat(&slot, "react", "available"), 5);
    pool_host_event(&slot, "h1", "host_down", "stopping");
    cr_assert_eq(pool_stat(&slot, "react", "available"), 5, "they are the next one's");
    cr_assert_eq(pool_stat(&slot, NULL, "lost"), 0);
    pool_beat(&slot, "h1", 50, 0, "stopping");
    pool_host_event(&slot, "h1", "host_down", "stopping");
    cr_assert_eq(pool_stat(&slot, NULL, "lost"), 1, "the leased one");
    pool_host(&slot, "h1", 50, 0);
    pool_host_event(&slot, "h1", "host_up", "");
    cr_assert_eq(pool_stat(&slot, "react", "creating"), 5);
}

/* Its event is read when the next one is there already. */
Test(pool_ready, what_was_leased_on_a_worker_that_stopped_is_lost_and_nothing_of_the_next_one) {
    have_five();
    pool_acquire(&slot, .id = "r1");
    settle();
    pool_beat(&slot, "h1", 50, 0, "stopping");
    pool_host(&slot, "h1", 50, 0);
    pool_control(&slot, "react", "pre_warm", 1);
    settle();
    cr_assert_eq(pool_stat(&slot, "react", "available"), 5);
    pool_host_event(&slot, "h1", "host_down", "stopping");
    cr_assert_eq(pool_stat(&slot, "react", "available"), 5);
    cr_assert_eq(pool_stat(&slot, NULL, "lost"), 1);
}

/* Both containers that the pool may have are in use, by two tenants; then one is given back. */
static void give_one_back(const char *settings) {
    pool_settings(&slot, "{'sizes': {'react': 2}, 'max_containers_of': {'react': 2}}");
    pool_settings(&slot, settings);
    pool_warm(&slot, "react", 2);
    pool_acquire(&slot, .id = "red", .tenant = "red");
    pool_acquire(&slot, .id = "blue", .tenant = "blue");
    pool_settings(&slot, "{'min_idle_of': {'react': 1}}");
    pool_release(&slot, "red");
    settle();
    pool_settings(&slot, "{'min_idle_of': {}}");
    cr_assert_str_eq(pool_acquire(&slot, .id = "green", .tenant = "green"), "assigned", "a warm one");
}

Test(pool_ready, one_that_is_given_back_makes_room_for_one_that_anybody_may_have) {
    give_one_back("{}");
}

Test(pool_ready, so_does_one_whose_uses_are_counted) {
    give_one_back("{'max_uses': 9}");
}

/* What is pre-warmed may be all that the pool holds: then used ones would never be used again. */
Test(pool_ready, what_nobody_asked_for_leaves_used_ones_half_of_the_pool) {
    red_owns_all();
    pool_settings(&slot, "{'prewarms': {'react': 4}}");
    pool_acquire(&slot, .id = "b1", .tenant = "blue");
    settle();
    pool_release(&slot, "b1");
    settle();
    cr_assert_eq(pool_stat(&slot, "react", "available"), 4);
    cr_assert_str_eq(pool_acquire(&slot, .id = "b2", .tenant = "blue"), "assigned");
    cr_assert_eq(pool_commands(&slot, "create"), 0, "its own, not one of the two that anybody may have");
    cr_assert_str_eq(pool_acquire(&slot, .id = "g1", .tenant = "green"), "assigned", "one of these");
}
