/* What an acquire is answered, and which container it gets. */
#include "support/pool_suite.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

POOL_SUITE(pool_acquire);

static const char *given(const char *id) { /* copied: the answer goes with the next call */
    static char text[2][100];
    static int turn;
    turn = !turn;
    snprintf(text[turn], sizeof text[0], "%s", pool_answer_str(&slot, id, "container_id"));
    return text[turn];
}

static void expect_rejected(const char *status, const char *id, const char *reason) {
    cr_assert_str_eq(status, "rejected");
    cr_assert_str_eq(pool_reason(&slot, id), reason);
    cr_assert_str_eq(pool_answer_str(&slot, id, "container_id"), "");
    cr_assert_geq(pool_answer_number(&slot, id, "retry_after_ms"), 100);
}

/* ---- sent again ---- */

Test(pool_acquire, a_leased_request_sent_again_gets_the_same_answer) {
    pool_warm(&slot, "react", 2);
    pool_acquire(&slot, .id = "r1", .agent = "a1");
    json_t *first = json_deep_copy(json_array_get(slot.answer.records, 0));
    pool_advance_time(&slot, 3);
    pool_usage(&slot, "react", 90, 900, 9);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r1", .agent = "other", .philosophy = "multi_agent"),
                     "assigned");
    json_t *second = json_array_get(slot.answer.records, 0);
    cr_assert_eq(json_integer_value(json_array_get(second, 0)), 1, "but for the event that it answers");
    json_array_remove(first, 0);
    json_array_remove(second, 0);
    cr_assert(json_equal(first, second));
    json_decref(first);
    cr_assert_eq(pool_stat(&slot, "react", "leased"), 1);
}

Test(pool_acquire, a_waiting_request_sent_again_gets_no_record) {
    pool_acquire(&slot, .id = "r1");
    cr_assert_str_eq(pool_acquire(&slot, .id = "r1"), "");
    cr_assert_eq(slot.answer.count, 0);
    cr_assert_eq(pool_stat(&slot, "react", "waiting"), 1);
}

Test(pool_acquire, an_ended_request_sent_again_gets_no_record) {
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1");
    pool_release(&slot, "r1");
    cr_assert_str_eq(pool_acquire(&slot, .id = "r1"), "");
    cr_assert_eq(slot.answer.count, 0);
    cr_assert_eq(pool_stat(&slot, "react", "available"), 1);
}

Test(pool_acquire, twice_in_one_batch_is_once) {
    pool_warm(&slot, "react", 2);
    struct test_events events = {0};
    for (int i = 0; i < 2; i++)
        pool_add_request(&events, pool_next(&slot, POOL_ACQUIRE) + i, &(struct pool_request){.id = "r1"});
    pool_send(&slot, POOL_ACQUIRE, &events);
    cr_assert_eq(slot.answer.count, 2);
    cr_assert_str_eq(record_str(&slot.answer, 0, "container_id"),
                     record_str(&slot.answer, 1, "container_id"));
    cr_assert_eq(pool_stat(&slot, "react", "leased"), 1);
}

Test(pool_acquire, a_request_released_before_it_was_seen_is_cancelled) {
    pool_warm(&slot, "react", 1);
    pool_release(&slot, "r1");
    cr_assert_eq(record_kind(&slot.answer, 0), 5);
    expect_rejected(pool_acquire(&slot, .id = "r1"), "r1", "cancelled");
    cr_assert_str_eq(pool_acquire(&slot, .id = "r1"), "", "it had its one answer");
    cr_assert_eq(pool_stat(&slot, "react", "available"), 1);
}

/* ---- rejected ---- */

Test(pool_acquire, an_invalid_one_is_rejected_and_dead_lettered) {
    expect_rejected(pool_acquire(&slot, .id = "r1", .philosophy = "", .invalid = "no philosophy"), "r1",
                    "invalid");
    cr_assert_str_eq(record_str(&slot.answer, record_find(&slot.answer, 5, 0), "reason"), "no philosophy");
    cr_assert_eq(slot.answer.count, 2);
}

