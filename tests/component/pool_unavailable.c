/* A philosophy whose creates keep failing: who asks is told, and it is tried again. */
#include "support/pool_suite.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

POOL_SUITE(pool_unavailable);

/* So many creates fail, each tried again when its pause is over. */
static void fail_creates(int count) {
    for (int i = 0; i < count; i++) {
        if (i > 0) {
            pool_advance_time(&slot, 31);
            pool_host(&slot, "h1", 50, 0);
            pool_sweep_due(&slot);
        }
        char id[100];
        snprintf(id, sizeof id, "%s", pool_commanded(&slot, "create", 0));
        cr_assert(*id, "no create before failure %d", i + 1);
        pool_event(&slot, id, "failed", "the image x:1 is not on host h1");
    }
}

Test(pool_unavailable, those_who_wait_are_told_why_and_when_to_come_again) {
    pool_acquire(&slot, .id = "r1", .timeout_ms = 3600000);
    fail_creates(4);
    cr_assert_eq(pool_stat(&slot, "react", "waiting"), 1, "it may have been bad luck");
    pool_advance_time(&slot, 31);
    pool_host(&slot, "h1", 50, 0);
    pool_sweep_due(&slot);
    fail_creates(1);
    cr_assert_str_eq(pool_answer_str(&slot, "r1", "status"), "rejected");
    cr_assert_str_eq(pool_answer_str(&slot, "r1", "reason"), "unavailable: the image x:1 is not on host h1");
    cr_assert_gt(pool_answer_number(&slot, "r1", "retry_after_ms"), 0);
    cr_assert_eq(pool_stat(&slot, "react", "waiting"), 0);
}

Test(pool_unavailable, who_asks_meanwhile_is_told_at_once_and_other_philosophies_are_not_concerned) {
    pool_acquire(&slot, .id = "r1", .timeout_ms = 3600000);
    fail_creates(5);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r2"), "rejected");
    cr_assert_str_eq(pool_answer_str(&slot, "r2", "reason"), "unavailable: the image x:1 is not on host h1");
    cr_assert_str_eq(pool_acquire(&slot, .id = "r3", .philosophy = "other"), "",
                     "it waits for its container");
    cr_assert_eq(pool_commands(&slot, "create"), 1);
}

Test(pool_unavailable, after_the_pause_it_is_tried_again_and_a_ready_one_ends_it) {
    pool_acquire(&slot, .id = "r1", .timeout_ms = 3600000);
    fail_creates(5);
    pool_advance_time(&slot, 31);
    pool_host(&slot, "h1", 50, 0);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r2"), "");
    cr_assert_eq(pool_commands(&slot, "create"), 1);
    pool_ready_created(&slot);
    cr_assert_str_eq(pool_answer_str(&slot, "r2", "status"), "assigned");
    cr_assert_str_eq(pool_acquire(&slot, .id = "r3"), "", "failures are counted in a row");
}

Test(pool_unavailable, who_could_get_a_container_that_is_in_use_waits_for_it) {
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r0");
    pool_acquire(&slot, .id = "r1", .timeout_ms = 3600000);
    fail_creates(5);
    cr_assert_eq(pool_stat(&slot, "react", "waiting"), 1);
    pool_release(&slot, "r0");
    cr_assert_str_eq(pool_answer_str(&slot, "r1", "status"), "assigned");
}

static void fail_first_of_host(void) {
    redisReply *owned = redisCommand(slot.redis.connection, "ZRANGE wp:{pool}:hc:h1 0 0");
    cr_assert_eq(owned->elements, 1);
    pool_event(&slot, owned->element[0]->str, "failed", "no room");
    freeReplyObject(owned);
}

Test(pool_unavailable, more_waiting_than_one_call_may_answer_are_all_told) {
    pool_settings(&slot, "{'max_failures': 1}");
    slot.unchecked = true;
    char id[16];
    for (int i = 0; i < 250; i++) {
        snprintf(id, sizeof id, "r%d", i);
        pool_acquire(&slot, .id = id, .timeout_ms = 3600000);
    }
    for (int creating = 50; creating > 0; creating--) fail_first_of_host();
    pool_follow(&slot);
    cr_assert_eq(pool_stat(&slot, "react", "waiting"), 0);
    cr_assert_eq(pool_stat(&slot, NULL, "rejected"), 250);
}
