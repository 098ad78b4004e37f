/* The age of records by the broker's clock. */
#include "core/append_clock.h"
#include <criterion/criterion.h>

#define MS(x) ((int64_t)(x)*1000)
enum { BROKER = 450000000 }; /* its clock is ahead of ours by so many ms */

Test(append_clock, before_anything_was_seen_no_age_is_known) {
    struct wp_append_clock clock = {0};
    cr_assert_eq(wp_append_clock_age_ms(&clock, 1, MS(1000)), -1);
    cr_assert_eq(wp_append_clock_now_ms(&clock, MS(1000)), -1);
}

Test(append_clock, a_record_has_the_age_that_the_brokers_own_clock_gives_it) {
    struct wp_append_clock clock = {0};
    wp_append_clock_measured(&clock, BROKER + 1000, MS(1001));
    cr_assert_eq(wp_append_clock_age_ms(&clock, BROKER + 1000, MS(3001)), 2000);
    cr_assert_eq(wp_append_clock_age_ms(&clock, BROKER - 9000, MS(1001)), 10000, "a backlog");
    cr_assert_eq(wp_append_clock_age_ms(&clock, BROKER + 9000, MS(1001)), 0, "of its future");
    cr_assert_eq(wp_append_clock_age_ms(&clock, -1, MS(1001)), -1, "one without a time");
}

Test(append_clock, a_backlog_looks_no_older_than_it_is_before_anything_was_delivered) {
    struct wp_append_clock clock = {0};
    wp_append_clock_seen(&clock, BROKER - 60000, MS(1000));
    wp_append_clock_seen(&clock, BROKER - 90000, MS(1000));
    cr_assert_eq(wp_append_clock_age_ms(&clock, BROKER - 60000, MS(1000)), 0);
    cr_assert_eq(wp_append_clock_age_ms(&clock, BROKER - 90000, MS(1000)), 30000);
    wp_append_clock_measured(&clock, BROKER + 1000, MS(1000));
    cr_assert_eq(wp_append_clock_age_ms(&clock, BROKER - 60000, MS(1000)), 61000);
}

Test(append_clock, a_late_report_changes_little_and_a_clock_that_was_set_all) {
    struct wp_append_clock clock = {0};
    wp_append_clock_measured(&clock, BROKER + 1000, MS(1000));
    wp_append_clock_measured(&clock, BROKER + 2000, MS(2160)); /* 160 ms on its way */
    int64_t now = wp_append_clock_now_ms(&clock, MS(3000));
    cr_assert(now <= BROKER + 3000 && now >= BROKER + 2985, "%lld", (long long)now);
    wp_append_clock_measured(&clock, BROKER - 60000 + 4000, MS(4000)); /* a minute back */
    cr_assert_eq(wp_append_clock_now_ms(&clock, MS(4000)), BROKER - 60000 + 4000);
    wp_append_clock_measured(&clock, BROKER + 5000, MS(5000));
    cr_assert_eq(wp_append_clock_now_ms(&clock, MS(5000)), BROKER + 5000);
}
