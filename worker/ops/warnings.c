/* Finds the warnings: figures in, sentences out. The loop's thread. */
#include "ops/warnings.h"
#include "core/log.h"
#include "ops/figures.h"
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define LOW_HIT_RATE 80.0
#define JUDGED_FROM                                                                                          \
    20 /* lookups or starts: of fewer a share says nothing, and the first ones are always cold */

static struct warning *add(struct warnings *all, const char *code, const char *subject) {
    if (all->count == all->cap) {
        all->cap = all->cap ? 2 * all->cap : 8;
        all->list = wp_realloc(all->list, all->cap * sizeof *all->list);
    }
    struct warning *warning = &all->list[all->count++];
    *warning = (struct warning){.code = code};
    snprintf(warning->subject, sizeof warning->subject, "%s", subject);
    return warning;
}

#define CLOCK_SKEW_MAX 1.0 /* s */
#define SAY(field, ...) snprintf(field, sizeof field, __VA_ARGS__)

static void check_cache(struct warnings *all, const json_t *cache) {
    long long lookups = count_of(cache, "hits") + count_of(cache, "misses"),
              max = count_of(cache, "max_size");
    double rate = figure_of(cache, "hit_rate_percent");
    if (lookups < JUDGED_FROM || rate >= LOW_HIT_RATE) return;
    struct warning *warning = add(all, "cache_hit_rate_low", "cache");
    warning->figure = rate;
    warning->target = TARGET_HIT_RATE;
    SAY(warning->message, "%.2f %% of %lld cache lookups were hits; below %.0f %% is low", rate, lookups,
        LOW_HIT_RATE);
    SAY(warning->advice, "Grow the cache: cache.max_entries from %lld to %lld%s.", max, 2 * max,
        count_of(cache, "evictions") > 0
            ? ""
            : "; nothing was evicted for room so far, so longer TTLs (cache.ttl.*) may help more");
}

/* The documented formula, with its numbers filled in. */
static void advise_size(struct warning *warning, const char *key, long long peak, long long philosophies,
                        long long buffer, long long size) {
    long long wanted = (peak + philosophies - 1) / philosophies + buffer;
    char formula[160];
    SAY(formula, "pool_size = peak_concurrent_agents / philosophies + buffer = %lld / %lld + %lld = %lld",
        peak, philosophies, buffer, wanted);
    if (wanted > size)
        SAY(warning->advice, "Grow the pool: %s from %lld to %lld (%s).", key, size, wanted, formula);
    else
        SAY(warning->advice,
            "%s = %lld is enough by the formula (%s); have more ready before the requests come: "
            "pool.prewarm, "
            "pool.prewarm_below_percent.",
            key, size, formula);
}

static void check_warm_rate(struct warnings *all, const struct wp_config *config, const json_t *pool) {
    const char *philosophy;
    json_t *each;
    long long peak = 0, philosophies = 0;
    json_object_foreach(json_object_get(pool, "pools"), philosophy, each) {
        if (count_of(each, "warm_starts") + count_of(each, "cold_starts") == 0) continue;
        philosophies++;
        peak += count_of(each, "peak_leased");
    }
    const json_t *total = json_object_get(pool, "total");
    long long starts = count_of(total, "warm_starts") + count_of(total, "cold_starts");
    double rate = figure_of(total, "warm_start_rate_percent");
    if (starts < JUDGED_FROM || philosophies == 0 || rate >= TARGET_WARM_RATE) return;
    struct warning *warning = add(all, "warm_start_rate_low", "pools");
    warning->figure = rate;
    warning->target = TARGET_WARM_RATE;
    SAY(warning->message, "%.2f %% of %lld starts were warm; the target is %.0f %%", rate, starts,
        TARGET_WARM_RATE);
    advise_size(warning, "pool.size", peak, philosophies, config->tuning.buffer, count_of(pool, "pool_size"));
}

