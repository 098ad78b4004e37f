/* Owns the table of metrics: name, type, help and source of each figure. docs/metrics.md lists the same
 * names. The loop's thread. */
#include "ops/prometheus.h"
#include "ops/figures.h"
#include <inttypes.h>
#include <stddef.h>
#include <time.h>

enum type { COUNTER, GAUGE, HISTOGRAM };

struct metric;
struct page {
    const struct ops_snapshot *of;
    struct wp_buf *out;
};

struct metric {
    const char *name;
    enum type type;
    const char *help;
    void (*write)(const struct page *page, const struct metric *metric);
    size_t at;         /* offset of the figure in struct wp_stats */
    const char *field; /* name of the figure in Redis' answer */
    double scale;      /* from the field's unit to the metric's; 0 = 1 */
};

/* ---- one sample: name{label="value",label="value"} number ---- */

static void write_value(struct wp_buf *out, const char *text) {
    wp_buf_add_str(out, "\"");
    for (const char *at = text; *at; at++) {
        if (*at == '\n')
            wp_buf_add_str(out, "\\n");
        else if (*at == '"' || *at == '\\')
            wp_buf_printf(out, "\\%c", *at);
        else
            wp_buf_add(out, at, 1);
    }
    wp_buf_add_str(out, "\"");
}

static void write_name(struct wp_buf *out, const struct metric *metric, const char *label, const char *value,
                       const char *label2, const char *value2) {
    wp_buf_add_str(out, metric->name);
    if (label) {
        wp_buf_printf(out, "{%s=", label);
        write_value(out, value);
        if (label2) {
            wp_buf_printf(out, ",%s=", label2);
            write_value(out, value2);
        }
        wp_buf_add_str(out, "}");
    }
}

static void write_sample(const struct page *page, const struct metric *metric, const char *label,
                         const char *value, double number) {
    write_name(page->out, metric, label, value, NULL, NULL);
    wp_buf_printf(page->out, " %.15g\n", number * (metric->scale > 0 ? metric->scale : 1));
}

/* ---- from the worker's own counters ---- */

static const void *figure(const struct page *page, const struct metric *metric) {
    return (const char *)page->of->base->stats + metric->at;
}

static void of_counter(const struct page *page, const struct metric *metric) {
    write_sample(page, metric, NULL, NULL, (double)*(const uint64_t *)figure(page, metric));
}

static void of_number(const struct page *page, const struct metric *metric) {
    write_sample(page, metric, NULL, NULL, *(const double *)figure(page, metric));
}

static void of_histogram(const struct page *page, const struct metric *metric) {
    static const int64_t bounds_us[] = {100,     250,     500,     1000,     2500,    5000,
                                        10000,   25000,   50000,   100000,   250000,  500000,
                                        1000000, 2500000, 5000000, 10000000, 30000000};
    const struct wp_histogram *h = figure(page, metric);
    for (size_t i = 0; i < sizeof bounds_us / sizeof bounds_us[0]; i++)
        wp_buf_printf(page->out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", metric->name,
                      (double)bounds_us[i] / 1e6, wp_histogram_count_below(h, bounds_us[i]));
    wp_buf_printf(page->out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %.6f\n%s_count %" PRIu64 "\n",
                  metric->name, h->count, metric->name, (double)h->sum_us / 1e6, metric->name, h->count);
}

static void of_events(const struct page *page, const struct metric *metric) {
    static const char *const outcomes[WP_OUTCOMES] = {"ok", "dead_letter"};
    for (int topic = 0; topic < WP_TOPICS_IN; topic++) {
        for (int outcome = 0; outcome < WP_OUTCOMES; outcome++) {
            write_name(page->out, metric, "topic", wp_topics[topic].name, "outcome", outcomes[outcome]);
            wp_buf_printf(page->out, " %" PRIu64 "\n", page->of->base->stats->events[topic][outcome]);
        }
    }
}

static void of_records(const struct page *page, const struct metric *metric) {
    for (int topic = 0; topic < WP_TOPICS; topic++)
        write_sample(page, metric, "topic", wp_topics[topic].name,
                     (double)page->of->base->stats->records[topic]);
}

