/* Warnings about badly sized pools and caches, and about what keeps a worker from its work: the figure, its
 * target and an advice. Without data there is no warning. Internal to ops/. */
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
    char subject[72]; /* a philosophy, "pools", "cache", "docker.image" or "worker" */
    char message[640], advice[512];
    double figure, target; /* in the same unit */
};

struct warnings {
    struct warning *list;
    size_t count, cap;
};

/* Replaces *ret with the warnings from these figures: answers of wp_pool_stats and wp_cache_stats, NULL when
 * not known. */
void warnings_find(struct warnings *ret, const struct wp_config *config, const json_t *pool,
                   const json_t *cache);
/* Adds a warning for each part of the worker that is not ready. */
void warnings_find_not_ready(struct warnings *ret, const struct wp_stats *stats);
/* Adds warnings for clocks that differ, and for settings that differ from those in force. */
void warnings_find_differences(struct warnings *ret, const struct wp_stats *stats);
/* Logs a line for each warning that is new and for each that is over. */
void warnings_log(const struct warnings *before, const struct warnings *now);
void warnings_done(struct warnings *warnings);

#endif