Test(pool_acquire, an_invalid_one_is_told_what_is_wrong) {
    pool_acquire(&slot, .id = "r1", .invalid = "field timeout_ms must be 0 to 86400000, not -5");
    cr_assert_str_eq(pool_answer_str(&slot, "r1", "reason"),
                     "invalid: field timeout_ms must be 0 to 86400000, not -5");
}

static void expect_dead_letter_alone(const char *reason) {
    cr_assert_eq(slot.answer.count, 1);
    cr_assert_eq(record_kind(&slot.answer, 0), 5);
    cr_assert_str_eq(record_str(&slot.answer, 0, "reason"), reason);
}

Test(pool_acquire, an_invalid_one_with_the_id_of_a_leased_request_is_dead_lettered_alone) {
    pool_warm(&slot, "react", 1);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r1"), "assigned");
    pool_acquire(&slot, .id = "r1", .philosophy = "", .invalid = "no philosophy");
    expect_dead_letter_alone("no philosophy");
    cr_assert_str_eq(pool_acquire(&slot, .id = "r1"), "assigned", "the lease is as it was");
    cr_assert_eq(pool_stat(&slot, "react", "leased"), 1);
}

Test(pool_acquire, an_invalid_one_with_the_id_of_a_waiting_or_ended_request_is_dead_lettered_alone) {
    cr_assert_str_eq(pool_acquire(&slot, .id = "r1"), "");
    pool_acquire(&slot, .id = "r1", .invalid = "no good");
    expect_dead_letter_alone("no good");
    cr_assert_eq(pool_stat(&slot, "react", "waiting"), 1, "it waits on");
    pool_release(&slot, "r1");
    cr_assert_str_eq(pool_reason(&slot, "r1"), "cancelled");
    pool_acquire(&slot, .id = "r1", .invalid = "no good");
    expect_dead_letter_alone("no good");
}

Test(pool_acquire, an_invalid_one_that_was_released_before_it_was_seen_has_its_one_answer) {
    pool_release(&slot, "r1");
    expect_rejected(pool_acquire(&slot, .id = "r1", .invalid = "no good"), "r1", "invalid");
    cr_assert_eq(slot.answer.count, 2);
    pool_acquire(&slot, .id = "r1", .invalid = "no good");
    expect_dead_letter_alone("no good");
}

Test(pool_acquire, a_rejection_says_why_in_words) {
    static const struct {
        double cpu, memory;
        const char *reason;
    } large[] = {{401, 0, "too_large: cpu_percent is 401, pool.max_cpu_percent is 400"},
                 {0, 8193, "too_large: memory_mb is 8193, pool.max_memory_mb is 8192"}};
    for (size_t i = 0; i < 2; i++) {
        const char *id = i ? "r2" : "r1";
        pool_acquire(&slot, .id = id, .cpu = large[i].cpu, .memory = large[i].memory);
        cr_assert_str_eq(pool_answer_str(&slot, id, "reason"), large[i].reason);
    }
    pool_control(&slot, "react", "drain", -1);
    pool_acquire(&slot, .id = "r3");
    cr_assert(strstr(pool_answer_str(&slot, "r3", "reason"), "until it is resized"));
}

Test(pool_acquire, one_that_comes_after_its_timeout_is_rejected) {
    pool_warm(&slot, "react", 1);
    expect_rejected(pool_acquire(&slot, .id = "r1", .timeout_ms = 1000, .age_ms = 2000), "r1", "timeout");
    cr_assert_str_eq(pool_acquire(&slot, .id = "r2", .timeout_ms = 60000, .age_ms = 2000), "assigned");
}

Test(pool_acquire, a_timeout_counts_from_when_it_was_taken_where_its_age_is_not_known) {
    pool_acquire(&slot, .id = "r1", .timeout_ms = 1000);
    pool_advance_time(&slot, 2);
    pool_sweep_due(&slot);
    cr_assert_str_eq(pool_reason(&slot, "r1"), "timeout");
}

