/* Composes the metrics record, in the shape of schemas/metrics.avsc, from the snapshot. The loop's thread. */
#include "ops/metrics_record.h"
#include "core/clock.h"
#include "ops/figures.h"
#include "ops/tuning.h"
#include <math.h>
#include <unistd.h>

static double places2(double value) {
    return round(value * 100) / 100;
}

static void set_count(json_t *to, const char *name, int64_t value) {
    json_object_set_new(to, name, json_integer(value));
}
static void set_number(json_t *to, const char *name, double value) {
    json_object_set_new(to, name, json_real(value));
}
static void set_flag(json_t *to, const char *name, bool value) {
    json_object_set_new(to, name, json_boolean(value));
}
static void set_text(json_t *to, const char *name, const char *value) {
    json_object_set_new(to, name, json_string(value));
}

/* Copies the named figures; 0 for missing ones. The list of names ends with NULL. */
static void copy_counts(json_t *to, const json_t *from, const char *const *names) {
    for (; *names; names++) set_count(to, *names, count_of(from, *names));
}
static void copy_numbers(json_t *to, const json_t *from, const char *const *names) {
    for (; *names; names++) set_number(to, *names, figure_of(from, *names));
}

/* ---- shared state ---- */

static json_t *optimization(const struct ops_snapshot *of) {
    const json_t *total = json_object_get(of->shared->pool, "total");
    json_t *record = json_object();
    set_count(record, "cache_hits", count_of(of->shared->cache, "hits"));
    set_count(record, "cache_misses", count_of(of->shared->cache, "misses"));
    set_count(record, "warm_starts", count_of(total, "warm_starts"));
    set_count(record, "cold_starts", count_of(total, "cold_starts"));
    set_count(record, "gc_collections", (int64_t)of->base->stats->optimizer_rounds);
    set_number(record, "memory_released_mb", places2(of->base->stats->memory_released_mb));
    return record;
}

static json_t *cache_stats(const json_t *cache) {
    static const char *const counts[] = {"size",      "max_size",  "hits",    "misses", "bytes",
                                         "max_bytes", "evictions", "expired", NULL};
    static const char *const namespace_counts[] = {"size", "hits", "misses", NULL};
    static const char *const rate[] = {"hit_rate_percent", NULL};
    json_t *record = json_object(), *namespaces = json_object(), *each;
    const char *name;
    copy_counts(record, cache, counts);
    copy_numbers(record, cache, rate);
    json_object_foreach(json_object_get(cache, "namespaces"), name, each) {
        json_t *one = json_object();
        copy_counts(one, each, namespace_counts);
        copy_numbers(one, each, rate);
        json_object_set_new(namespaces, name, one);
    }
    json_object_set_new(record, "namespaces", namespaces);
    return record;
}

static json_t *one_pool(const json_t *pool) {
    static const char *const counts[] = {"available",   "leased",      "creating",    "waiting", "pool_size",
                                         "warm_starts", "cold_starts", "peak_leased", "paused",  "resetting",
                                         "outdated",    "ready",       "rejected",    "lost",    NULL};
    static const char *const numbers[] = {"utilization_percent", "warm_start_rate_percent", "confidence",
                                          NULL};
    json_t *record = json_object();
    copy_counts(record, pool, counts);
    copy_numbers(record, pool, numbers);
    set_flag(record, "draining", json_is_true(json_object_get(pool, "draining")));
    set_flag(record, "active", json_is_true(json_object_get(pool, "active")));
    const char *unavailable = json_string_value(json_object_get(pool, "unavailable"));
    set_text(record, "unavailable", unavailable ? unavailable : "");
    return record;
}

