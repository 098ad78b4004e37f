#include "cli/trace.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define HEADER "at_ms,philosophy,hold_ms,cpu_percent,memory_mb\n"

static enum wp_err load_text(const char *text, struct wp_trace *trace, struct wp_error *error) {
    char path[] = "/tmp/warmpool-trace-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    enum wp_err err = wp_trace_load(trace, path, error);
    unlink(path);
    return err;
}

Test(trace, reads_runs_and_numbers_philosophies) {
    struct wp_trace trace;
    struct wp_error error;
    cr_assert_eq(load_text(HEADER "0,react,1500,12.5,64\n10,tree.of-thought,0,0,1.5\r\n10,react,20,1,2\n",
                           &trace, &error),
                 WP_OK);
    cr_assert_eq(trace.count, 3);
    cr_assert_eq(trace.names_count, 2);
    cr_assert_str_eq(trace.names[trace.runs[1].philosophy], "tree.of-thought");
    cr_assert_eq(trace.runs[2].philosophy, trace.runs[0].philosophy);
    cr_assert_eq(trace.runs[0].hold_ms, 1500);
    cr_assert_float_eq(trace.runs[0].cpu_percent, 12.5, 1e-9);
    cr_assert_float_eq(trace.runs[1].memory_mb, 1.5, 1e-9);
    cr_assert_eq(trace.runs[2].at_ms, 10);
    wp_trace_done(&trace);
}

Test(trace, many_philosophies_keep_their_names) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    fputs(HEADER, out);
    for (int i = 0; i < 3000; i++) fprintf(out, "%d,p%d,1,1,1\n", i, i % 500);
    fclose(out);
    struct wp_trace trace;
    struct wp_error error;
    cr_assert_eq(load_text(text, &trace, &error), WP_OK);
    cr_assert_eq(trace.names_count, 500);
    cr_assert_str_eq(trace.names[trace.runs[1499].philosophy], "p499");
    wp_trace_done(&trace);
    free(text);
}

static void refuses(const char *text, const char *line, const char *why) {
    struct wp_trace trace;
    struct wp_error error;
    cr_assert_eq(load_text(text, &trace, &error), WP_ERR_DATA);
    cr_assert(strstr(error.text, line), "%s", error.text);
    cr_assert(strstr(error.text, why), "%s", error.text);
    cr_assert_null(trace.runs);
}

Test(trace, says_line_and_reason_of_what_is_wrong) {
    refuses("time,name\n", ":1:", "header");
    refuses(HEADER, ":1:", "no run");
    refuses("", ":0:", "no run");
    refuses(HEADER "0,react,1,1\n", ":2:", "five columns");
    refuses(HEADER "0,react,1,1,1,1\n", ":2:", "five columns");
    refuses(HEADER "0,re act,1,1,1\n", ":2:", "philosophy");
    refuses(HEADER "0,react,1,1,1\n-1,react,1,1,1\n", ":3:", "number");
    refuses(HEADER "0,react,x,1,1\n", ":2:", "number");
    refuses(HEADER "0,react,1,nan,1\n", ":2:", "number");
    refuses(HEADER "5,react,1,1,1\n4,react,1,1,1\n", ":3:", "sort");
}

Test(trace, names_a_file_that_is_not_there) {
    struct wp_trace trace;
    struct wp_error error;
    cr_assert_eq(wp_trace_load(&trace, "/nowhere/trace.csv", &error), WP_ERR_SYSTEM);
    cr_assert(strstr(error.text, "/nowhere/trace.csv"));
}

Test(trace, the_demos_trace_is_what_its_readme_says) {
    struct wp_trace trace;
    struct wp_error error;
    cr_assert_eq(wp_trace_load(&trace, SOURCE_DIR "/demo/azure_functions_2019.csv", &error), WP_OK, "%s",
                 error.text);
    cr_assert_eq(trace.names_count, 100);
    cr_assert(trace.count > 19000 && trace.count < 21000);
    cr_assert(trace.runs[trace.count - 1].at_ms <= 8 * 3600 * 1000);
    wp_trace_done(&trace);
}
