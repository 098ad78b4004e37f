/* Who waits, for what, how long; and what a release does. */
#include "support/pool_suite.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

POOL_SUITE(pool_waiting);
POOL_SUITE(pool_release);

Test(pool_waiting, what_is_created_goes_to_the_longest_waiting) {
    pool_acquire(&slot, .id = "r1", .tenant = "red");
    char first[100];
    snprintf(first, sizeof first, "%s", pool_commanded(&slot, "create", 0));
    pool_acquire(&slot, .id = "r2", .tenant = "blue");
    char second[100];
    snprintf(second, sizeof second, "%s", pool_commanded(&slot, "create", 0));
    pool_event(&slot, second, "ready", "");
    cr_assert_str_eq(pool_answer_str(&slot, "r1", "container_id"), second, "whichever is ready first");
    pool_event(&slot, first, "ready", "");
    cr_assert_str_eq(pool_answer_str(&slot, "r2", "container_id"), first);
}

Test(pool_waiting, what_is_released_goes_to_the_longest_waiting_of_that_tenant) {
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1", .tenant = "red");
    pool_acquire(&slot, .id = "r2", .tenant = "blue");
    pool_acquire(&slot, .id = "r3", .tenant = "red");
    pool_acquire(&slot, .id = "r4", .tenant = "red");
    pool_release(&slot, "r1");
    cr_assert_eq(slot.answer.count, 1);
    cr_assert_str_eq(pool_answer_str(&slot, "r3", "status"), "assigned");
    cr_assert(record_bool(&slot.answer, 0, "warm_start"));
    cr_assert_gt(pool_answer_number(&slot, "r3", "wait_us"), 0);
}

Test(pool_waiting, one_that_is_too_small_for_the_first_goes_to_the_next) {
    pool_acquire(&slot, .id = "r1");
    char small[100];
    snprintf(small, sizeof small, "%s", pool_commanded(&slot, "create", 0));
    pool_acquire(&slot, .id = "r2", .memory = 1000);
    cr_assert_eq(json_number_value(record_value(&slot.answer, 0, "limits.1")), 1000);
    pool_release(&slot, "r1");
    pool_acquire(&slot, .id = "r3");
    pool_event(&slot, small, "ready", "");
    cr_assert_eq(pool_answer_of(&slot, "r2"), -1);
    cr_assert_str_eq(pool_answer_str(&slot, "r3", "status"), "assigned");
}

Test(pool_waiting, each_gets_a_container_that_is_large_enough) {
    pool_acquire(&slot, .id = "r1");
    struct test_events events = {0};
    pool_add_request(&events, 1, &(struct pool_request){.id = "r2", .memory = 500});
    pool_add_request(&events, 2, &(struct pool_request){.id = "r3", .cpu = 90});
    pool_send(&slot, POOL_ACQUIRE, &events);
    cr_assert_eq(json_number_value(record_value(&slot.answer, 0, "limits.1")), 500);
    cr_assert_eq(json_number_value(record_value(&slot.answer, 1, "limits.0")), 90);
}

Test(pool_waiting, a_release_cancels_it) {
    pool_acquire(&slot, .id = "r1");
    pool_release(&slot, "r1");
    cr_assert_str_eq(pool_answer_str(&slot, "r1", "status"), "rejected");
    cr_assert_str_eq(pool_reason(&slot, "r1"), "cancelled");
    cr_assert_str_eq(record_str(&slot.answer, 0, "key"), "key-0", "the key of its acquire");
    cr_assert_eq(pool_stat(&slot, "react", "waiting"), 0);
    pool_release(&slot, "r1");
    cr_assert_eq(slot.answer.count, 0);
}

Test(pool_waiting, it_ends_with_its_timeout_and_not_before) {
    pool_acquire(&slot, .id = "r1", .timeout_ms = 5000);
    pool_advance_time(&slot, 3);
    pool_sweep_due(&slot);
    cr_assert_eq(slot.answer.count, 0);
    pool_advance_time(&slot, 3);
    pool_sweep_due(&slot);
    cr_assert_str_eq(pool_reason(&slot, "r1"), "timeout");
    cr_assert_geq(pool_answer_number(&slot, "r1", "wait_us"), 6000000);
    cr_assert_eq(pool_stat(&slot, NULL, "rejected"), 1);
}

