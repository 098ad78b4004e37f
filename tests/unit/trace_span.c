/* The bytes of spans, against those that the Python package opentelemetry-proto makes of the same messages;
 * tests/e2e/test_traces.py has it read what a worker sends. */
#include <criterion/criterion.h>
#include "trace/span.h"

static const unsigned char trace[WP_TRACE_ID_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

static struct wp_span small(void) {
    return (struct wp_span){.trace = trace,
                            .id = {0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8},
                            .name = "n",
                            .kind = WP_SPAN_CONSUMER,
                            .start_us = 1,
                            .end_us = 2};
}

static void expect_bytes(struct wp_buf *buf, const char *bytes, size_t len) {
    cr_assert_eq(buf->len, len, "%zu bytes", buf->len);
    for (size_t i = 0; i < len; i++)
        cr_assert_eq(buf->data[i], bytes[i], "byte %zu: %02x, not %02x", i, (unsigned char)buf->data[i],
                     (unsigned char)bytes[i]);
    wp_buf_done(buf);
}
#define EXPECT(buf, literal) expect_bytes(buf, literal, sizeof(literal) - 1)

TestSuite(trace_span);

Test(trace_span, the_least) {
    struct wp_buf out = {0};
    struct wp_span span = small();
    wp_span_encode(&span, &out);
    EXPECT(&out, "\x12\x33" /* ScopeSpans.spans */
                 "\x0a\x10\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"
                 "\x12\x08\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8"
                 "\x2a\x01n"
                 "\x30\x05"
                 "\x39\xe8\x03\x00\x00\x00\x00\x00\x00"
                 "\x41\xd0\x07\x00\x00\x00\x00\x00\x00");
}

Test(trace_span, parent_state_attributes_and_status) {
    struct wp_buf out = {0};
    struct wp_span span = small();
    span.parent[7] = 9;
    span.state = WP_STR("a=b");
    span.failed = true;
    span.why = WP_STR("no");
    wp_span_text(&span, "k", WP_STR("v"));
    wp_span_text(&span, "left out", WP_STR(""));
    wp_span_text(&span, "left out", (struct wp_str){NULL, 0});
    wp_span_number(&span, "i", 300);
    wp_span_encode(&span, &out);
    EXPECT(&out, "\x12\x5e"
                 "\x0a\x10\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"
                 "\x12\x08\xa1\xa2\xa3\xa4\xa5\xa6\xa7\xa8"
                 "\x1a\x03"
                 "a=b"
                 "\x22\x08\x00\x00\x00\x00\x00\x00\x00\x09"
                 "\x2a\x01n"
                 "\x30\x05"
                 "\x39\xe8\x03\x00\x00\x00\x00\x00\x00"
                 "\x41\xd0\x07\x00\x00\x00\x00\x00\x00"
                 "\x4a\x08\x0a\x01k\x12\x03\x0a\x01v"
                 "\x4a\x08\x0a\x01i\x12\x03\x18\xac\x02"
                 "\x7a\x06\x12\x02no\x18\x02");
}

Test(trace_span, an_end_before_the_start_is_the_start) {
    struct wp_buf out = {0};
    struct wp_span span = small();
    span.end_us = -5;
    wp_span_encode(&span, &out);
    cr_assert_eq(memcmp(out.data + out.len - 8, "\xe8\x03\x00\x00\x00\x00\x00\x00", 8), 0);
    wp_buf_done(&out);
}

/* A collector refuses a whole request for one string that is not UTF-8. */
Test(trace_span, text_that_is_not_utf8) {
    struct wp_buf out = {0};
    struct wp_span span = small();
    wp_span_text(&span, "k", WP_STR("a\xff\xc3z"));
    wp_span_text(&span, "l", WP_STR("\xc3\xa4"));
    wp_span_encode(&span, &out);
    struct wp_str bytes = wp_buf_str(&out);
    cr_assert(memmem(bytes.ptr, bytes.len, "a??z", 4));
    cr_assert(memmem(bytes.ptr, bytes.len, "\xc3\xa4", 2));
    wp_buf_done(&out);
}

Test(trace_span, a_request) {
    struct wp_buf out = {0};
    const struct wp_span_resource resource = {.instance = "w", .host = "h", .version = "1"};
    wp_spans_request(&resource, WP_STR("\x12\x01x"), &out);
    EXPECT(&out, "\x0a\x78"
                 "\x0a\x62"
                 "\x0a\x1a\x0a\x0cservice.name\x12\x0a\x0a\x08warmpool"
                 "\x0a\x1a\x0a\x13service.instance.id\x12\x03\x0a\x01w"
                 "\x0a\x16\x0a\x0fservice.version\x12\x03\x0a\x01"
                 "1"
                 "\x0a\x10\x0a\x09host.name\x12\x03\x0a\x01h"
                 "\x12\x12"
                 "\x0a\x0d\x0a\x08warmpool\x12\x01"
                 "1"
                 "\x12\x01x");
}

static struct wp_spans_answer read(struct wp_str bytes) {
    struct wp_spans_answer answer;
    cr_assert(wp_spans_answer(bytes, &answer));
    return answer;
}

Test(trace_span, answers) {
    struct wp_spans_answer answer = read(WP_STR(""));
    cr_assert_eq(answer.rejected, 0);
    cr_assert_eq(answer.reason.len, 0);
    answer = read(WP_STR("\x0a\x08\x08\xac\x02\x12\x03why"));
    cr_assert_eq(answer.rejected, 300);
    cr_assert(wp_str_is(answer.reason, "why"));
    answer = read(WP_STR("\x0a\x00"));
    cr_assert_eq(answer.rejected, 0);
    (void)read(
        WP_STR("\x10\x05\x1d\x01\x02\x03\x04\x21\x01\x02\x03\x04\x05\x06\x07\x08\x2a\x01x")); /* unknown */
}

Test(trace_span, what_is_no_answer) {
    static const struct wp_str wrong[] = {
        {"<html>", 6},
        {"\x0a", 1},
        {"\x0a\x05x", 3},
        {"\x0a\x02\x12\x05", 4},
        {"\x08\x01", 2},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11},
        {"\x00", 1},
        {"\x0b\x01", 2},
        {"\x0a\x03\x12\x01\xff", 5},
        {"\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13},
        {"{}", 2},
        {"ok", 2},
    };
    struct wp_spans_answer answer;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_assert_not(wp_spans_answer(wrong[i], &answer), "%zu", i);
}

Test(trace_span, the_words_of_a_refusal) {
    cr_assert(wp_str_is(wp_spans_refusal(WP_STR("\x08\x03\x12\x03why")), "why"));
    cr_assert_eq(wp_spans_refusal(WP_STR("")).len, 0);
    cr_assert_eq(wp_spans_refusal(WP_STR("<html>no</html>")).len, 0);
    cr_assert_eq(wp_spans_refusal(WP_STR("\x12\x02\xff\xff")).len, 0);
}
