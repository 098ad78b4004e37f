#include <criterion/criterion.h>
#include <math.h>
#include "core/clock.h"
#include "core/histogram.h"

Test(histogram, an_empty_one_answers_zero) {
    struct wp_histogram h = {0};
    cr_assert_eq(wp_histogram_percentile_ms(&h, 99), 0.0);
    cr_assert_eq(wp_histogram_count_below(&h, 1000), 0);
}

Test(histogram, a_single_value_is_every_percentile_exactly) {
    struct wp_histogram h = {0};
    wp_histogram_add(&h, 123457);
    for (int p = 0; p <= 100; p += 10) cr_assert_float_eq(wp_histogram_percentile_ms(&h, p), 123.457, 1e-9);
}

Test(histogram, a_percentile_is_off_by_at_most_a_32nd) {
    for (int64_t value = 1; value < INT64_C(4000000000); value = value * 5 / 4 + 1) {
        struct wp_histogram h = {0};
        wp_histogram_add(&h, value);
        wp_histogram_add(&h, INT64_C(4100000000)); /* so that the maximum does not sharpen the answer */
        double found = wp_histogram_percentile_ms(&h, 50) * 1000.0;
        cr_assert(found >= (double)value && found <= (double)value * (1 + 1.0 / 32), "%f for %lld", found,
                  (long long)value);
    }
}

Test(histogram, percentiles_of_a_known_distribution) {
    struct wp_histogram h = {0};
    for (int i = 1; i <= 1000; i++) wp_histogram_add(&h, i * 1000);
    cr_assert_float_eq(wp_histogram_percentile_ms(&h, 50), 500, 500.0 / 32);
    cr_assert_float_eq(wp_histogram_percentile_ms(&h, 99), 990, 990.0 / 32);
    cr_assert_eq(wp_histogram_percentile_ms(&h, 100), 1000.0);
    cr_assert_eq(h.count, 1000);
    cr_assert_eq(h.sum_us, UINT64_C(500500000));
    cr_assert_eq(h.max_us, 1000000);
}

Test(histogram, negative_counts_as_zero_and_huge_in_the_last_bucket) {
    struct wp_histogram h = {0};
    wp_histogram_add(&h, -5);
    cr_assert_eq(h.buckets[0], 1);
    wp_histogram_add(&h, INT64_MAX);
    cr_assert_eq(h.buckets[WP_HISTOGRAM_BUCKETS - 1], 1);
    cr_assert_float_eq(wp_histogram_percentile_ms(&h, 100), (double)INT64_MAX / 1000.0, 1e6);
}

Test(histogram, counts_below_a_limit_grow_with_it_and_end_with_all) {
    struct wp_histogram h = {0};
    for (int i = 0; i < 2000; i++) wp_histogram_add(&h, i * 37);
    uint64_t before = 0;
    for (int64_t limit = -1; limit < 80000; limit += 501) {
        uint64_t below = wp_histogram_count_below(&h, limit);
        cr_assert_geq(below, before);
        double exact = limit < 0 ? 0 : fmin(2000, floor((double)limit / 37) + 1);
        cr_assert((double)below <= exact && (double)below >= exact * 31 / 32 - 1, "%lld: %llu of %f",
                  (long long)limit, (unsigned long long)below, exact);
        before = below;
    }
    cr_assert_eq(wp_histogram_count_below(&h, 1999 * 37), 2000);
}

Test(histogram, reset_forgets_everything) {
    struct wp_histogram h = {0};
    wp_histogram_add(&h, 77);
    wp_histogram_reset(&h);
    cr_assert_eq(h.count + h.sum_us + h.max_us + h.buckets[WP_HISTOGRAM_BUCKETS - 1], 0);
    cr_assert_eq(wp_histogram_count_below(&h, 1000), 0);
}

Test(clock, durations_never_run_backwards) {
    int64_t before = wp_clock_us();
    for (int i = 0; i < 1000; i++) {
        int64_t now = wp_clock_us();
        cr_assert_geq(now, before);
        before = now;
    }
}

Test(clock, wall_time_is_in_milliseconds_since_1970) {
    cr_assert_gt(wp_clock_wall_ms(), INT64_C(1700000000000));
    cr_assert_lt(wp_clock_wall_ms(), INT64_C(7000000000000));
}
