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
    wp_append_clock_measured(&clock, BROKER + 1000, MS(1000), MS(1001));
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
    wp_append_clock_measured(&clock, BROKER + 1000, MS(1000), MS(1000));
    cr_assert_eq(wp_append_clock_age_ms(&clock, BROKER - 60000, MS(1000)), 61000);
}

Test(append_clock, late_reports_change_nothing_and_a_clock_that_was_set_all) {
    struct wp_append_clock clock = {0};
    wp_append_clock_measured(&clock, BROKER + 1000, MS(1000), MS(1002));
    for (int i = 2; i < 50; i++) /* each 9 s on its way back, or 9 s on its way there */
        wp_append_clock_measured(&clock, BROKER + i * 1000 + i % 2 * 9000, MS(i * 1000), MS(i * 1000 + 9000));
    int64_t now = wp_append_clock_now_ms(&clock, MS(60000));
    cr_assert(now <= BROKER + 60000 && now >= BROKER + 59998, "%lld", (long long)now);
    wp_append_clock_measured(&clock, BROKER - 60000 + 64000, MS(64000), MS(64000)); /* a minute back */
    cr_assert_eq(wp_append_clock_now_ms(&clock, MS(64000)), BROKER - 60000 + 64000);
    wp_append_clock_measured(&clock, BROKER + 65000, MS(65000), MS(65000));
    cr_assert_eq(wp_append_clock_now_ms(&clock, MS(65000)), BROKER + 65000);
}

Test(append_clock, a_drift_is_followed) {
    struct wp_append_clock clock = {0};
    for (int64_t s = 1; s < 100000; s++) /* it loses 1 ms in ten seconds */
        wp_append_clock_measured(&clock, BROKER + s * 1000 - s / 10, MS(s * 1000 - 2), MS(s * 1000 + 2));
    int64_t error = wp_append_clock_now_ms(&clock, MS(100000000)) - (BROKER + 100000000 - 10000);
    cr_assert(error >= -5 && error <= 5, "%lld ms", (long long)error);
}

Test(append_clock, two_clocks_differ_when_no_delay_can_be_the_reason) {
    struct wp_append_clock kafka = {0}, redis = {0};
    cr_assert_eq(wp_append_clock_ahead_ms(&kafka, &redis), 0, "nothing is known");
    wp_append_clock_measured(&redis, 5000, MS(5000), MS(5001));
    wp_append_clock_measured(&kafka, 9000, MS(9000), MS(20000));
    cr_assert_eq(wp_append_clock_ahead_ms(&kafka, &redis), 0, "its report took eleven seconds");
    wp_append_clock_measured(&kafka, 70000, MS(30000), MS(30010));
    int64_t ahead = wp_append_clock_ahead_ms(&kafka, &redis);
    cr_assert(ahead >= 39980 && ahead <= 40000, "%lld ms", (long long)ahead);
    cr_assert_eq(wp_append_clock_ahead_ms(&redis, &kafka), -ahead);
}
