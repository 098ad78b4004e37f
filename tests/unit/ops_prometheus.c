/* The Prometheus text. */
#include "ops/prometheus.h"
#include "support/limits.h"
#include "support/ops_parts.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

static struct ops_parts parts;
static struct wp_buf page;

static void start(void) {
    ops_parts_start(&parts, NULL);
}
static void stop(void) {
    wp_buf_done(&page);
    ops_parts_stop(&parts);
}
TestSuite(ops_prometheus, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

static bool has(const char *line) {
    char wanted[256];
    wp_buf_reset(&page);
    wp_buf_add_str(&page, "\n");
    wp_prometheus_write(ops_parts_snapshot(&parts), &page);
    wp_buf_add(&page, "", 1);
    snprintf(wanted, sizeof wanted, "\n%s\n", line);
    return strstr(page.data, wanted);
}

static void fill(void) {
    parts.stats.events[WP_TOPIC_ACQUIRE][WP_DONE_OK] = 7;
    parts.stats.events[WP_TOPIC_CACHE][WP_DONE_DEAD] = 2;
    parts.stats.records[WP_TOPIC_ASSIGNMENT] = 9;
    parts.stats.lag[WP_TOPIC_USAGE] = 11;
    parts.stats.memory_released_mb = 1.5;
    parts.stats.kafka.ready = true;
    parts.stats.assigned = 5;
    parts.stats.ended[WP_END_OUT_OF_MEMORY] = 2;
    parts.stats.out_of_memory = 3;
    ops_parts_pool(&parts, "{'tracked_agents': 4, 'hosts': {'h1': {'capacity': 200, 'used': 3}},"
                           " 'total': {'rejected': 6, 'lost': 1, 'warm_start_rate_percent': 75.0},"
                           " 'pools': {'react': {'available': 8, 'ready': 5, 'leased': 2, "
                           "'oldest_waiting_ms': 1500, 'pool_size': 10,"
                           " 'utilization_percent': 80.0, 'warm_starts': 3, 'cold_starts': 1}}}");
    ops_parts_cache(&parts, "{'size': 12, 'max_size': 1000, 'hit_rate_percent': 95.24,"
                            " 'namespaces': {'tool': {'size': 12, 'hits': 20, 'misses': 1}}}");
    struct warnings *warnings = &parts.warnings;
    warnings->list = wp_calloc(1, sizeof *warnings->list);
    warnings->count = warnings->cap = 1;
    warnings->list[0] = (struct warning){.code = "pool_empty", .subject = "a\"b\\c\nd"};
}

Test(ops_prometheus, carries_the_workers_figures) {
    fill();
    cr_assert(has("warmpool_events_total{topic=\"container-acquire\",outcome=\"ok\"} 7"));
    cr_assert(has("warmpool_events_total{topic=\"cache\",outcome=\"dead_letter\"} 2"));
    cr_assert(has("warmpool_records_total{topic=\"container-assignment\"} 9"));
    cr_assert(has("warmpool_consumer_lag{topic=\"usage-record\"} 11"));
    cr_assert(has("warmpool_answers_total{status=\"assigned\"} 5"));
    cr_assert(has("warmpool_ready{part=\"kafka\"} 1"));
    cr_assert(has("warmpool_ready{part=\"redis\"} 0"));
    cr_assert(has("warmpool_ready{part=\"host\"} 1"));
    cr_assert(has("warmpool_containers_ended_total{reason=\"out_of_memory\"} 2"));
    cr_assert(has("warmpool_containers_ended_total{reason=\"other\"} 0"));
    cr_assert(has("warmpool_out_of_memory_total 3"));
    cr_assert(has("warmpool_optimizer_released_bytes_total 1572864"));
    cr_assert(has("process_start_time_seconds 1700000000.5"));
    cr_assert(has("warmpool_build_info{version=\"" WP_VERSION "\"} 1"));
}

Test(ops_prometheus, carries_the_resident_memory) {
    const char *name = "\nprocess_resident_memory_bytes ";
    has("");
    double bytes = strtod(strstr(page.data, name) + strlen(name), NULL);
    cr_assert(bytes > 1e6 && bytes < 1e9, "%f", bytes);
}

Test(ops_prometheus, carries_the_processor_time) {
    const char *name = "\nprocess_cpu_seconds_total ";
    has("");
    double before = strtod(strstr(page.data, name) + strlen(name), NULL);
    cr_assert(before > 0 && before <= (double)clock() / CLOCKS_PER_SEC, "%f", before);
    for (clock_t until = clock() + CLOCKS_PER_SEC / 20; clock() < until;)
        continue; /* 50 ms of processor time */
    has("");
    cr_assert(strtod(strstr(page.data, name) + strlen(name), NULL) >= before + 0.04);
}

Test(ops_prometheus, carries_the_shared_figures_in_base_units) {
    fill();
    cr_assert(has("warmpool_pool_available{philosophy=\"react\"} 8"));
    cr_assert(has("warmpool_pool_ready{philosophy=\"react\"} 5"));
    cr_assert(has("warmpool_pool_oldest_waiting_seconds{philosophy=\"react\"} 1.5"));
    cr_assert(has("warmpool_pool_utilization_ratio{philosophy=\"react\"} 0.8"));
    cr_assert(has("warmpool_pool_warm_starts_total{philosophy=\"react\"} 3"));
    cr_assert(has("warmpool_warm_start_ratio 0.75"));
    cr_assert(has("warmpool_rejected_total 6"));
    cr_assert(has("warmpool_tracked_agents 4"));
    cr_assert(has("warmpool_host_used{host=\"h1\"} 3"));
    cr_assert(has("warmpool_cache_hit_ratio 0.9524"));
    cr_assert(has("warmpool_cache_hits_total{namespace=\"tool\"} 20"));
}

Test(ops_prometheus, gives_no_shared_figures_before_they_are_known) {
    cr_assert(has("warmpool_shared_timestamp_seconds 0"));
    cr_assert_not(strstr(page.data, "\nwarmpool_tracked_agents "));
    cr_assert_not(strstr(page.data, "\nwarmpool_cache_entries "));
    cr_assert_not(strstr(page.data, "\nwarmpool_pool_available{"));
}

Test(ops_prometheus, gives_latencies_as_cumulative_buckets_in_seconds) {
    static const int64_t us[] = {90, 900, 2000, 2000, 700000, 60000000};
    for (size_t i = 0; i < sizeof us / sizeof us[0]; i++)
        wp_histogram_add(&parts.stats.acquire_to_assignment, us[i]);
    cr_assert(has("warmpool_acquire_to_assignment_seconds_bucket{le=\"0.0001\"} 1"));
    cr_assert(has("warmpool_acquire_to_assignment_seconds_bucket{le=\"0.001\"} 2"));
    cr_assert(has("warmpool_acquire_to_assignment_seconds_bucket{le=\"0.0025\"} 4"));
    cr_assert(has("warmpool_acquire_to_assignment_seconds_bucket{le=\"0.5\"} 4"));
    cr_assert(has("warmpool_acquire_to_assignment_seconds_bucket{le=\"1\"} 5"));
    cr_assert(has("warmpool_acquire_to_assignment_seconds_bucket{le=\"30\"} 5"));
    cr_assert(has("warmpool_acquire_to_assignment_seconds_bucket{le=\"+Inf\"} 6"));
    cr_assert(has("warmpool_acquire_to_assignment_seconds_sum 60.704990"));
    cr_assert(has("warmpool_acquire_to_assignment_seconds_count 6"));
}

Test(ops_prometheus, escapes_label_values) {
    fill();
    cr_assert(has("warmpool_warning{code=\"pool_empty\",subject=\"a\\\"b\\\\c\\nd\"} 1"));
}

/* It exits 0 and prints nothing when it has nothing to complain of. */
Test(ops_prometheus, is_accepted_by_promtool_without_a_remark) {
    fill();
    wp_histogram_add(&parts.stats.redis_call, 100);
    cr_assert(has("# TYPE warmpool_events_total counter"));
    FILE *promtool = popen("promtool check metrics 2>&1 | tee /dev/stderr | (! grep -q .)", "w");
    cr_assert(promtool);
    fwrite(page.data + 1, 1, page.len - 2, promtool);
    int status = pclose(promtool);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "promtool has remarks (is it installed?)");
}

