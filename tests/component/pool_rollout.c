/* Outdated containers: those of which their host says that it would not make them so by now, and those that
 * were there when pool-control said `rollout`. */
#include "support/pool_suite.h"
#include "support/pool_check.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

POOL_SUITE(pool_rollout);

struct seen { /* while hosts do what they were told */
    double fewest, most_creating, creates;
};

static redisReply *states(void) {
    return test_redis_command(&slot.redis, "HGETALL wp:{pool}:is");
}

/* Hosts do what they were told, one container after the other, until nothing is made and nothing ends. */
static struct seen settle(const char *philosophy) {
    struct seen seen = {pool_stat(&slot, philosophy, "available"), 0, 0};
    for (bool quiet = false; !quiet;) {
        redisReply *is = states();
        quiet = true;
        for (size_t i = 0; i < is->elements; i += 2) {
            bool creating = strncmp(is->element[i + 1]->str, "\nc", 2) == 0,
                 ending = strncmp(is->element[i + 1]->str, "\ne", 2) == 0;
            if (!creating && !ending) continue;
            pool_event(&slot, is->element[i]->str, creating ? "ready" : "gone", "");
            double available = pool_stat(&slot, philosophy, "available"),
                   now = pool_stat(&slot, philosophy, "creating");
            seen.creates += creating;
            if (available < seen.fewest) seen.fewest = available;
            if (now > seen.most_creating) seen.most_creating = now;
            quiet = false;
        }
        freeReplyObject(is);
    }
    return seen;
}

static void outdate(const char *id) {
    pool_event(&slot, id, "outdated", "the configuration of its philosophy has changed since it was made");
}

/* The hosts of all containers that are idle say that these are outdated. Returns how many. */
static int outdate_idle(void) {
    redisReply *is = states();
    int count = 0;
    for (size_t i = 0; i < is->elements; i += 2)
        if (strncmp(is->element[i + 1]->str, "\ni", 2) == 0) {
            outdate(is->element[i]->str);
            count++;
        }
    freeReplyObject(is);
    return count;
}

/* react has so many that are ready and kept ready. */
static void have(int count) {
    char settings[80];
    snprintf(settings, sizeof settings, "{'min_idle_of': {'react': %d}}", count);
    pool_settings(&slot, settings);
    pool_control(&slot, "react", "pre_warm", count);
    pool_ready_created(&slot);
    cr_assert_eq(pool_stat(&slot, "react", "available"), count);
}

static void expect_new(int count) {
    cr_assert_eq(pool_stat(&slot, "react", "outdated"), 0);
    cr_assert_eq(pool_stat(&slot, "react", "available"), count);
    cr_assert_eq(pool_stat(&slot, "react", "creating"), 0);
}

static bool idles(const char *id) {
    return strcmp(pool_state(&slot, id), "idle") == 0;
}

Test(pool_rollout, idle_ones_are_replaced_two_at_a_time_and_none_fewer_is_ready) {
    have(5);
    cr_assert_eq(outdate_idle(), 5);
    cr_assert_eq(pool_stat(&slot, "react", "outdated"), 5);
    struct seen seen = settle("react");
    cr_assert_eq(seen.fewest, 5);
    cr_assert_leq(seen.most_creating, 2);
    cr_assert_eq(seen.creates, 5, "one for each");
    expect_new(5);
}

Test(pool_rollout, so_are_those_of_a_pool_that_keeps_none_ready) {
    pool_warm(&slot, "react", 3);
    outdate_idle();
    struct seen seen = settle("react");
    cr_assert_eq(seen.fewest, 3);
    cr_assert_eq(seen.creates, 3);
    expect_new(3);
}

Test(pool_rollout, in_a_pool_at_its_size_the_outdated_go_and_not_the_new) {
    pool_settings(&slot, "{'sizes': {'react': 5}}");
    have(5);
    outdate_idle();
    cr_assert_eq(settle("react").creates, 5);
    expect_new(5);
}