static json_t *total(const json_t *from, const json_t *pools) {
    static const char *const counts[] = {"available",   "leased",      "creating", "waiting", "rejected",
                                         "warm_starts", "cold_starts", "lost",     NULL};
    static const char *const rate[] = {"warm_start_rate_percent", NULL};
    int64_t size = 0, peak = 0;
    const char *name;
    json_t *record = json_object(), *pool;
    json_object_foreach((json_t *)(uintptr_t)pools, name, pool) {
        size += count_of(pool, "pool_size");
        peak += count_of(pool, "peak_leased");
    }
    copy_counts(record, from, counts);
    copy_numbers(record, from, rate);
    set_count(record, "pool_size", size);
    set_count(record, "peak_leased", peak);
    set_number(record, "utilization_percent",
               size > 0 ? places2(100.0 * figure_of(from, "available") / (double)size) : 0);
    return record;
}

static json_t *pool_stats(const struct ops_snapshot *of) {
    const json_t *pool = of->shared->pool;
    json_t *record = json_object(), *pools = json_object(), *each;
    const char *name;
    set_count(record, "pool_size", pool ? count_of(pool, "pool_size") : of->base->config->pool.size);
    set_flag(record, "warm_start_enabled",
             pool ? json_is_true(json_object_get(pool, "warm_start_enabled"))
                  : of->base->config->pool.warm_start);
    json_object_foreach(json_object_get(pool, "pools"), name, each)
        json_object_set_new(pools, name, one_pool(each));
    json_object_set_new(record, "total", total(json_object_get(pool, "total"), pools));
    json_object_set_new(record, "pools", pools);
    return record;
}

/* ---- this worker ---- */

static json_t *memory(const struct ops_snapshot *of) {
    const struct optimizer_result *result = of->optimizer;
    json_t *record = json_object();
    set_flag(record, "enabled", result->enabled);
    set_count(record, "objects_collected", result->objects_collected);
    set_number(record, "memory_before_mb", result->memory_before_mb);
    set_number(record, "memory_after_mb", result->memory_after_mb);
    set_number(record, "memory_released_mb", result->memory_released_mb);
    set_count(record, "rounds", (int64_t)of->base->stats->optimizer_rounds);
    set_count(record, "failures", (int64_t)of->base->stats->optimizer_failures);
    set_number(record, "rss_mb", places2((double)wp_ops_rss_bytes() / 1048576.0));
    return record;
}

static json_t *latency(const struct wp_histogram *h) {
    json_t *record = json_object();
    set_count(record, "count", (int64_t)h->count);
    set_number(record, "p50_ms", wp_histogram_percentile_ms(h, 50));
    set_number(record, "p95_ms", wp_histogram_percentile_ms(h, 95));
    set_number(record, "p99_ms", wp_histogram_percentile_ms(h, 99));
    set_number(record, "max_ms", (double)h->max_us / 1000.0);
    return record;
}

static void set_health(json_t *record, const struct wp_health *health) {
    set_flag(record, "ready", health->ready);
    json_object_set_new(record, "reason", health->ready ? json_null() : json_string(health->reason));
}

static json_t *redis(const struct wp_stats *stats) {
    json_t *record = json_object();
    set_health(record, &stats->redis);
    set_count(record, "calls", (int64_t)stats->redis_calls);
    set_count(record, "errors", (int64_t)stats->redis_errors);
    set_count(record, "reconnects", (int64_t)stats->redis_reconnects);
    set_number(record, "call_p99_ms", wp_histogram_percentile_ms(&stats->redis_call, 99));
    return record;
}

static json_t *kafka(const struct wp_stats *stats) {
    json_t *record = json_object();
    set_health(record, &stats->kafka);
    set_count(record, "produce_errors", (int64_t)stats->produce_errors);
    set_count(record, "partition_restarts", (int64_t)stats->partition_restarts);
    return record;
}

static json_t *events(const struct wp_stats *stats) {
    json_t *list = json_array();
    for (int topic = 0; topic < WP_TOPICS_IN; topic++) {
        json_t *one = json_object();
        set_text(one, "topic", wp_topics[topic].name);
        set_count(one, "ok", (int64_t)stats->events[topic][WP_DONE_OK]);
        set_count(one, "dead_letter", (int64_t)stats->events[topic][WP_DONE_DEAD]);
        json_array_append_new(list, one);
    }
    return list;
}

