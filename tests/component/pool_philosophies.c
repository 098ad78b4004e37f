/* pool.max_philosophies: who gives way when all places are taken, and who never does. */
#include "support/pool_suite.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

POOL_SUITE(pool_philosophies);

#define WEEK (7 * 24 * 3600.0)

static const char *try(const char *id, const char *philosophy) { /* known, but nothing is left of it */
    return pool_acquire(&slot, .id = id, .philosophy = philosophy, .timeout_ms = POOL_ZERO);
}

static bool is_refused(const char *id) {
    return strncmp(pool_answer_str(&slot, id, "reason"), "too_many_philosophies", 21) == 0;
}

static bool is_known(const char *philosophy) {
    json_t *stats = calls_public(&slot.redis, "wp_pool_stats", NULL);
    bool known = json_object_get(json_object_get(stats, "pools"), philosophy) != NULL;
    json_decref(stats);
    return known;
}

static void later(double seconds) {
    pool_advance_time(&slot, seconds);
    pool_host(&slot, "h1", 50, 0);
}

/* Three misspelt ones take all three places. */
static void fill(void) {
    pool_settings(&slot, "{'max_philosophies': 3}");
    try("r1", "raect");
    later(10);
    try("r2", "recat");
    try("r3", "reatc");
}

Test(pool_philosophies, misspelt_ones_lock_nobody_out_for_ever) {
    fill();
    try("r4", "react");
    cr_assert(is_refused("r4"));
    later(WEEK + 1);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r5", .philosophy = "react"), "",
                     "it waits for its container");
    cr_assert_not(is_known("raect"), "the one that is unused for longest has given way");
    cr_assert(is_known("recat") && is_known("reatc"), "and no other");
    cr_assert_eq(pool_stat(&slot, NULL, "rejected"), 3, "totals never go back");
}

Test(pool_philosophies, what_gave_way_comes_back_as_new) {
    fill();
    later(WEEK + 1);
    try("r5", "react");
    try("r6", "raect");
    cr_assert_not(is_refused("r6"));
    cr_assert_eq(pool_stat(&slot, "raect", "waiting"), 0);
    cr_assert_eq(pool_stat(&slot, NULL, "rejected"), 5);
}

Test(pool_philosophies, what_one_batch_uses_does_not_give_way_in_it) {
    fill();
    later(WEEK + 1);
    struct test_events events = {0};
    const char *names[] = {"react", "raect", "other", "recat", "third", "reatc", "fourth"};
    for (int i = 0; i < 7; i++)
        pool_add_request(
            &events, pool_next(&slot, POOL_ACQUIRE) + i,
            &(struct pool_request){.id = names[i], .philosophy = names[i], .timeout_ms = POOL_ZERO});
    pool_send(&slot, POOL_ACQUIRE, &events);
    cr_assert(is_known("raect") && is_known("recat") && is_known("reatc"));
    cr_assert(is_refused("react") && is_refused("other"));
}

/* Each of them has a reason to stay, the last one has none. */
Test(pool_philosophies, what_is_in_use_or_was_set_up_stays) {
    pool_settings(&slot, "{'max_philosophies': 7, 'lease_ms': 0, 'configured': {'configured': true}}");
    pool_acquire(&slot, .id = "w", .philosophy = "contained");
    pool_ready_created(&slot);
    pool_acquire(&slot, .id = "q", .philosophy = "waited_for", .timeout_ms = 86400000, .memory = 8000);
    pool_control(&slot, "resized", "resize", 4);
    pool_control(&slot, "drained", "drain", -1);
    try("c", "configured");
    try("s", "sampled");
    try("m", "misspelt");
    later(WEEK + 1);
    pool_usage(&slot, "sampled", 1, 1, 1);
    try("r", "react");
    cr_assert_not(is_refused("r"));
    cr_assert_not(is_known("misspelt"));
    const char *staying[] = {"contained", "waited_for", "resized", "drained", "configured", "sampled"};
    for (size_t i = 0; i < 6; i++) cr_assert(is_known(staying[i]), "%s", staying[i]);
    try("o", "other");
    cr_assert(is_refused("o"));
}

Test(pool_philosophies, one_that_the_configuration_names_is_never_refused) {
    fill();
    pool_settings(&slot, "{'configured': {'react': true}}");
    cr_assert_str_eq(pool_acquire(&slot, .id = "r4", .philosophy = "react"), "");
    pool_usage(&slot, "react", 1, 1, 1);
    cr_assert_eq(record_count(&slot.answer, 5), 0);
}

Test(pool_philosophies, samples_of_misspelt_ones_give_way_too) {
    pool_settings(&slot, "{'max_philosophies': 2}");
    pool_usage(&slot, "raect", 1, 1, 1);
    later(7200);
    pool_usage(&slot, "recat", 1, 1, 1);
    pool_usage(&slot, "react", 45, 180, 25);
    cr_assert_eq(record_count(&slot.answer, 5), 1, "dead-lettered");
    later(WEEK - 3600);
    pool_usage(&slot, "react", 45, 180, 25);
    cr_assert_eq(record_count(&slot.answer, 5), 0);
    cr_assert_eq(pool_predicted(&slot, "react", "samples"), 1);
    cr_assert_eq(pool_predicted(&slot, "raect", "samples"), 0);
    cr_assert_eq(pool_predicted(&slot, "recat", "samples"), 1);
    cr_assert_eq(test_redis_int(&slot.redis, "EXISTS wp:{pool}:h:raect wp:{pool}:rec:raect"), 0);
}

/* Many old ones that must stay do not hide the one that may go, and no call looks at all of them. */
Test(pool_philosophies, the_search_is_bounded_and_gets_there) {
    enum { MANY = 1000 };
    slot.unchecked = true;
    pool_settings(&slot, "{'max_philosophies': 1000}");
    struct test_events events = {0};
    int64_t next = pool_next(&slot, POOL_CONTROL);
    for (int i = 0; i < MANY - 1; i++) {
        char name[24];
        snprintf(name, sizeof name, "p%d", i);
        event_add(&events, next + i, "sssi", "", name, "resize", 4);
    }
    pool_send(&slot, POOL_CONTROL, &events);
    later(1);
    try("m", "misspelt");
    later(WEEK + 1);
    int calls = 0;
    for (bool refused = true; refused; calls++) {
        char id[24];
        snprintf(id, sizeof id, "r%d", calls);
        freeReplyObject(test_redis_command(&slot.redis, "CONFIG RESETSTAT"));
        try(id, "react");
        refused = is_refused(id);
        cr_assert_leq(test_redis_calls_of(&slot.redis, "zrangebyscore"), 3);
        cr_assert_leq(test_redis_calls_of(&slot.redis, "hmget"), 8);
        cr_assert_lt(calls, MANY / 64 + 2);
    }
    cr_assert_not(is_known("misspelt"));
}