static void check_pool_warm_rate(struct warnings *all, const struct wp_config *config, const char *philosophy,
                                 const json_t *pool) {
    long long starts = count_of(pool, "warm_starts") + count_of(pool, "cold_starts");
    double rate = figure_of(pool, "warm_start_rate_percent");
    if (starts < JUDGED_FROM || rate >= TARGET_WARM_RATE) return;
    struct warning *warning = add(all, "pool_warm_start_rate_low", philosophy);
    char key[96];
    SAY(key, "pool.size.%s", philosophy);
    warning->figure = rate;
    warning->target = TARGET_WARM_RATE;
    SAY(warning->message, "%.2f %% of %lld starts of %s were warm; the target is %.0f %%", rate, starts,
        philosophy, TARGET_WARM_RATE);
    advise_size(warning, key, count_of(pool, "peak_leased"), 1, config->tuning.buffer,
                count_of(pool, "pool_size"));
}

static void check_empty(struct warnings *all, const char *philosophy, const json_t *pool) {
    if (!json_is_true(json_object_get(pool, "active")) || json_is_true(json_object_get(pool, "draining")) ||
        count_of(pool, "available") > 0)
        return;
    struct warning *warning = add(all, "pool_empty", philosophy);
    warning->target = 1;
    SAY(warning->message, "%s is in use and has no idle container: its next start is cold", philosophy);
    SAY(warning->advice,
        "Pre-warm it: a pool-control event {\"philosophy\": \"%s\", \"op\": \"pre_warm\", \"count\": %lld}, "
        "or "
        "give it a share of pool.prewarm.",
        philosophy, (long long)count_of(pool, "pool_size"));
}

static void check_confidence(struct warnings *all, const struct wp_config *config, const char *philosophy,
                             const json_t *pool) {
    double confidence = figure_of(pool, "confidence"), low = config->predictor.low_confidence;
    if (confidence <= 0 || confidence >= low) return;
    long long wanted = (long long)ceil(low * (double)config->predictor.history_size),
              samples = llround(confidence * (double)config->predictor.history_size);
    struct warning *warning = add(all, "prediction_confidence_low", philosophy);
    warning->figure = confidence;
    warning->target = low;
    SAY(warning->message,
        "the prediction for %s rests on %lld samples (confidence %.2f), so the defaults are "
        "recommended",
        philosophy, samples, confidence);
    SAY(warning->advice,
        "Publish a usage-record for every run of %s; from %lld samples on its own figures count.", philosophy,
        wanted);
}

void warnings_find(struct warnings *ret, const struct wp_config *config, const json_t *pool,
                   const json_t *cache) {
    const char *philosophy;
    json_t *each;
    bool sizes = config->tuning.mode != WP_TUNING_OFF, warm = config->pool.enabled && config->pool.warm_start;
    ret->count = 0;
    if (sizes && config->cache.enabled) check_cache(ret, cache);
    if (sizes && warm) check_warm_rate(ret, config, pool);
    json_object_foreach(json_object_get(pool, "pools"), philosophy, each) {
        if (sizes && warm) check_pool_warm_rate(ret, config, philosophy, each);
        if (warm) check_empty(ret, philosophy, each);
        check_confidence(ret, config, philosophy, each);
    }
}

static void add_missing_images(struct warnings *ret, const struct wp_stats *stats) {
    uint64_t named =
        stats->images_missing_count < WP_STATS_IMAGES ? stats->images_missing_count : WP_STATS_IMAGES;
    for (uint64_t i = 0; i < named; i++) {
        const struct wp_image_lack *lack = &stats->images_missing[i];
        struct warning *warning = add(ret, "image_missing", lack->subject);
        warning->figure = (double)stats->images_missing_count;
        SAY(warning->message, "%s", lack->why);
        SAY(warning->advice, "%s.", lack->mend);
        warning->advice[0] = (char)toupper((unsigned char)warning->advice[0]);
    }
}

static void add_registry(struct warnings *ret, const struct wp_stats *stats) {
    bool waits = *stats->registry_away, starts = *stats->registry_not_ready;
    if (!waits && !starts) return;
    struct warning *warning = add(ret, "registry_away", "worker");
    warning->figure = (double)stats->registry_waiting;
    SAY(warning->message, "%s", starts ? stats->registry_not_ready : stats->registry_away);
    SAY(warning->advice,
        "Bring the schema registry back, or mend wire.registry.*: `warmpool check` says what is wrong. "
        "Partitions whose next event has an unknown schema id wait meanwhile.");
}