Test(pool_acquire, a_timeout_of_zero_takes_what_is_idle_and_does_not_wait) {
    expect_rejected(pool_acquire(&slot, .id = "r1", .timeout_ms = POOL_ZERO), "r1", "timeout");
    cr_assert_eq(pool_commands(&slot, "create"), 0);
    pool_warm(&slot, "react", 1);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r2", .timeout_ms = POOL_ZERO), "assigned");
}

Test(pool_acquire, a_draining_pool_refuses) {
    pool_warm(&slot, "react", 1);
    pool_control(&slot, "react", "drain", -1);
    expect_rejected(pool_acquire(&slot, .id = "r1"), "r1", "draining");
    pool_control(&slot, "react", "resize", 5);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r2"), "", "until the next resize");
}

Test(pool_acquire, what_no_container_may_have_is_too_large) {
    expect_rejected(pool_acquire(&slot, .id = "r1", .cpu = 401), "r1", "too_large");
    expect_rejected(pool_acquire(&slot, .id = "r2", .memory = 8193), "r2", "too_large");
    cr_assert_str_eq(pool_acquire(&slot, .id = "r3", .cpu = 400, .memory = 8192), "");
    pool_ready_created(&slot);
    cr_assert_eq(pool_answer_number(&slot, "r3", "limits.cpu"), 400);
    cr_assert_eq(pool_answer_number(&slot, "r3", "limits.memory"), 8192);
}

Test(pool_acquire, philosophies_beyond_the_limit_are_refused) {
    pool_settings(&slot, "{'max_philosophies': 2}");
    struct test_events events = {0};
    const char *names[] = {"one", "two", "three"};
    for (int i = 0; i < 3; i++)
        pool_add_request(&events, i, &(struct pool_request){.id = names[i], .philosophy = names[i]});
    pool_send(&slot, POOL_ACQUIRE, &events);
    cr_assert_str_eq(pool_reason(&slot, "three"), "too_many_philosophies");
    cr_assert_eq(record_count(&slot.answer, 1), 1);
    expect_rejected(pool_acquire(&slot, .id = "r4", .philosophy = "four"), "r4", "too_many_philosophies");
    cr_assert_str_eq(pool_acquire(&slot, .id = "r5", .philosophy = "two"), "");
    pool_control(&slot, "four", "pre_warm", 1);
    cr_assert_eq(record_kind(&slot.answer, 0), 5);
}

Test(pool_acquire, retry_after_grows_with_what_waits_and_how_long_a_start_takes) {
    pool_settings(&slot, "{'max_containers': 1}");
    pool_acquire(&slot, .id = "r0");
    pool_advance_time(&slot, 4);
    pool_ready_created(&slot);
    for (int i = 1; i < 4; i++) {
        char id[8];
        snprintf(id, sizeof id, "r%d", i);
        pool_acquire(&slot, .id = id);
    }
    pool_acquire(&slot, .id = "r9", .timeout_ms = POOL_ZERO);
    double ms = pool_answer_number(&slot, "r9", "retry_after_ms");
    cr_assert(ms >= 16000 && ms < 17000, "%g", ms);
}

/* ---- which one ---- */

Test(pool_acquire, a_tenant_gets_its_own_used_ones_first_the_oldest_before) {
    pool_warm(&slot, "react", 3);
    char own[2][100];
    const char *ids[] = {"r1", "r2"};
    for (int i = 0; i < 2; i++) {
        pool_acquire(&slot, .id = ids[i], .tenant = "red");
        snprintf(own[i], sizeof own[i], "%s", pool_answer_str(&slot, ids[i], "container_id"));
    }
    pool_release(&slot, "r2");
    pool_release(&slot, "r1");
    pool_acquire(&slot, .id = "r3", .tenant = "red");
    cr_assert_str_eq(given("r3"), own[1], "idle the longest");
    pool_acquire(&slot, .id = "r4", .tenant = "red");
    cr_assert_str_eq(given("r4"), own[0]);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r5", .tenant = "red"), "assigned", "then a fresh one");
}

