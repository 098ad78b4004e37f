/* Latency histogram: log-linear buckets (HdrHistogram's layout, 32 sub-buckets a power of two), so a
 * percentile is off by at most 1/32 of its value. Values are microseconds, 0 to about 1.2 h; larger ones
 * count in the last bucket. */
#ifndef WP_CORE_HISTOGRAM_H
#define WP_CORE_HISTOGRAM_H
#include <stdint.h>

#define WP_HISTOGRAM_BUCKETS 896

struct wp_histogram {
    uint64_t count, sum_us, max_us;
    uint32_t buckets[WP_HISTOGRAM_BUCKETS];
};

void wp_histogram_add(struct wp_histogram *h, int64_t us); /* negative counts as 0 */
double wp_histogram_percentile_ms(const struct wp_histogram *h,
                                  double percentile); /* 0..100; 0.0 when empty */
void wp_histogram_reset(struct wp_histogram *h);
/* How many values are <= us (for Prometheus' cumulative buckets). */
uint64_t wp_histogram_count_below(const struct wp_histogram *h, int64_t us);

#endif