static void of_lag(const struct page *page, const struct metric *metric) {
    for (int topic = 0; topic < WP_TOPICS_IN; topic++)
        write_sample(page, metric, "topic", wp_topics[topic].name, (double)page->of->base->stats->lag[topic]);
}

static void of_answers(const struct page *page, const struct metric *metric) {
    const struct wp_stats *stats = page->of->base->stats;
    write_sample(page, metric, "status", "assigned", (double)stats->assigned);
    write_sample(page, metric, "status", "rejected", (double)stats->rejected);
    write_sample(page, metric, "status", "lost", (double)stats->lost);
}

static void of_ends(const struct page *page, const struct metric *metric) {
    for (int end = 0; end <= WP_ENDS; end++)
        write_sample(page, metric, "reason", wp_end_words[end], (double)page->of->base->stats->ended[end]);
}

static void of_registry(const struct page *page, const struct metric *metric) {
    write_sample(page, metric, NULL, NULL, *page->of->base->stats->registry_away != '\0');
}

static void of_partitions(const struct page *page, const struct metric *metric) {
    write_sample(page, metric, NULL, NULL, page->of->base->stats->partitions);
}

static void of_readiness(const struct page *page, const struct metric *metric) {
    const struct wp_stats *stats = page->of->base->stats;
    write_sample(page, metric, "part", "kafka", stats->kafka.ready);
    write_sample(page, metric, "part", "redis", stats->redis.ready);
    write_sample(page, metric, "part", "state", stats->state.ready);
    write_sample(page, metric, "part", "name", !*stats->name_in_use);
    write_sample(page, metric, "part", "registry", !*stats->registry_not_ready);
    write_sample(page, metric, "part", "host", !*stats->host_not_ready);
}

/* ---- of the process ---- */

static void of_rss(const struct page *page, const struct metric *metric) {
    write_sample(page, metric, NULL, NULL, (double)wp_ops_rss_bytes());
}

static void of_cpu(const struct page *page, const struct metric *metric) {
    struct timespec used;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) == 0)
        write_sample(page, metric, NULL, NULL, (double)used.tv_sec + (double)used.tv_nsec / 1e9);
}

static void of_start(const struct page *page, const struct metric *metric) {
    write_sample(page, metric, NULL, NULL, (double)page->of->base->started_wall_ms / 1000.0);
}

static void of_build(const struct page *page, const struct metric *metric) {
    write_sample(page, metric, "version", WP_VERSION, 1);
}

static void of_warnings(const struct page *page, const struct metric *metric) {
    const struct warnings *warnings = page->of->warnings;
    for (size_t i = 0; i < warnings->count; i++) {
        write_name(page->out, metric, "code", warnings->list[i].code, "subject", warnings->list[i].subject);
        wp_buf_add_str(page->out, " 1\n");
    }
}

/* ---- of the shared state, as last read ---- */

static void of_shared_time(const struct page *page, const struct metric *metric) {
    write_sample(page, metric, NULL, NULL, (double)page->of->shared->pool_wall_ms / 1000.0);
}

static void of_members(const struct page *page, const struct metric *metric, const json_t *members,
                       const char *label) {
    const char *name;
    json_t *member;
    json_object_foreach((json_t *)(uintptr_t)members, name, member)
        write_sample(page, metric, label, name, figure_of(member, metric->field));
}

static void of_pools(const struct page *page, const struct metric *metric) {
    of_members(page, metric, json_object_get(page->of->shared->pool, "pools"), "philosophy");
}

static void of_hosts(const struct page *page, const struct metric *metric) {
    of_members(page, metric, json_object_get(page->of->shared->pool, "hosts"), "host");
}

static void of_tenants(const struct page *page, const struct metric *metric) {
    of_members(page, metric, json_object_get(page->of->shared->pool, "tenants"), "tenant");
}

static void of_namespaces(const struct page *page, const struct metric *metric) {
    of_members(page, metric, json_object_get(page->of->shared->cache, "namespaces"), "namespace");
}