static json_t *ended(const struct wp_stats *stats) {
    json_t *record = json_object();
    for (int end = 0; end <= WP_ENDS; end++) set_count(record, wp_end_words[end], (int64_t)stats->ended[end]);
    return record;
}

static json_t *worker(const struct ops_snapshot *of) {
    const struct wp_stats *stats = of->base->stats;
    char machine[64] = "";
    json_t *record = json_object(), *records = json_object(), *lag = json_object();
    gethostname(machine, sizeof machine - 1);
    for (int topic = 0; topic < WP_TOPICS; topic++)
        set_count(records, wp_topics[topic].name, (int64_t)stats->records[topic]);
    for (int topic = 0; topic < WP_TOPICS_IN; topic++)
        set_count(lag, wp_topics[topic].name, stats->lag[topic]);
    set_text(record, "id", of->base->worker_id);
    set_text(record, "version", WP_VERSION);
    set_text(record, "host", of->base->config->host.name[0] ? of->base->config->host.name : machine);
    set_count(record, "uptime_seconds", (wp_clock_us() - stats->started_us) / 1000000);
    set_count(record, "partitions", stats->partitions);
    json_object_set_new(record, "events", events(stats));
    json_object_set_new(record, "records", records);
    json_object_set_new(record, "lag", lag);
    set_count(record, "assigned", (int64_t)stats->assigned);
    set_count(record, "rejected", (int64_t)stats->rejected);
    set_count(record, "lost", (int64_t)stats->lost);
    json_object_set_new(record, "ended", ended(stats));
    set_count(record, "out_of_memory", (int64_t)stats->out_of_memory);
    json_object_set_new(record, "acquire_to_assignment", latency(&stats->acquire_to_assignment));
    json_object_set_new(record, "redis", redis(stats));
    json_object_set_new(record, "kafka", kafka(stats));
    set_number(record, "rss_mb", places2((double)wp_ops_rss_bytes() / 1048576.0));
    return record;
}

/* ---- targets, warnings and tuning ---- */

static json_t *targets(void) {
    json_t *record = json_object();
    set_number(record, "hit_rate_percent", TARGET_HIT_RATE);
    set_number(record, "warm_start_rate_percent", TARGET_WARM_RATE);
    set_number(record, "utilization_min_percent", TARGET_UTILIZATION_MIN);
    set_number(record, "utilization_max_percent", TARGET_UTILIZATION_MAX);
    return record;
}

static json_t *warnings(const struct warnings *all) {
    json_t *list = json_array();
    for (size_t i = 0; i < all->count; i++) {
        const struct warning *warning = &all->list[i];
        json_t *one = json_object();
        set_text(one, "code", warning->code);
        set_text(one, "message", warning->message);
        set_text(one, "advice", warning->advice);
        set_number(one, "figure", warning->figure);
        set_number(one, "target", warning->target);
        set_text(one, "subject", warning->subject);
        json_array_append_new(list, one);
    }
    return list;
}

static json_t *tuning(const struct ops_snapshot *of) {
    json_t *record = json_object();
    set_text(record, "mode", tuning_mode_name(of->base->config->tuning.mode));
    json_object_set(record, "applied", of->tuning_applied);
    return record;
}

json_t *metrics_record(const struct ops_snapshot *of) {
    json_t *record = json_object();
    set_count(record, "timestamp_ms", wp_clock_wall_ms());
    json_object_set_new(record, "optimization_metrics", optimization(of));
    json_object_set_new(record, "cache_stats", cache_stats(of->shared->cache));
    json_object_set_new(record, "pool_stats", pool_stats(of));
    set_number(record, "warm_start_rate_percent",
               figure_of(json_object_get(of->shared->pool, "total"), "warm_start_rate_percent"));
    set_count(record, "tracked_agents", count_of(of->shared->pool, "tracked_agents"));
    json_object_set_new(record, "memory", memory(of));
    json_object_set_new(record, "targets", targets());
    json_object_set_new(record, "worker", worker(of));
    json_object_set_new(record, "warnings", warnings(of->warnings));
    json_object_set_new(record, "tuning", tuning(of));
    return record;
}
