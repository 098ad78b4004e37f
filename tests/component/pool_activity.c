/* Which pools count as active, on a real Redis. */
#include "support/pool_suite.h"
#include <criterion/criterion.h>

POOL_SUITE(pool_activity);

static bool is_active(void) {
    json_t *stats = calls_public(&slot.redis, "wp_pool_stats", NULL);
    json_t *pool = json_object_get(json_object_get(stats, "pools"), "react");
    bool active = json_is_true(json_object_get(pool, "active"));
    cr_assert_not_null(pool);
    json_decref(stats);
    return active;
}

Test(pool_activity, begins_with_the_first_request) {
    pool_warm(&slot, "react", 1);
    cr_assert_not(is_active(), "nobody has asked for one");
    pool_acquire(&slot, .id = "r1");
    cr_assert(is_active());
}

Test(pool_activity, ends_ten_minutes_after_the_last_request) {
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1");
    pool_advance_time(&slot, 700);
    cr_assert(is_active(), "a lease lasts");
    pool_release(&slot, "r1");
    pool_acquire(&slot, .id = "r2");
    pool_release(&slot, "r2");
    pool_advance_time(&slot, 590);
    cr_assert(is_active());
    pool_advance_time(&slot, 20);
    cr_assert_not(is_active());
}
