/* Owns the policy of tuning.mode = apply. Intervals are numbered by Redis' time. A change is an event whose
 * id is made of policy, object and interval number, so that workers that want the same change make it once.
 * Rates count what has happened since this worker's figures of an interval ago. The loop's thread. */
#include "ops/tuning.h"
#include "core/log.h"
#include "ops/figures.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LOW_RATE 80.0
enum { ENOUGH_LOOKUPS = 100, ENOUGH_STARTS = 20, POOL_STEP = 5 };

struct earlier {    /* the figures of one slot, an interval ago */
    json_t *before; /* owned; NULL: none yet */
    int64_t at_s;   /* Redis' time of them; a reload may change the interval meanwhile */
};

struct tuning {
    const struct ops_base *base;
    struct earlier cache, pool;
    json_t *applied; /* owned */
};

static int64_t seconds_of(const json_t *stats) {
    return count_of(stats, "now") / 1000;
}

/* True for the first figures of an interval when there are earlier ones to compare with. */
static bool is_due(struct tuning *tuning, const struct earlier *earlier, const json_t *stats) {
    int64_t interval = tuning->base->config->tuning.interval;
    return earlier->before && stats && seconds_of(stats) / interval > earlier->at_s / interval;
}

static void remember(struct earlier *earlier, json_t *stats, bool due) {
    if (!stats || (earlier->before && !due)) return;
    json_decref(earlier->before);
    earlier->before = json_incref(stats);
    earlier->at_s = seconds_of(stats);
}

static void note(struct tuning *tuning, const char *subject, const char *text) {
    json_array_append_new(tuning->applied, json_string(text));
    wp_log(WP_LOG_INFO, "tuning_applied", "subject=%s change=%s", subject, text);
}

/* The percentage of `part` among `part` and `rest` since `before`. False: too few of both, or the counters
 * went back because Redis has lost its data. */
static bool rate_since(const json_t *before, const json_t *now, const char *part, const char *rest,
                       int64_t enough, double *ret_rate, int64_t *ret_whole) {
    int64_t parts = count_of(now, part) - count_of(before, part),
            others = count_of(now, rest) - count_of(before, rest);
    if (parts < 0 || others < 0 || parts + others < enough) return false;
    *ret_whole = parts + others;
    *ret_rate = 100.0 * (double)parts / (double)*ret_whole;
    return true;
}

static int64_t at_most(int64_t value, int64_t ceiling) {
    return value < ceiling ? value : ceiling;
}

static void tune_cache(struct tuning *tuning, const json_t *before, const json_t *now, int64_t number) {
    double rate;
    int64_t lookups, max = count_of(now, "max_size");
    if (!rate_since(before, now, "hits", "misses", ENOUGH_LOOKUPS, &rate, &lookups) || rate >= LOW_RATE)
        return;
    int64_t wanted = at_most(2 * max, tuning->base->config->tuning.max_cache_entries);
    if (wanted <= max) return; /* at the ceiling: the warning stays */
    char id[64], text[160];
    snprintf(id, sizeof id, "tuning/cache/%" PRId64, number);
    struct wp_cache_event event = {
        .event_id = wp_str(id), .op = WP_STR("resize"), .ttl_seconds = WP_ABSENT, .count = wanted};
    if (!wp_ops_publish(tuning->base, WP_TOPIC_CACHE, wp_str(id), &event)) return;
    snprintf(text, sizeof text,
             "cache.max_entries from %" PRId64 " to %" PRId64 ": %.2f %% of %" PRId64 " lookups were hits",
             max, wanted, rate, lookups);
    note(tuning, "cache", text);
}

static void tune_pool(struct tuning *tuning, const char *philosophy, const json_t *before, const json_t *now,
                      int64_t number) {
    const struct wp_config *config = tuning->base->config;
    double rate;
    int64_t starts, size = count_of(now, "pool_size");
    if (!before || json_is_true(json_object_get(now, "draining")) ||
        !rate_since(before, now, "warm_starts", "cold_starts", ENOUGH_STARTS, &rate, &starts) ||
        rate >= LOW_RATE)
        return;
    int64_t wanted = at_most(size + POOL_STEP, at_most(config->tuning.max_pool_size,
                                                       wp_config_max_containers(config, philosophy)));
    if (wanted <= size) return;
    char id[128], text[192];
    snprintf(id, sizeof id, "tuning/pool/%s/%" PRId64, philosophy, number);
    struct wp_control control = {
        .control_id = wp_str(id), .philosophy = wp_str(philosophy), .op = WP_STR("resize"), .count = wanted};
    if (!wp_ops_publish(tuning->base, WP_TOPIC_CONTROL, wp_str(philosophy), &control)) return;
    snprintf(text, sizeof text,
             "size of pool %s from %" PRId64 " to %" PRId64 ": %.2f %% of %" PRId64 " starts were warm",
             philosophy, size, wanted, rate, starts);
    note(tuning, philosophy, text);
}

static void tune_pools(struct tuning *tuning, const json_t *before, const json_t *now, int64_t number) {
    const char *philosophy;
    json_t *pool;
    json_object_foreach(json_object_get(now, "pools"), philosophy, pool) tune_pool(
        tuning, philosophy, json_object_get(json_object_get(before, "pools"), philosophy), pool, number);
}

void tuning_consider(struct tuning *tuning, const struct shared *shared) {
    const struct wp_config *config = tuning->base->config;
    json_t *cache = shared->cache, *pool = shared->pool;
    if (config->tuning.mode != WP_TUNING_APPLY) return;
    bool cache_due = is_due(tuning, &tuning->cache, cache), pool_due = is_due(tuning, &tuning->pool, pool);
    if (cache_due || pool_due) json_array_clear(tuning->applied);
    if (cache_due && config->cache.enabled)
        tune_cache(tuning, tuning->cache.before, cache,
                   count_of(cache, "now") / 1000 / config->tuning.interval);
    if (pool_due && config->pool.enabled && config->pool.warm_start)
        tune_pools(tuning, tuning->pool.before, pool, count_of(pool, "now") / 1000 / config->tuning.interval);
    remember(&tuning->cache, cache, cache_due);
    remember(&tuning->pool, pool, pool_due);
}

json_t *tuning_applied(const struct tuning *tuning) {
    return tuning->applied;
}

const char *tuning_mode_name(enum wp_tuning mode) {
    static const char *const names[] = {"off", "advise", "apply"};
    return names[mode];
}

struct tuning *tuning_new(const struct ops_base *base) {
    struct tuning *tuning = wp_calloc(1, sizeof *tuning);
    tuning->base = base;
    tuning->applied = json_array();
    return tuning;
}

void tuning_free(struct tuning *tuning) {
    if (!tuning) return;
    json_decref(tuning->cache.before);
    json_decref(tuning->pool.before);
    json_decref(tuning->applied);
    free(tuning);
}
