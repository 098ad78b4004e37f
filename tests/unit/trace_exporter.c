/* The exporter without a collector; tests/e2e/test_traces.py has one. */
#include <criterion/criterion.h>
#include "core/log.h"
#include "trace/exporter.h"

static struct wp_config config;
static struct wp_stats stats;
static struct wp_error error;
static uv_loop_t loop;
static struct wp_exporter *exporter;

static void set(const char *key, const char *value) {
    cr_assert_eq(wp_config_set(&config, key, value, &error), WP_OK, "%s", error.text);
}

static void setup(void) {
    wp_log_set_level(WP_LOG_ERROR);
    memset(&stats, 0, sizeof stats);
    wp_config_init(&config);
    uv_loop_init(&loop);
    set("trace.url", "http://127.0.0.1:1"); /* where nobody listens */
}

static void teardown(void) {
    wp_exporter_free(exporter);
    exporter = NULL;
    uv_run(&loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&loop), 0);
    wp_config_done(&config);
}

TestSuite(trace_exporter, .init = setup, .fini = teardown);

static enum wp_err open_exporter(void) {
    return wp_exporter_new(&exporter, &loop, &config, &stats, &error);
}

static void add(int count) {
    static const unsigned char trace[WP_TRACE_ID_BYTES] = {1};
    const struct wp_span span = {.trace = trace, .id = {1}, .name = "n", .kind = WP_SPAN_INTERNAL};
    for (int i = 0; i < count; i++) wp_exporter_add(exporter, &span);
}

Test(trace_exporter, the_queue_is_bounded_and_what_is_dropped_is_counted) {
    set("trace.queue", "4");
    set("trace.batch", "2");
    cr_assert_eq(open_exporter(), WP_OK);
    add(10);
    cr_assert_eq(stats.trace_dropped, 6);
    while (stats.trace_failures == 0) uv_run(&loop, UV_RUN_ONCE);
    add(10); /* the batch that waits to be sent again has left two places */
    cr_assert_eq(stats.trace_dropped, 14);
    cr_assert_eq(stats.trace_exported, 0);
}

Test(trace_exporter, a_flush_does_not_wait_for_a_collector_that_is_away) {
    cr_assert_eq(open_exporter(), WP_OK);
    add(3);
    uint64_t began = uv_hrtime();
    wp_exporter_flush(exporter, 60000);
    cr_assert_lt(uv_hrtime() - began, 30000000000u);
    cr_assert_eq(stats.trace_failures, 1);
    cr_assert_eq(stats.trace_dropped, 3);
}

Test(trace_exporter, a_flush_without_spans_asks_nobody) {
    cr_assert_eq(open_exporter(), WP_OK);
    wp_exporter_flush(exporter, 60000);
    cr_assert_eq(stats.trace_failures, 0);
}

Test(trace_exporter, one_that_is_freed_with_a_request_under_way) {
    cr_assert_eq(open_exporter(), WP_OK);
    set("trace.batch", "1");
    add(2);
    uv_run(&loop, UV_RUN_NOWAIT);
    uv_run(&loop, UV_RUN_NOWAIT);
}

Test(trace_exporter, urls_that_are_refused) {
    static const char *const wrong[] = {
        "localhost:4318",    "grpc://localhost:4317",      "http://",
        "https://",          "http://me:secret@host:4318", "http://host:4318?key=secret",
        "file:///etc/passwd"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        set("trace.url", wrong[i]);
        cr_assert_eq(open_exporter(), WP_ERR_CONFIG, "%s", wrong[i]);
        cr_assert_str_eq(error.text, "trace.url: http://host:port or https://host:port is wanted, such as "
                                     "http://localhost:4318; credentials go into trace.headers");
    }
}

Test(trace_exporter, headers_that_are_refused_are_not_quoted) {
    static const char *const wrong[] = {"good=1,secret", "good=1,a b=secret", "good=1,=secret",
                                        "good=1,a=secret%0d%0aX: y", "good=1,,c=d"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        set("trace.headers", wrong[i]);
        cr_assert_eq(open_exporter(), WP_ERR_CONFIG, "%s", wrong[i]);
        cr_assert_str_eq(error.text,
                         "trace.headers: the 2. header is not name=value (a comma in a value is %2C)");
    }
    set("trace.headers", "a=b, c=d%2Ce=f,x-empty=");
    cr_assert_eq(open_exporter(), WP_OK, "%s", error.text);
}
