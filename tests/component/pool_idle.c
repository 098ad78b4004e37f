/* Idle containers are a list for each pool and reuse key: what leaves from within leaves an entry behind,
 * which is never taken for a container, and such entries are bounded. */
#include "support/pool_suite.h"
#include <criterion/criterion.h>
#include <stdio.h>

POOL_SUITE(pool_idle);

static int64_t entries(const char *reuse) {
    return test_redis_int(&slot.redis, "LLEN wp:{pool}:idle:react:%s", reuse);
}

static void acquire_of(char *container, size_t size, const char *id) {
    cr_assert_str_eq(pool_acquire(&slot, .id = id), "assigned");
    snprintf(container, size, "%s", pool_answer_str(&slot, id, "container_id"));
}

static void two_leased(char first[100], char second[100]) { /* to r1 and r2 */
    pool_warm(&slot, "react", 2);
    acquire_of(first, 100, "r1");
    acquire_of(second, 100, "r2");
}

Test(pool_idle, the_longest_idle_is_taken_first) {
    char first[100], second[100], again[100];
    two_leased(first, second);
    pool_release(&slot, "r2");
    pool_release(&slot, "r1");
    acquire_of(again, sizeof again, "r3");
    cr_assert_str_eq(again, second);
}

Test(pool_idle, one_that_died_while_it_was_idle_is_not_taken) {
    char first[100], second[100], third[100];
    two_leased(first, second);
    pool_release(&slot, "r1");
    pool_release(&slot, "r2");
    pool_event(&slot, first, "died", "");
    acquire_of(third, sizeof third, "r3");
    cr_assert_str_eq(third, second);
}

/* r3 takes the second one, so that its entry stays behind the first; then that comes back. */
Test(pool_idle, one_that_was_away_in_between_is_not_found_twice) {
    char second[100], one[100], other[100];
    pool_settings(&slot, "{'cpu_limits': {'react': 50}}");
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1");
    pool_settings(&slot, "{'cpu_limits': {'react': 90}}");
    pool_warm(&slot, "react", 1);
    acquire_of(second, sizeof second, "r2");
    pool_release(&slot, "r1");
    pool_release(&slot, "r2");
    cr_assert_str_eq(pool_acquire(&slot, .id = "r3", .cpu = 80), "assigned");
    cr_assert_str_eq(pool_answer_str(&slot, "r3", "container_id"), second);
    pool_release(&slot, "r3");
    cr_assert_eq(entries("default"), 3, "one of them is stale");
    acquire_of(one, sizeof one, "r4");
    acquire_of(other, sizeof other, "r5");
    cr_assert_str_neq(one, other);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r6"), "", "there is no third one");
}

Test(pool_idle, entries_of_those_that_died_are_bounded) {
    pool_warm(&slot, "react", 1);
    for (int i = 0; i < 200; i++) {
        pool_warm(&slot, "react", 2);
        redisReply *last = test_redis_command(&slot.redis, "LRANGE wp:{pool}:idle:react:! -1 -1");
        char id[100];
        snprintf(id, sizeof id, "%s", strchr(last->element[0]->str, ' ') + 1);
        freeReplyObject(last);
        pool_event(&slot, id, "died", "");
    }
    cr_assert_eq(pool_stat(&slot, "react", "available"), 1);
    cr_assert_lt(entries("!"), 70);
}

/* Two plain ones, one with limits that no idle container has, one twice, one plain: as rows and columns
 * mixed. */
Test(pool_idle, a_batch_has_its_effects_in_the_order_of_its_offsets) {
    static const char *const ids[] = {"r1", "r2", "r3", "r1", "r4"};
    struct test_events events = {0};
    pool_warm(&slot, "react", 3);
    for (int i = 0; i < 5; i++)
        pool_add_request(&events, i, &(struct pool_request){.id = ids[i], .cpu = i == 2 ? 200 : 0});
    pool_send(&slot, POOL_ACQUIRE, &events);
    cr_assert_eq(record_count(&slot.answer, 1), 4, "r1 has its answer twice, r3 waits");
    cr_assert_str_eq(record_str(&slot.answer, record_find(&slot.answer, 1, 0), "request_id"), "r1");
    cr_assert_str_eq(record_str(&slot.answer, record_find(&slot.answer, 1, 2), "request_id"), "r1");
    cr_assert_str_eq(record_str(&slot.answer, record_find(&slot.answer, 1, 2), "container_id"),
                     record_str(&slot.answer, record_find(&slot.answer, 1, 0), "container_id"));
    int64_t first = record_int(&slot.answer, record_find(&slot.answer, 1, 0), "lease_epoch");
    cr_assert_lt(first, pool_answer_number(&slot, "r2", "lease_epoch"));
    cr_assert_lt(pool_answer_number(&slot, "r2", "lease_epoch"),
                 pool_answer_number(&slot, "r4", "lease_epoch"));
    cr_assert_eq(pool_stat(&slot, "react", "waiting"), 1);
    cr_assert_eq(pool_stat(&slot, "react", "leased"), 3);
}