static void read_reference(struct wp_buf *text) {
    char bytes[4096];
    FILE *file = fopen(SOURCE_DIR "/docs/metrics.md", "r");
    cr_assert(file);
    for (size_t got; (got = fread(bytes, 1, sizeof bytes, file)) > 0;) wp_buf_add(text, bytes, got);
    fclose(file);
    wp_buf_add(text, "", 1);
}

/* Is this name in the text, in backquotes? */
static bool documents(const char *text, struct wp_str name) {
    char quoted[128];
    snprintf(quoted, sizeof quoted, "`%.*s`", (int)name.len, name.ptr);
    return strstr(text, quoted);
}

Test(ops_prometheus, has_exactly_the_names_of_the_reference) {
    struct wp_buf text = {0};
    read_reference(&text);
    (void)has("");
    for (const char *at = page.data; (at = strstr(at, "\n# HELP "));) {
        at += strlen("\n# HELP ");
        struct wp_str name = {at, strcspn(at, " ")};
        cr_assert(documents(text.data, name), "docs/metrics.md lacks %.*s", (int)name.len, name.ptr);
    }
    for (const char *at = text.data; (at = strstr(at, "`warmpool_"));) {
        char help[160];
        at++;
        size_t len = strcspn(at, "`{");
        snprintf(help, sizeof help, "\n# HELP %.*s ", (int)len, at);
        cr_assert(strstr(page.data, help), "docs/metrics.md has %.*s, which is not there", (int)len, at);
    }
    wp_buf_done(&text);
}