static void of_pool(const struct page *page, const struct metric *metric) {
    const json_t *pool = page->of->shared->pool, *total = json_object_get(pool, "total");
    if (!pool) return;
    write_sample(page, metric, NULL, NULL,
                 figure_of(json_object_get(total, metric->field) ? total : pool, metric->field));
}

static void of_cache(const struct page *page, const struct metric *metric) {
    if (page->of->shared->cache)
        write_sample(page, metric, NULL, NULL, figure_of(page->of->shared->cache, metric->field));
}

#define STAT(name) .at = offsetof(struct wp_stats, name)
#define FIELD(name) .field = (name)
#define PERCENT(name) .field = (name), .scale = 0.01
#define MIB 1048576.0

static const struct metric metrics[] = {
    {"warmpool_build_info", GAUGE, "The version that runs; always 1.", .write = of_build},
    {"process_start_time_seconds", GAUGE, "When the worker started, seconds since 1970.", .write = of_start},
    {"process_cpu_seconds_total", COUNTER, "Processor time of all threads, user and system.",
     .write = of_cpu},
    {"process_resident_memory_bytes", GAUGE, "Resident memory.", .write = of_rss},

    {"warmpool_events_total", COUNTER, "Events handled, by topic and outcome.", .write = of_events},
    {"warmpool_records_total", COUNTER, "Records whose delivery Kafka confirmed, by topic.",
     .write = of_records},
    {"warmpool_consumer_lag", GAUGE, "Events not taken yet of the partitions owned, by topic.",
     .write = of_lag},
    {"warmpool_partitions", GAUGE, "Input partitions owned.", .write = of_partitions},
    {"warmpool_answers_total", COUNTER, "Answers published, by status.", .write = of_answers},
    {"warmpool_containers_ended_total", COUNTER,
     "Ready containers of this worker's host that ended by themselves, by reason.", .write = of_ends},
    {"warmpool_out_of_memory_total", COUNTER,
     "Processes in this host's containers that were ended at a memory limit.", .write = of_counter,
     STAT(out_of_memory)},
    {"warmpool_images_missing", GAUGE, "Images that this worker's host has not got.", .write = of_counter,
     STAT(images_missing_count)},
    {"warmpool_images_pulling", GAUGE, "Images that it has its engine pull now.", .write = of_counter,
     STAT(images_pulling)},
    {"warmpool_image_pull_bytes_total", COUNTER, "Downloaded by pulls.", .write = of_counter,
     STAT(image_pull_bytes)},
    {"warmpool_image_pull_failures_total", COUNTER, "Pulls that failed.", .write = of_counter,
     STAT(image_pull_failures)},
    {"warmpool_acquire_to_assignment_seconds", HISTOGRAM,
     "From taking an acquire to the confirmed delivery of its answer.", .write = of_histogram,
     STAT(acquire_to_assignment)},
    {"warmpool_ready", GAUGE, "Whether Kafka, Redis, the state in it and the worker's name are ready.",
     .write = of_readiness},
    {"warmpool_redis_calls_total", COUNTER, "Calls of Redis functions.", .write = of_counter,
     STAT(redis_calls)},
    {"warmpool_redis_errors_total", COUNTER, "Calls of Redis functions that failed.", .write = of_counter,
     STAT(redis_errors)},
    {"warmpool_redis_call_seconds", HISTOGRAM, "From sending a call to its reply.", .write = of_histogram,
     STAT(redis_call)},
    {"warmpool_redis_reconnects_total", COUNTER, "Connections to Redis made again.", .write = of_counter,
     STAT(redis_reconnects)},
    {"warmpool_redis_gaps_total", COUNTER, "Calls refused because an earlier one was missing.",
     .write = of_counter, STAT(redis_gaps)},
    {"warmpool_partition_restarts_total", COUNTER, "Partitions started again from their floor.",
     .write = of_counter, STAT(partition_restarts)},
    {"warmpool_kafka_produce_errors_total", COUNTER, "Records that Kafka did not confirm.",
     .write = of_counter, STAT(produce_errors)},
    {"warmpool_kafka_producer_rebuilds_total", COUNTER, "Producers made again after a fatal error.",
     .write = of_counter, STAT(producer_rebuilds)},
    {"warmpool_registry_requests_total", COUNTER, "Requests to the schema registry.", .write = of_counter,
     STAT(registry_requests)},
    {"warmpool_registry_failures_total", COUNTER,
     "Requests to it that brought neither a schema nor a clear no.", .write = of_counter,
     STAT(registry_failures)},
    {"warmpool_registry_refused_total", COUNTER, "Schema ids whose messages cannot be read.",
     .write = of_counter, STAT(registry_refused)},
    {"warmpool_registry_schemas", GAUGE, "Schemas of the registry that are kept.", .write = of_counter,
     STAT(registry_schemas)},
    {"warmpool_registry_away", GAUGE, "1 while the schema registry gives no answers.", .write = of_registry},
    {"warmpool_registry_waiting_partitions", GAUGE, "Partitions whose next event waits for a schema.",
     .write = of_counter, STAT(registry_waiting)},
    {"warmpool_optimizer_rounds_total", COUNTER, "Rounds of the memory optimizer.", .write = of_counter,
     STAT(optimizer_rounds)},
    {"warmpool_optimizer_failures_total", COUNTER, "Rounds of the memory optimizer with an error.",
     .write = of_counter, STAT(optimizer_failures)},
    {"warmpool_optimizer_released_bytes_total", COUNTER, "Memory that the optimizer gave back.",
     .write = of_number, STAT(memory_released_mb), .scale = MIB},
    {"warmpool_trace_spans_exported_total", COUNTER, "Spans that the collector has taken.",
     .write = of_counter, STAT(trace_exported)},
    {"warmpool_trace_spans_dropped_total", COUNTER, "Spans that were not sent or not taken.",
     .write = of_counter, STAT(trace_dropped)},
    {"warmpool_trace_export_failures_total", COUNTER, "Requests that the collector has not taken.",
     .write = of_counter, STAT(trace_failures)},
    {"warmpool_warning", GAUGE, "1 for each warning in force, by code and subject.", .write = of_warnings},

    {"warmpool_shared_timestamp_seconds", GAUGE,
     "When the figures below were read from Redis, seconds since 1970; 0 = never.", .write = of_shared_time},
    {"warmpool_pool_available", GAUGE, "Idle containers.", .write = of_pools, FIELD("available")},
    {"warmpool_pool_ready", GAUGE, "Idle containers that any request could get (pool.min_idle).",
     .write = of_pools, FIELD("ready")},
    {"warmpool_pool_leased", GAUGE, "Leased containers.", .write = of_pools, FIELD("leased")},
    {"warmpool_pool_creating", GAUGE, "Containers being made.", .write = of_pools, FIELD("creating")},
    {"warmpool_pool_paused", GAUGE, "Idle containers that are paused.", .write = of_pools, FIELD("paused")},
    {"warmpool_pool_resetting", GAUGE, "Containers being made fit for their next use.", .write = of_pools,
     FIELD("resetting")},
    {"warmpool_containers_outdated", GAUGE, "Containers that are to be replaced, idle or leased; 0: none.",
     .write = of_pools, FIELD("outdated")},
    {"warmpool_pool_waiting", GAUGE, "Requests that wait for a container.", .write = of_pools,
     FIELD("waiting")},
    {"warmpool_pool_oldest_waiting_seconds", GAUGE,
     "How long the request has waited that waits longest; 0: none waits.", .write = of_pools,
     FIELD("oldest_waiting_ms"), .scale = 0.001},
    {"warmpool_pool_size", GAUGE, "Idle containers to keep.", .write = of_pools, FIELD("pool_size")},
    {"warmpool_pool_peak_leased", GAUGE, "Most containers leased at once.", .write = of_pools,
     FIELD("peak_leased")},
    {"warmpool_pool_utilization_ratio", GAUGE, "Idle containers by pool size; target 0.5 to 0.8.",
     .write = of_pools, PERCENT("utilization_percent")},
    {"warmpool_pool_warm_start_ratio", GAUGE, "Warm starts by all starts; target 0.9.", .write = of_pools,
     PERCENT("warm_start_rate_percent")},
    {"warmpool_pool_warm_starts_total", COUNTER, "Assignments of a container that had been ready before.",
     .write = of_pools, FIELD("warm_starts")},
    {"warmpool_pool_cold_starts_total", COUNTER, "Assignments of a container made for the request.",
     .write = of_pools, FIELD("cold_starts")},
    {"warmpool_pool_prediction_confidence_ratio", GAUGE, "Samples by history size.", .write = of_pools,
     FIELD("confidence")},
    {"warmpool_rejected_total", COUNTER, "Requests rejected, by all workers.", .write = of_pool,
     FIELD("rejected")},
    {"warmpool_lost_total", COUNTER, "Leases that ended by death or expiry, of all workers.",
     .write = of_pool, FIELD("lost")},
    {"warmpool_warm_start_ratio", GAUGE, "Warm starts by all starts of all pools; target 0.9.",
     .write = of_pool, PERCENT("warm_start_rate_percent")},
    {"warmpool_repaired_total", COUNTER,
     "Rows of the shared state put right because they contradicted others; Redis' log names each.",
     .write = of_pool, FIELD("repaired")},
    {"warmpool_tracked_agents", GAUGE, "Agents of whom something is remembered.", .write = of_pool,
     FIELD("tracked_agents")},
    {"warmpool_host_capacity", GAUGE, "Containers that a host may hold.", .write = of_hosts,
     FIELD("capacity")},
    {"warmpool_host_used", GAUGE, "Containers that a host holds.", .write = of_hosts, FIELD("used")},
    {"warmpool_tenant_leases", GAUGE, "Leases of a tenant that a limit names.", .write = of_tenants,
     FIELD("leases")},
    {"warmpool_tenant_waiting", GAUGE, "Requests that wait, of a tenant that a limit names.",
     .write = of_tenants, FIELD("waiting")},
    {"warmpool_tenant_creating", GAUGE, "Containers being made for a tenant that a limit names.",
     .write = of_tenants, FIELD("creating")},

    {"warmpool_cache_entries", GAUGE, "Entries in the cache.", .write = of_cache, FIELD("size")},
    {"warmpool_cache_max_entries", GAUGE, "Most entries allowed.", .write = of_cache, FIELD("max_size")},
    {"warmpool_cache_bytes", GAUGE, "Keys and values held.", .write = of_cache, FIELD("bytes")},
    {"warmpool_cache_max_bytes", GAUGE, "Most bytes of keys and values allowed.", .write = of_cache,
     FIELD("max_bytes")},
    {"warmpool_cache_hit_ratio", GAUGE, "Hits by lookups; target 0.9.", .write = of_cache,
     PERCENT("hit_rate_percent")},
    {"warmpool_cache_evictions_total", COUNTER, "Entries removed to make room.", .write = of_cache,
     FIELD("evictions")},
    {"warmpool_cache_expired_total", COUNTER, "Entries removed past their time.", .write = of_cache,
     FIELD("expired")},
    {"warmpool_cache_namespace_entries", GAUGE, "Entries, by namespace.", .write = of_namespaces,
     FIELD("size")},
    {"warmpool_cache_namespace_bytes", GAUGE, "Keys and values held, by namespace.", .write = of_namespaces,
     FIELD("bytes")},
    {"warmpool_cache_hits_total", COUNTER, "Gets that found an entry, by namespace.", .write = of_namespaces,
     FIELD("hits")},
    {"warmpool_cache_misses_total", COUNTER, "Gets that found none, by namespace.", .write = of_namespaces,
     FIELD("misses")},
};

void wp_prometheus_write(const struct ops_snapshot *snapshot, struct wp_buf *out) {
    static const char *const types[] = {"counter", "gauge", "histogram"};
    struct page page = {snapshot, out};
    for (size_t i = 0; i < sizeof metrics / sizeof metrics[0]; i++) {
        const struct metric *metric = &metrics[i];
        wp_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name,
                      types[metric->type]);
        metric->write(&page, metric);
    }
}
