/* The latency histogram. A histogram belongs to one thread.
 *
 * Values below 32 have a bucket each. Above, the power of two 2^e (e >= 5) is cut into 32 buckets of width
 * 2^(e-5), so the width of a bucket is at most 1/32 of any value in it. */
#include "core/histogram.h"
#include <math.h>
#include <string.h>

#define SUB_BITS 5
#define SUB (1u << SUB_BITS)
#define LAST (WP_HISTOGRAM_BUCKETS - 1)

static unsigned bucket_of(uint64_t us) {
    if (us < SUB) return (unsigned)us;
    unsigned shift = 63u - (unsigned)__builtin_clzll(us) - SUB_BITS;
    uint64_t index = ((uint64_t)shift + 1) * SUB + (us >> shift) - SUB;
    return index > LAST ? LAST : (unsigned)index;
}

/* The highest value that falls into a bucket. */
static uint64_t bucket_top(unsigned index) {
    if (index < SUB) return index;
    unsigned shift = index / SUB - 1;
    uint64_t bottom = (uint64_t)(index % SUB + SUB) << shift;
    return bottom + ((uint64_t)1 << shift) - 1;
}

void wp_histogram_add(struct wp_histogram *h, int64_t us) {
    uint64_t value = us < 0 ? 0 : (uint64_t)us;
    h->count++;
    h->sum_us += value;
    if (value > h->max_us) h->max_us = value;
    h->buckets[bucket_of(value)]++;
}

double wp_histogram_percentile_ms(const struct wp_histogram *h, double percentile) {
    if (h->count == 0) return 0.0;
    double wanted = ceil((double)h->count * percentile / 100.0);
    uint64_t rank = wanted < 1.0 ? 1 : (uint64_t)wanted;
    uint64_t seen = 0;
    for (unsigned i = 0; i < LAST; i++) {
        seen += h->buckets[i];
        if (seen < rank) continue;
        uint64_t top = bucket_top(i);
        return (double)(top < h->max_us ? top : h->max_us) / 1000.0;
    }
    return (double)h->max_us / 1000.0;
}

void wp_histogram_reset(struct wp_histogram *h) {
    memset(h, 0, sizeof(*h));
}

uint64_t wp_histogram_count_below(const struct wp_histogram *h, int64_t us) {
    if (us < 0) return 0;
    if ((uint64_t)us >= h->max_us) return h->count;
    uint64_t below = 0;
    for (unsigned i = 0; i < LAST && bucket_top(i) <= (uint64_t)us; i++) below += h->buckets[i];
    return below;
}