/* All of them, of which never more than one is missing. */
static void expect_one_by_one(int count) {
    struct seen seen = settle("react");
    cr_assert_geq(seen.fewest, count - 1);
    cr_assert_eq(seen.creates, count);
    expect_new(count);
}

Test(pool_rollout, in_a_pool_at_its_maximum_they_go_one_by_one) {
    pool_settings(&slot, "{'max_containers_of': {'react': 5}}");
    have(5);
    outdate_idle();
    cr_assert_eq(pool_commands(&slot, "create"), 0);
    expect_one_by_one(5);
}

Test(pool_rollout, and_on_a_host_without_room) {
    pool_host(&slot, "h1", 5, 0);
    have(5);
    outdate_idle();
    expect_one_by_one(5);
}

Test(pool_rollout, a_pool_that_keeps_none_ready_has_as_many_after_it_where_there_is_no_room) {
    pool_host(&slot, "h1", 3, 0);
    pool_warm(&slot, "react", 3);
    outdate_idle();
    cr_assert_geq(settle("react").fewest, 2);
    expect_new(3);
}

Test(pool_rollout, a_leased_one_ends_at_its_release) {
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1");
    char id[96];
    snprintf(id, sizeof id, "%s", pool_answer_str(&slot, "r1", "container_id"));
    outdate(id);
    cr_assert_eq(pool_commands(&slot, "destroy"), 0, "somebody uses it");
    cr_assert_eq(pool_stat(&slot, "react", "outdated"), 1);
    pool_release(&slot, "r1");
    cr_assert_str_eq(pool_commanded(&slot, "destroy", 0), id);
    cr_assert_eq(pool_stat(&slot, "react", "outdated"), 0);
    settle("react");
    cr_assert_eq(pool_stat(&slot, "react", "available"), 0);
}

Test(pool_rollout, so_does_one_that_is_reset_meanwhile) {
    pool_settings(&slot, "{'resets': {'react': true}}");
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1");
    pool_release(&slot, "r1");
    char id[96];
    snprintf(id, sizeof id, "%s", pool_commanded(&slot, "reset", 0));
    outdate(id);
    pool_done(&slot, id, "reset");
    cr_assert_str_eq(pool_commanded(&slot, "destroy", 0), id);
}

Test(pool_rollout, an_idle_one_may_be_handed_out_until_its_replacement_is_there) {
    have(1);
    outdate_idle();
    cr_assert_str_eq(pool_acquire(&slot, .id = "r1"), "assigned");
    cr_assert_str_eq(pool_answer_str(&slot, "r1", "tier"), "hot");
    cr_assert_eq(pool_stat(&slot, "react", "outdated"), 1);
    settle("react");
    pool_release(&slot, "r1");
    settle("react");
    expect_new(1);
}

/* Fails all creates, again and again, until `rounds` have gone by. */
static void fail_creates(int rounds) {
    for (int i = 0; i < rounds; i++) {
        redisReply *is = states();
        for (size_t k = 0; k < is->elements; k += 2) {
            if (strncmp(is->element[k + 1]->str, "\nc", 2) == 0)
                pool_event(&slot, is->element[k]->str, "failed", "no space");
            if (strncmp(is->element[k + 1]->str, "\ne", 2) == 0)
                pool_event(&slot, is->element[k]->str, "gone", "");
        }
        freeReplyObject(is);
        pool_advance_time(&slot, 31);
        pool_host(&slot, "h1", pool_host_stat(&slot, "h1", "capacity") > 40 ? 50 : 5, 0);
        pool_sweep_due(&slot);
    }
}

Test(pool_rollout, creates_that_fail_do_not_eat_the_pool) {
    have(5);
    outdate_idle();
    fail_creates(10);
    cr_assert_eq(pool_stat(&slot, "react", "available"), 5);
    settle("react");
    expect_new(5);
}

Test(pool_rollout, nor_do_they_where_one_has_to_go_first) {
    pool_host(&slot, "h1", 5, 0);
    have(5);
    outdate_idle();
    fail_creates(10);
    cr_assert_geq(pool_stat(&slot, "react", "available"), 3);
    settle("react");
    expect_new(5);
}