void warnings_find_not_ready(struct warnings *ret, const struct wp_stats *stats) {
    const struct {
        const char *code;
        const struct wp_health *health;
        const char *advice;
    } parts[] = {
        {"kafka_not_ready", &stats->kafka,
         "Bring Kafka back, or mend kafka.*: `warmpool check` says what is wrong. Events wait meanwhile."},
        {"redis_not_ready", &stats->redis,
         "Bring Redis back, or mend redis.*: `warmpool check` says what is wrong. Events wait meanwhile."},
        {"state_not_ready", &stats->state,
         "Do what the message says; the events of its topic wait until then, and /readyz says when it is "
         "over."},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].health->ready) continue;
        struct warning *warning = add(ret, parts[i].code, "worker");
        warning->target = 1;
        SAY(warning->message, "%s",
            parts[i].health->reason[0] ? parts[i].health->reason : "It was not reached yet");
        SAY(warning->advice, "%s", parts[i].advice);
    }
    add_missing_images(ret, stats);
    add_registry(ret, stats);
    if (!*stats->host_not_ready) return;
    struct warning *warning = add(ret, "host_not_ready", "worker");
    warning->target = 1;
    SAY(warning->message, "%s", stats->host_not_ready);
    SAY(warning->advice,
        "Bring the engine back, or mend docker.*: `warmpool check` says what is wrong. Other "
        "hosts make containers meanwhile.");
}

static bool has(const struct warnings *all, const struct warning *wanted) {
    for (size_t i = 0; i < all->count; i++)
        if (strcmp(all->list[i].code, wanted->code) == 0 &&
            strcmp(all->list[i].subject, wanted->subject) == 0)
            return true;
    return false;
}

/* Nothing expires by these clocks, but whoever compares times of both is misled. */
static void check_clocks(struct warnings *all, const struct wp_stats *stats) {
    double skew = (double)wp_append_clock_ahead_ms(&stats->append_clock, &stats->redis_clock) / 1000;
    if (fabs(skew) <= CLOCK_SKEW_MAX) return;
    struct warning *warning = add(all, "clocks_differ", "worker");
    warning->figure = skew;
    warning->target = CLOCK_SKEW_MAX;
    SAY(warning->message, "Kafka's clock (append times) is %.1f s %s Redis' (TIME)", fabs(skew),
        skew > 0 ? "ahead of" : "behind");
    SAY(warning->advice,
        "Set the clocks of both machines by NTP. Timeouts and leases go by what passes, so they hold "
        "meanwhile; times in records are by either clock.");
}

void warnings_find_differences(struct warnings *ret, const struct wp_stats *stats) {
    check_clocks(ret, stats);
    if (!stats->settings_differ) return;
    struct warning *warning = add(ret, "settings_differ", "worker");
    SAY(warning->message,
        "worker %s has another configuration, and Redis uses that one, because it was read later than this "
        "worker's",
        stats->settings_owner);
    SAY(warning->advice, "Give all workers the same configuration and reload those that have an older one "
                         "(SIGHUP), or restart them.");
}

void warnings_log(const struct warnings *before, const struct warnings *now) {
    for (size_t i = 0; i < now->count; i++) {
        const struct warning *warning = &now->list[i];
        if (!has(before, warning))
            wp_log(WP_LOG_WARN, "warning_raised",
                   "code=%s subject=%s figure=%.2f target=%.2f message=%s advice=%s", warning->code,
                   warning->subject, warning->figure, warning->target, warning->message, warning->advice);
    }
    for (size_t i = 0; i < before->count; i++)
        if (!has(now, &before->list[i]))
            wp_log(WP_LOG_INFO, "warning_over", "code=%s subject=%s", before->list[i].code,
                   before->list[i].subject);
}

void warnings_done(struct warnings *warnings) {
    free(warnings->list);
    *warnings = (struct warnings){0};
}