Test(pool_acquire, no_tenant_gets_what_another_has_used) {
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1", .tenant = "red");
    pool_release(&slot, "r1");
    cr_assert_str_eq(pool_acquire(&slot, .id = "r2", .tenant = "blue"), "");
    cr_assert_eq(pool_commands(&slot, "create"), 1);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r3"), "", "no tenant is a tenant of its own");
    cr_assert_str_eq(pool_acquire(&slot, .id = "r4", .tenant = "red"), "assigned");
}

Test(pool_acquire, smaller_containers_are_passed_over) {
    pool_warm(&slot, "react", 2);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r1", .memory = 1000), "");
    cr_assert_eq(json_number_value(record_value(&slot.answer, 0, "limits.1")), 1000);
    pool_ready_created(&slot);
    cr_assert_str_eq(pool_answer_str(&slot, "r1", "status"), "assigned");
    pool_release(&slot, "r1");
    cr_assert_str_eq(pool_acquire(&slot, .id = "r2", .memory = 1000), "assigned", "it is kept");
    cr_assert_str_eq(pool_acquire(&slot, .id = "r3", .cpu = 50, .memory = 256), "assigned");
}

Test(pool_acquire, without_warm_starts_every_one_is_cold) {
    pool_warm(&slot, "react", 1);
    pool_settings(&slot, "{'warm_start': false}");
    for (int i = 0; i < 2; i++) {
        const char *id = i ? "r2" : "r1";
        cr_assert_str_eq(pool_acquire(&slot, .id = id), "");
        pool_ready_created(&slot);
        cr_assert_not(record_bool(&slot.answer, (size_t)pool_answer_of(&slot, id), "warm_start"));
        pool_release(&slot, id);
    }
    cr_assert_eq(pool_stat(&slot, "react", "cold_starts"), 2);
}

Test(pool_acquire, without_a_pool_nothing_is_kept) {
    pool_settings(&slot, "{'pool_enabled': false}");
    pool_control(&slot, "react", "pre_warm", 3);
    cr_assert_eq(slot.answer.count, 0);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r1"), "");
    pool_ready_created(&slot);
    cr_assert_str_eq(pool_answer_str(&slot, "r1", "status"), "assigned");
    pool_release(&slot, "r1");
    cr_assert_eq(pool_commands(&slot, "destroy"), 1);
    cr_assert_eq(pool_stat(&slot, "react", "available"), 0);
}

/* ---- the answer ---- */

Test(pool_acquire, an_assignment_says_all) {
    pool_warm(&slot, "react", 1);
    pool_usage(&slot, "react", 45, 180, 25);
    int64_t now_ms = calls_now(&slot.redis, WP_SLOT_POOL) / 1000;
    pool_acquire(&slot, .id = "r1", .agent = "a1", .lease_ms = 60000);
    cr_assert_str_eq(record_str(&slot.answer, 0, "key"), "key-0");
    cr_assert_str_eq(pool_answer_str(&slot, "r1", "agent_id"), "a1");
    cr_assert_str_eq(pool_answer_str(&slot, "r1", "host"), "h1");
    cr_assert_eq(pool_answer_number(&slot, "r1", "startup_us"), 1000, "since the worker read it");
    cr_assert_eq(pool_answer_number(&slot, "r1", "limits.memory"), 256);
    cr_assert_eq(pool_answer_number(&slot, "r1", "prediction.requirements.cpu"), 54);
    cr_assert_eq(pool_answer_number(&slot, "r1", "prediction.samples"), 1);
    int64_t expires = record_int(&slot.answer, 0, "lease_expires_ms");
    cr_assert(expires >= now_ms + 60000 && expires < now_ms + 65000);
    cr_assert_gt(record_int(&slot.answer, 0, "lease_epoch"), 1000000000000000);
}