static void host_with_image(const char *has) {
    char map[300];
    snprintf(
        map, sizeof map,
        "{'capacity': 50, 'memory_mb': 0, 'runtime': 'test', 'state': 'up', 'ttl_ms': 10000, 'claims': true, "
        "'holds': true, 'image': %s, 'images': {}}",
        has);
    pool_beat_with(&slot, "h1", map);
}

Test(pool_rollout, nothing_goes_while_the_image_is_missing) {
    have(5);
    host_with_image("false");
    outdate_idle();
    cr_assert_eq(pool_stat(&slot, "react", "creating"), 0);
    cr_assert_eq(pool_stat(&slot, "react", "available"), 5);
    host_with_image("true");
    pool_host_event(&slot, "h1", "host_up", "");
    settle("react");
    expect_new(5);
}

Test(pool_rollout, requests_that_wait_come_first) {
    pool_host(&slot, "h1", 5, 0);
    have(4);
    pool_acquire(&slot, .id = "r1", .philosophy = "other");
    outdate_idle();
    pool_acquire(&slot, .id = "r2", .philosophy = "other");
    cr_assert_eq(pool_stat(&slot, "react", "creating"), 0, "the room is for the second");
    settle("other");
    cr_assert_eq(pool_stat(&slot, "other", "waiting"), 0);
    cr_assert_eq(pool_stat(&slot, "other", "leased"), 2);
    settle("react");
    cr_assert_eq(pool_stat(&slot, "react", "outdated"), 0);
    cr_assert_eq(pool_stat(&slot, "react", "available"), 3, "what room is left");
}

Test(pool_rollout, paused_ones_are_replaced) {
    pool_settings(&slot, "{'hots': {'react': 1}}");
    have(3);
    cr_assert_eq(pool_stat(&slot, "react", "paused"), 2);
    outdate_idle();
    settle("react");
    expect_new(3);
    cr_assert_eq(pool_stat(&slot, "react", "paused"), 2);
}

Test(pool_rollout, a_pool_that_drains_makes_none) {
    have(3);
    pool_acquire(&slot, .id = "r1");
    char id[96];
    snprintf(id, sizeof id, "%s", pool_answer_str(&slot, "r1", "container_id"));
    settle("react");
    outdate(id);
    outdate_idle();
    pool_control(&slot, "react", "drain", -1);
    settle("react");
    cr_assert_eq(pool_stat(&slot, "react", "available"), 0);
    cr_assert_eq(pool_stat(&slot, "react", "outdated"), 1);
    pool_release(&slot, "r1");
    settle("react");
    expect_new(0);
}

Test(pool_rollout, the_rate_of_refills_bounds_it) {
    have(5);
    pool_settings(&slot, "{'refill_rate': 1}");
    outdate_idle();
    double after[3];
    for (int i = 0; i < 3; i++) {
        after[i] = pool_stat(&slot, "react", "creating");
        pool_advance_time(&slot, 1);
        pool_host(&slot, "h1", 50, 0);
        pool_sweep_due(&slot);
    }
    cr_assert(after[0] == 1 && after[1] == 2 && after[2] == 2, "%g %g %g", after[0], after[1], after[2]);
}

Test(pool_rollout, what_is_said_twice_counts_once_and_its_host_is_told_that_it_is_known) {
    have(2);
    pool_settings(&slot, "{'max_containers_of': {'react': 2}}");
    pool_acquire(&slot, .id = "r1");
    char id[96];
    snprintf(id, sizeof id, "%s", pool_answer_str(&slot, "r1", "container_id"));
    cr_assert_str_eq(pool_wanted(&slot, id, "number"), "");
    outdate(id);
    outdate(id);
    cr_assert_eq(pool_stat(&slot, "react", "outdated"), 1);
    cr_assert_str_eq(pool_wanted(&slot, id, "number"), "outdated");
    outdate("wp-react-7");
    cr_assert_eq(pool_stat(&slot, "react", "outdated"), 1, "nobody knows it");
}

