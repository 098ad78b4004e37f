/* pool.reuse changes while requests wait and containers are idle: nobody is left behind on a list that no
 * call looks at any more. */
#include "support/pool_suite.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include "support/pool_check.h"

POOL_SUITE(pool_reuse);

static long long lists_like(const char *pattern) {
    redisReply *keys = test_redis_command(&slot.redis, "KEYS wp:{pool}:%s", pattern);
    long long count = (long long)keys->elements;
    freeReplyObject(keys);
    return count;
}

static void change_to(const char *policy) {
    char text[64];
    snprintf(text, sizeof text, "{'reuse': '%s'}", policy);
    slot.unchecked = true; /* lists may be of two policies for a while */
    pool_settings(&slot, text);
}

/* One container, and three that wait for it. */
static void let_wait(void) {
    pool_settings(&slot, "{'max_containers': 1}");
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1", .agent = "a1", .tenant = "red");
    pool_acquire(&slot, .id = "r2", .agent = "a2", .tenant = "blue");
    pool_acquire(&slot, .id = "r3", .agent = "a3", .tenant = "red");
    pool_acquire(&slot, .id = "r4", .agent = "a1", .tenant = "red");
}

static void expect_no_lists(void) {
    cr_assert_eq(pool_stat(&slot, "react", "waiting"), 0);
    cr_assert_eq(lists_like("wait:*"), 0, "a list is left behind");
    pool_check(&slot.redis);
}

Test(pool_reuse, who_waits_gets_a_used_container_by_the_new_policy) {
    const char *order[] = {"r1", "r2", "r3", "r4"};
    let_wait();
    change_to("always");
    for (int i = 0; i < 3; i++) {
        pool_release(&slot, order[i]);
        cr_assert_str_eq(pool_answer_str(&slot, order[i + 1], "status"), "assigned", "after %s", order[i]);
        cr_assert(record_bool(&slot.answer, 0, "warm_start"));
    }
    expect_no_lists();
}

Test(pool_reuse, and_nobody_gets_one_that_the_new_policy_forbids) {
    let_wait();
    pool_release(&slot, "r2"); /* the first turn of another tenant would take the container's room */
    change_to("same_agent");
    pool_release(&slot, "r1");
    cr_assert_str_eq(pool_answer_str(&slot, "r4", "status"), "assigned", "the one of the same agent");
    cr_assert_eq(record_count(&slot.answer, 1), 1);
}

Test(pool_reuse, who_times_out_or_is_cancelled_leaves_its_list) {
    let_wait();
    change_to("same_agent");
    pool_acquire(&slot, .id = "r5", .agent = "a5", .tenant = "red");
    pool_release(&slot, "r3");
    change_to("never");
    pool_advance_time(&slot, 40);
    pool_host(&slot, "h1", 50, 0);
    pool_sweep_due(&slot);
    expect_no_lists();
}

static void use_and_release(int count) {
    for (int i = 0; i < count; i++) {
        char id[24], tenant[24];
        snprintf(id, sizeof id, "r%d", i);
        snprintf(tenant, sizeof tenant, "t%d", i);
        pool_acquire(&slot, .id = id, .agent = id, .tenant = tenant);
    }
    for (int i = 0; i < count; i++) {
        char id[24];
        snprintf(id, sizeof id, "r%d", i);
        pool_release(&slot, id);
    }
}

Test(pool_reuse, used_containers_that_nobody_may_have_any_more_go) {
    pool_settings(&slot, "{'size': 10}");
    pool_warm(&slot, "react", 7);
    use_and_release(5);
    change_to("same_agent");
    pool_acquire(&slot, .id = "new", .agent = "r1", .tenant = "t1");
    cr_assert_eq(pool_commands(&slot, "destroy"), 5, "what tenants have used");
    cr_assert_eq(pool_stat(&slot, "react", "available"), 1, "of the two that are fresh one is taken");
    pool_check(&slot.redis);
}

Test(pool_reuse, they_go_in_steps) {
    pool_host(&slot, "h1", 300, 0);
    pool_settings(&slot, "{'size': 300, 'max_containers': 300}");
    pool_warm(&slot, "react", 250);
    slot.unchecked = true;
    use_and_release(250);
    change_to("always");
    pool_acquire(&slot, .id = "new");
    cr_assert_eq(pool_commands(&slot, "destroy"), 100);
    pool_follow(&slot);
    cr_assert_eq(pool_stat(&slot, "react", "available"), 0);
    cr_assert_eq(lists_like("idle:*"), 0);
}

Test(pool_reuse, one_pool_of_its_own_policy_is_not_touched_by_the_others) {
    pool_settings(&slot, "{'reuses': {'react': 'same_tenant'}}");
    pool_warm(&slot, "react", 3);
    use_and_release(3);
    change_to("same_agent");
    pool_acquire(&slot, .id = "again", .tenant = "t1");
    cr_assert_str_eq(pool_answer_str(&slot, "again", "status"), "assigned");
    cr_assert_eq(pool_commands(&slot, "destroy"), 0);
    pool_check(&slot.redis);
}