static void expect_words(const char *id, const char *words) {
    const char *reason = pool_answer_str(&slot, id, "reason");
    cr_assert_str_eq(pool_reason(&slot, id), "timeout");
    cr_assert(strstr(reason, words), "%s", reason);
}

static void time_out_all(void) {
    pool_advance_time(&slot, 6);
    pool_sweep_due(&slot);
}

Test(pool_waiting, a_timeout_says_that_no_host_is_up) {
    pool_beat(&slot, "h1", 50, 0, "draining");
    pool_acquire(&slot, .id = "r1", .timeout_ms = 5000);
    pool_acquire(&slot, .id = "r2", .timeout_ms = 5000);
    time_out_all();
    expect_words("r1", "no host is up");
    expect_words("r1", "requests that waited before it: 0");
    expect_words("r2", "requests that waited before it: 1");
}

Test(pool_waiting, a_timeout_says_which_limit_it_met) {
    pool_settings(&slot, "{'max_containers': 1}");
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1");
    pool_acquire(&slot, .id = "r2", .timeout_ms = 5000);
    time_out_all();
    expect_words("r2", "pool.max_containers, 1");
}

Test(pool_waiting, a_timeout_says_what_the_engine_said) {
    pool_acquire(&slot, .id = "r1", .timeout_ms = 5000);
    pool_event(&slot, pool_commanded(&slot, "create", 0), "failed", "no such image: agents/react");
    time_out_all();
    expect_words("r1", "creates fail: no such image: agents/react");
}

#define LACKING "'memory_mb': 0, 'runtime': 'docker', 'state': 'up', 'ttl_ms': 60000, 'capacity': 9"

Test(pool_waiting, a_timeout_says_why_no_host_has_the_image) {
    pool_beat_with(&slot, "h1",
                   "{" LACKING ", 'image': false, 'images': {'special': false}, "
                   "'lacks': {'': 'the default one is missing', 'special': 'a/b:7 is being pulled (43 %)'}}");
    pool_acquire(&slot, .id = "r1", .philosophy = "special", .timeout_ms = 5000);
    pool_acquire(&slot, .id = "r2", .timeout_ms = 5000);
    time_out_all();
    expect_words("r1", "no host has the image of its containers; of h1: a/b:7 is being pulled (43 %)");
    expect_words("r2", "of h1: the default one is missing");
}

Test(pool_waiting, a_timeout_is_not_put_down_to_an_image_that_some_host_has) {
    pool_beat_with(&slot, "h1", "{" LACKING ", 'image': false, 'images': {}, 'lacks': {'': 'missing'}}");
    pool_beat_with(&slot, "h2", "{" LACKING ", 'image': true, 'images': {}}");
    pool_acquire(&slot, .id = "r1", .timeout_ms = 5000);
    time_out_all();
    expect_words("r1", "its container is still being made, with 1 of its philosophy in all");
}

Test(pool_waiting, a_timeout_says_that_hosts_are_full) {
    pool_host(&slot, "h1", 1, 0);
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1");
    pool_acquire(&slot, .id = "r2", .timeout_ms = 5000);
    time_out_all();
    expect_words("r2", "no host has room");
}

Test(pool_waiting, n_waiting_cause_n_creates) {
    struct test_events events = {0};
    for (int i = 0; i < 5; i++) {
        char id[8];
        snprintf(id, sizeof id, "r%d", i);
        pool_add_request(&events, i, &(struct pool_request){.id = id});
    }
    pool_send(&slot, POOL_ACQUIRE, &events);
    cr_assert_eq(pool_commands(&slot, "create"), 5);
    pool_acquire(&slot, .id = "r0");
    cr_assert_eq(slot.answer.count, 0);
    pool_usage(&slot, "react", 1, 1, 1);
    cr_assert_eq(pool_commands(&slot, "create"), 0);
}

