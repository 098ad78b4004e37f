/* Badly sized pools and caches, and what a worker waits for: what was seen, beside its target, and what to do
 * about it. No advice from no data. Internal to ops/. */
#ifndef WP_OPS_WARNINGS_H
#define WP_OPS_WARNINGS_H
#include <jansson.h>
#include "core/config.h"
#include "core/stats.h"

/* The documented targets, percent. */
#define TARGET_HIT_RATE 90.0
#define TARGET_WARM_RATE 90.0
#define TARGET_UTILIZATION_MIN 50.0
#define TARGET_UTILIZATION_MAX 80.0

struct warning {
    const char *code; /* a fixed word */
    char subject[72]; /* a philosophy, "pools", "cache" or "worker" */
    char message[640], advice[512];
    double figure, target; /* in the same unit */
};

struct warnings {
    struct warning *list;
    size_t count, cap;
};

/* Replaces *ret with what these figures say (answers of wp_pool_stats and wp_cache_stats, NULL: not known).
 */
void warnings_find(struct warnings *ret, const struct wp_config *config, const json_t *pool,
                   const json_t *cache);
/* Adds what this worker waits for. */
void warnings_find_not_ready(struct warnings *ret, const struct wp_stats *stats);
/* Adds clocks that differ, and settings that are not those in force. */
void warnings_find_differences(struct warnings *ret, const struct wp_stats *stats);
/* One line for each that is new, one for each that is over; none for those that stay. */
void warnings_log(const struct warnings *before, const struct warnings *now);
void warnings_done(struct warnings *warnings);

#endif
