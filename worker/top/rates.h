/* What happened in the last minute: the difference of counters between two readings. Pure; one thread. */
#ifndef WP_TOP_RATES_H
#define WP_TOP_RATES_H
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { TOP_SAMPLES = 64 };

struct top_sample { /* counters at a time */
    int64_t at_ms;  /* since 1970 */
    json_t *pools;  /* owned: philosophy -> object of the counters named in rates.c */
    json_t *total;  /* owned: the same of all pools */
    json_t *cache;  /* owned: namespace -> {hits, misses}; NULL: not read */
};

struct top_rates {
    struct top_sample samples[TOP_SAMPLES]; /* by time, the oldest first */
    int count;
};

void top_rates_done(struct top_rates *rates);
/* Notes a reading: pools and total as in wp_pool_stats, namespaces as in wp_cache_stats (NULL: none). All are
 * borrowed. Readings of a past that lies between others are put there; those less than two seconds from
 * another are left out, but for the newest. Counters that went down (Redis has lost its data) forget all
 * before. */
void top_rates_add(struct top_rates *rates, int64_t at_ms, json_t *pools, json_t *total, json_t *namespaces);
/* The time that the rates cover: a minute, or less while less is known. 0: nothing yet. */
int64_t top_rates_span_ms(const struct top_rates *rates);

struct top_rate {                        /* of a pool, or of all, within that time */
    double arrivals;                     /* requests a minute; below 0: not known */
    double starts, warm, rejected, lost; /* counts */
};

/* philosophy NULL: all pools together. */
struct top_rate top_rates_of(const struct top_rates *rates, const char *philosophy);
/* Hits by lookups within that time, in percent; namespace NULL: all. Below 0: there were none. */
double top_rates_hits(const struct top_rates *rates, const char *name);

#endif
