/* The engine's answer with a container's output: frames, and the lines in them. */
#include <criterion/criterion.h>
#include <string.h>
#include "core/buf.h"
#include "host/docker/output.h"
#include "support/limits.h"

TestSuite(docker_output, .timeout = TEST_LIMIT_S);

static void add_line(void *ctx, struct wp_str text) {
    wp_buf_printf(ctx, "<%.*s>", (int)text.len, text.ptr);
}

static void expect_lines(struct wp_str answer, const char *lines) {
    struct wp_buf seen = {0};
    wp_buf_add_str(&seen, "");
    wp_docker_output_lines(answer, add_line, &seen);
    cr_assert_str_eq(seen.len > 0 ? seen.data : "", lines);
    wp_buf_done(&seen);
}
#define FRAMES(text, lines) expect_lines((struct wp_str){text, sizeof text - 1}, lines)

Test(docker_output, the_lines_of_both_streams_come_in_order) {
    FRAMES("\1\0\0\0\0\0\0\4one\n\2\0\0\0\0\0\0\10two\n\nxyz", "<one><two><xyz>");
}

Test(docker_output, no_output_has_no_lines) {
    FRAMES("", "");
    FRAMES("\1\0\0\0\0\0\0\0", "");
}

Test(docker_output, a_length_beyond_the_answer_ends_with_it) {
    FRAMES("\1\0\0\0\377\377\377\377one\ntwo", "<one><two>");
    FRAMES("\1\0\0\0\0", "");
}