Test(pool_waiting, more_creates_than_a_call_may_begin_are_continued) {
    pool_host(&slot, "h1", 200, 0);
    pool_settings(&slot, "{'max_containers': 150}");
    struct test_events events = {0};
    for (int i = 0; i < 100; i++) {
        char id[8];
        snprintf(id, sizeof id, "r%d", i);
        pool_add_request(&events, i, &(struct pool_request){.id = id});
    }
    pool_send(&slot, POOL_ACQUIRE, &events);
    cr_assert_eq(pool_commands(&slot, "create"), 32);
    struct pool_followed all = pool_follow(&slot);
    cr_assert_eq(all.commands, 100);
    cr_assert_eq(all.calls, 3);
}

/* ---- releases ---- */

static void expect_refused(const char *reason) {
    cr_assert_eq(slot.answer.count, 1);
    cr_assert_eq(record_kind(&slot.answer, 0), 5);
    cr_assert(strstr(record_str(&slot.answer, 0, "reason"), reason), "%s",
              record_str(&slot.answer, 0, "reason"));
}

Test(pool_release, of_a_wrong_philosophy_or_container_changes_nothing) {
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1");
    pool_release_as(&slot, "r1", "multi_agent", "", true);
    expect_refused("philosophy react");
    pool_release_as(&slot, "r1", "react", "wp-react-1", true);
    expect_refused("container wp-react-");
    cr_assert_eq(pool_stat(&slot, "react", "leased"), 1);
    pool_acquire(&slot, .id = "r2");
    pool_release_as(&slot, "r2", "multi_agent", "", true);
    expect_refused("philosophy react");
    cr_assert_eq(pool_stat(&slot, "react", "waiting"), 1);
}

Test(pool_release, of_its_container_is_taken) {
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1");
    char container[100];
    snprintf(container, sizeof container, "%s", pool_answer_str(&slot, "r1", "container_id"));
    pool_release_as(&slot, "r1", "react", container, true);
    cr_assert_eq(slot.answer.count, 0);
    cr_assert_str_eq(pool_state(&slot, container), "idle");
}

Test(pool_release, twice_does_not_lease_one_container_twice) {
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1");
    pool_release(&slot, "r1");
    pool_acquire(&slot, .id = "r2");
    pool_release(&slot, "r1");
    cr_assert_eq(slot.answer.count, 0);
    cr_assert_eq(pool_stat(&slot, "react", "leased"), 1, "r2 keeps it");
    cr_assert_str_eq(pool_acquire(&slot, .id = "r3"), "");
}

Test(pool_release, without_reuse_destroys) {
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1");
    pool_release_as(&slot, "r1", "react", "", false);
    cr_assert_eq(pool_commands(&slot, "destroy"), 1);
    char container[100];
    snprintf(container, sizeof container, "%s", pool_commanded(&slot, "destroy", 0));
    cr_assert_str_eq(pool_state(&slot, container), "ending");
    cr_assert_eq(pool_host_stat(&slot, "h1", "used"), 1, "its room is free when it is gone");
    pool_event(&slot, container, "gone", "");
    cr_assert_eq(pool_host_stat(&slot, "h1", "used"), 0);
    cr_assert_str_eq(pool_state(&slot, container), "");
}

Test(pool_release, in_one_batch_with_others_serves_those_who_wait_in_order) {
    pool_settings(&slot, "{'max_containers': 3}");
    pool_warm(&slot, "react", 3);
    const char *ids[] = {"r1", "r2", "r3", "r4", "r5"};
    for (int i = 0; i < 5; i++) pool_acquire(&slot, .id = ids[i]);
    struct test_events events = {0};
    for (int i = 0; i < 3; i++) event_add(&events, i, "sssb", ids[2 - i], "react", "", true);
    pool_send(&slot, POOL_RELEASE, &events);
    cr_assert_eq(slot.answer.count, 2);
    cr_assert_str_eq(record_str(&slot.answer, 0, "request_id"), "r4");
    cr_assert_str_eq(record_str(&slot.answer, 1, "request_id"), "r5");
    cr_assert_eq(pool_stat(&slot, "react", "available"), 1);
    cr_assert_eq(pool_stat(&slot, "react", "peak_leased"), 3);
}
