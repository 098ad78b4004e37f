/* Owns the table of Prometheus metrics of a worker. The loop's thread. */
#include "ops/prometheus.h"
#include "bus/topics.h"
#include "ops/ops_internal.h"
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

static void head(struct wp_buf *out, const char *name, const char *type, const char *help) {
    wp_buf_printf(out, "# HELP warmpool_%s %s\n# TYPE warmpool_%s %s\n", name, help, name, type);
}

static void figure(struct wp_buf *out, const char *name, const char *type, const char *help, double value) {
    head(out, name, type, help);
    wp_buf_printf(out, "warmpool_%s %.17g\n", name, value);
}

static void write_events(const struct wp_stats *stats, struct wp_buf *out) {
    static const char *const outcomes[WP_OUTCOMES] = {"ok", "dead_letter", "repeated"};
    head(out, "events_total", "counter", "Events handled, by topic and outcome.");
    for (int topic = 0; topic < WP_TOPICS_IN; topic++)
        for (int outcome = 0; outcome < WP_OUTCOMES; outcome++)
            wp_buf_printf(out, "warmpool_events_total{topic=\"%s\",outcome=\"%s\"} %" PRIu64 "\n",
                          wp_topics[topic].name, outcomes[outcome], stats->events[topic][outcome]);
    head(out, "records_total", "counter", "Records confirmed by Kafka, by topic.");
    for (int topic = 0; topic < WP_TOPICS; topic++)
        wp_buf_printf(out, "warmpool_records_total{topic=\"%s\"} %" PRIu64 "\n", wp_topics[topic].name,
                      stats->records[topic]);
    head(out, "consumer_lag", "gauge", "Records of the owned partitions that were not taken yet, by topic.");
    for (int topic = 0; topic < WP_TOPICS_IN; topic++)
        wp_buf_printf(out, "warmpool_consumer_lag{topic=\"%s\"} %" PRId64 "\n", wp_topics[topic].name,
                      stats->lag[topic]);
}

static double rss_bytes(void) {
    FILE *file = fopen("/proc/self/statm", "r");
    long size = 0, resident = 0;
    if (file && fscanf(file, "%ld %ld", &size, &resident) != 2) resident = 0;
    if (file) fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

void wp_prometheus_write(struct wp_ops *ops, struct wp_buf *out) {
    const struct wp_stats *stats = ops->stats;
    write_events(stats, out);
    figure(out, "assigned_total", "counter", "Answers published with a container.", (double)stats->assigned);
    figure(out, "rejected_total", "counter", "Answers published without a container.",
           (double)stats->rejected);
    figure(out, "lost_total", "counter", "Leases told lost.", (double)stats->lost);
    figure(out, "redis_calls_total", "counter", "Function calls answered.", (double)stats->redis_calls);
    figure(out, "redis_errors_total", "counter", "Function calls that failed.", (double)stats->redis_errors);
    figure(out, "redis_reconnects_total", "counter", "Connections to Redis that were lost.",
           (double)stats->redis_reconnects);
    figure(out, "partition_restarts_total", "counter", "Partitions begun again.",
           (double)stats->partition_restarts);
    figure(out, "partitions", "gauge", "Input partitions owned.", stats->partitions);
    figure(out, "resident_memory_bytes", "gauge", "Resident memory of the worker.", rss_bytes());
}
