#include "cli/replay_report.h"
#include <criterion/criterion.h>
#include <stdlib.h>

static struct wp_replay_result sample(void) {
    struct wp_replay_result r = {.acquires = 10,
                                 .assigned = 8,
                                 .warm = 6,
                                 .rejected = 2,
                                 .lookups = 3,
                                 .hits = 2,
                                 .predictions = 4,
                                 .events = 30,
                                 .duration_seconds = 2,
                                 .philosophies = 5,
                                 .rejected_reason = "timeout"};
    for (int i = 0; i < 8; i++) wp_histogram_add(&r.acquire, 1000);
    return r;
}

static double figure(json_t *object, const char *name) {
    json_t *value = json_object_get(object, name);
    cr_assert(json_is_number(value), "%s is missing", name);
    return json_number_value(value);
}

Test(replay_report, json_has_the_closing_figures) {
    struct wp_replay_result r = sample();
    json_t *object = wp_replay_json(&r);
    cr_assert_eq(figure(object, "acquires"), figure(object, "assigned") + figure(object, "rejected"));
    cr_assert_float_eq(figure(object, "warm_start_rate_percent"), 75.0, 1e-9);
    cr_assert_float_eq(figure(object, "cache_hit_rate_percent"), 66.67, 1e-9);
    cr_assert_float_eq(figure(object, "acquire_p50_ms"), 1.0, 0.05);
    cr_assert_float_eq(figure(object, "acquire_p99_ms"), 1.0, 0.05);
    cr_assert_eq(figure(object, "predictions"), 4);
    cr_assert_eq(figure(object, "dead_letters"), 0);
    cr_assert_eq(figure(object, "lost"), 0);
    cr_assert_eq(figure(object, "events_per_second"), 15);
    json_decref(object);
}

Test(replay_report, nothing_done_gives_zeros_not_nan) {
    struct wp_replay_result r = {0};
    json_t *object = wp_replay_json(&r);
    cr_assert_eq(figure(object, "warm_start_rate_percent"), 0.0);
    cr_assert_eq(figure(object, "cache_hit_rate_percent"), 0.0);
    cr_assert_eq(figure(object, "events_per_second"), 0.0);
    json_decref(object);
}

static char *printed(void (*print)(const struct wp_replay_result *, FILE *),
                     const struct wp_replay_result *r) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    print(r, out);
    fclose(out);
    return text;
}

static void print_line(const struct wp_replay_result *r, FILE *out) {
    wp_replay_print_line(r, 12, 0, out);
}

static void print_narrow_line(const struct wp_replay_result *r, FILE *out) {
    wp_replay_print_line(r, 12, 40, out);
}

Test(replay_report, table_and_line_say_what_happened) {
    struct wp_replay_result r = sample();
    char *table = printed(wp_replay_print_table, &r);
    cr_assert(strstr(table, "5 philosophies"), "%s", table);
    cr_assert(strstr(table, "timeout"));
    cr_assert(strstr(table, "75.00"));
    cr_assert_null(strstr(table, "NOT ANSWERED"));
    free(table);
    r.unanswered = 1;
    table = printed(wp_replay_print_table, &r);
    cr_assert(strstr(table, "NOT ANSWERED"));
    free(table);
    char *line = printed(print_line, &r);
    cr_assert_null(strchr(line, '\n'));
    free(line);
}

Test(replay_report, the_live_line_has_the_last_second_beside_the_run_and_fits_the_terminal) {
    struct wp_replay_result r = sample();
    wp_histogram_add(&r.second, 500);
    char *line = printed(print_line, &r);
    cr_assert(
        strstr(line,
               "last second:     1 assigned, p50 0.5, p99 0.5 ms   run: 8 assigned, 75.0 % warm, p50 1.0"),
        "%s", line);
    free(line);
    line = printed(print_narrow_line, &r);
    cr_assert_eq(strlen(line), 40, "%s", line);
    free(line);
}