Test(pool_rollout, one_that_is_being_made_is_replaced_when_it_is_ready) {
    pool_settings(&slot, "{'min_idle_of': {'react': 1}}");
    pool_control(&slot, "react", "pre_warm", 1);
    char id[96];
    snprintf(id, sizeof id, "%s", pool_commanded(&slot, "create", 0));
    outdate(id);
    settle("react");
    expect_new(1);
    cr_assert_not(idles(id));
}

Test(pool_rollout, those_of_a_host_that_is_away_are_replaced_when_it_is_back) {
    have(3);
    outdate_idle();
    pool_beat(&slot, "h1", 50, 0, "away");
    pool_host_event(&slot, "h1", "host_down", "away");
    cr_assert_eq(pool_stat(&slot, "react", "outdated"), 3);
    pool_host(&slot, "h1", 50, 0);
    pool_host_event(&slot, "h1", "host_up", "");
    settle("react");
    expect_new(3);
}

Test(pool_rollout, those_of_a_host_that_does_not_come_back_are_forgotten) {
    have(3);
    outdate_idle();
    pool_beat(&slot, "h1", 50, 0, "draining");
    pool_host_event(&slot, "h1", "host_down", "stopping");
    cr_assert_eq(pool_stat(&slot, "react", "outdated"), 0);
}

Test(pool_rollout, another_host_makes_them_where_the_first_has_no_room) {
    pool_host(&slot, "h1", 3, 0);
    have(3);
    pool_host(&slot, "h2", 3, 0);
    outdate_idle();
    struct seen seen = settle("react");
    cr_assert_eq(seen.fewest, 3);
    expect_new(3);
}

/* ---- pool-control rollout ---- */

Test(pool_rollout, a_control_replaces_all_of_its_philosophy_and_nothing_else) {
    have(3);
    pool_warm(&slot, "react-1", 2);
    pool_acquire(&slot, .id = "r1");
    settle("react");
    pool_control(&slot, "react", "rollout", -1);
    cr_assert_eq(pool_stat(&slot, "react", "outdated"), 4);
    cr_assert_eq(pool_stat(&slot, "react-1", "outdated"), 0);
    cr_assert_eq(settle("react").creates, 3);
    cr_assert_eq(pool_stat(&slot, "react", "outdated"), 1, "the leased one");
    pool_release(&slot, "r1");
    settle("react");
    expect_new(3);
}

Test(pool_rollout, a_control_of_an_unknown_philosophy_makes_no_pool) {
    pool_control(&slot, "nobody", "rollout", -1);
    cr_assert_eq(pool_commands(&slot, "create"), 0);
    cr_assert_eq(test_redis_int(&slot.redis, "HEXISTS wp:{pool}:pools nobody"), 0);
}

Test(pool_rollout, a_second_one_during_the_first_replaces_what_that_has_made_too) {
    have(4);
    pool_control(&slot, "react", "rollout", -1);
    pool_ready_created(&slot); /* two */
    cr_assert_eq(pool_stat(&slot, "react", "outdated"), 2);
    pool_control(&slot, "react", "rollout", -1);
    cr_assert_geq(pool_stat(&slot, "react", "outdated"), 4);
    struct seen seen = settle("react");
    cr_assert_geq(seen.fewest, 4);
    expect_new(4);
}

Test(pool_rollout, a_large_one_goes_in_steps_and_leaves_out_what_was_made_after_it_began) {
    slot.unchecked = true;
    pool_settings(&slot, "{'size': 1000, 'max_containers': 1000, 'min_idle': 0}");
    pool_host(&slot, "h1", 1000, 0);
    pool_warm(&slot, "react", 250);
    pool_control(&slot, "react", "rollout", -1);
    double first = pool_stat(&slot, "react", "outdated");
    cr_assert(first > 0 && first <= 100, "%g", first);
    pool_follow(&slot);
    cr_assert_eq(pool_stat(&slot, "react", "outdated"), 250, "not those that replace them");
    cr_assert_eq(pool_stat(&slot, "react", "creating"), 2);
    pool_check(&slot.redis);
}
