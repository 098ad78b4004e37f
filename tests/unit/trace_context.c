#include <criterion/criterion.h>
#include <stdio.h>
#include "core/trace_context.h"
#include "trace/ids.h"

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN "b7ad6b7169203331"
#define PARENT "00-" TRACE "-" SPAN "-01"

TestSuite(trace_context);

static bool parses(const char *text) {
    struct wp_traceparent of;
    return wp_traceparent_parse(wp_str(text), &of);
}

Test(trace_context, a_traceparent_is_read_and_written) {
    struct wp_traceparent of;
    char text[WP_TRACEPARENT_CHARS + 1];
    cr_assert(wp_traceparent_parse(WP_STR(PARENT), &of));
    cr_assert(of.sampled);
    cr_assert_eq(of.trace[0], 0x0a);
    cr_assert_eq(of.span[7], 0x31);
    wp_traceparent_format(&of, text);
    cr_assert_str_eq(text, PARENT);
    cr_assert(wp_traceparent_parse(WP_STR("00-" TRACE "-" SPAN "-02"), &of));
    cr_assert_not(of.sampled, "only the lowest bit says so");
    wp_traceparent_format(&of, text);
    cr_assert_str_eq(text, "00-" TRACE "-" SPAN "-00");
}

Test(trace_context, a_later_version_may_have_more_fields) {
    cr_assert(parses("01-" TRACE "-" SPAN "-01"));
    cr_assert(parses("cc-" TRACE "-" SPAN "-01-what-the-future-will-be-like"));
    cr_assert_not(parses("cc-" TRACE "-" SPAN "-01.what"));
    cr_assert_not(parses("ff-" TRACE "-" SPAN "-01"));
}

Test(trace_context, what_is_malformed_counts_as_none) {
    static const char *const wrong[] = {
        "",
        "00",
        "00-" TRACE "-" SPAN,
        "00-" TRACE "-" SPAN "-",
        "00-" TRACE "-" SPAN "-1",
        "00-" TRACE "-" SPAN "-011",
        "00-" TRACE "-" SPAN "-01-",
        "00-" TRACE "-" SPAN "-0x",
        "0x-" TRACE "-" SPAN "-01",
        "00_" TRACE "-" SPAN "-01",
        "00-" TRACE "_" SPAN "-01",
        "00-" TRACE "-" SPAN "_01",
        "00-00000000000000000000000000000000-" SPAN "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-" SPAN "-01",
        "00-0af7651916cd43dd8448eb211c80319-" SPAN "-01 ",
        "00-" TRACE "-b7ad6b716920333g-01",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_assert_not(parses(wrong[i]), "%s", wrong[i]);
}

Test(trace_context, headers_that_would_be_read_as_something_else_do_not_travel) {
    char text[WP_TRACEPARENT_MAX + 2];
    memset(text, 'a', sizeof text);
    cr_assert(wp_traceparent_may_travel(WP_STR(PARENT)));
    cr_assert(wp_traceparent_may_travel(WP_STR("00-abc")), "a reader may make more of it than we do");
    cr_assert(wp_traceparent_may_travel((struct wp_str){text, WP_TRACEPARENT_MAX}));
    cr_assert_not(wp_traceparent_may_travel((struct wp_str){text, WP_TRACEPARENT_MAX + 1}));
    cr_assert_not(wp_traceparent_may_travel(WP_STR(PARENT ";" SPAN ";1;2;3")),
                  "a context of another's making");
    cr_assert_not(wp_traceparent_may_travel(WP_STR(PARENT " a=b")));
    cr_assert_not(wp_traceparent_may_travel(WP_STR("")));
    cr_assert_not(wp_traceparent_may_travel((struct wp_str){NULL, 0}));
    cr_assert_not(wp_traceparent_may_travel(WP_STR("00\n")));
    cr_assert(wp_tracestate_may_travel(WP_STR("a=1, b=2;3")));
    cr_assert_not(wp_tracestate_may_travel(WP_STR("a=\xc3\xa4")));
    cr_assert_not(wp_tracestate_may_travel((struct wp_str){text, WP_TRACESTATE_MAX + 1}));
}

static void expect_parts(const char *text, const char *parent, const char *state) {
    cr_assert(wp_str_is(wp_trace_context_parent(wp_str(text)), parent), "%s", text);
    cr_assert(wp_str_is(wp_trace_context_state(wp_str(text)), state), "%s", text);
}

Test(trace_context, the_headers_in_a_text) {
    expect_parts("", "", "");
    expect_parts(PARENT, PARENT, "");
    expect_parts(PARENT " a=1, b=2;3", PARENT, "a=1, b=2;3");
    expect_parts(PARENT ";" SPAN ";5;1;7 a=1;b", PARENT, "a=1;b");
    cr_assert_eq(wp_trace_context_parent((struct wp_str){NULL, 0}).len, 0);
    cr_assert_eq(wp_trace_context_state((struct wp_str){NULL, 0}).len, 0);
}

Test(trace_context, a_context_is_read_as_it_was_written) {
    char text[WP_TRACE_CONTEXT_MAX], state[WP_TRACESTATE_MAX];
    struct wp_trace_context of = {.start_us = INT64_MAX, .partition = INT32_MAX, .offset = INT64_MAX}, read;
    memset(state, '~', sizeof state);
    cr_assert(wp_traceparent_parse(WP_STR(PARENT), &of.own));
    memset(of.parent, 0xfe, sizeof of.parent);
    for (size_t len = 0; len <= sizeof state; len += sizeof state / 2) {
        of.state = (struct wp_str){state, len};
        struct wp_str written = {text, wp_trace_context_format(&of, text)};
        cr_assert_lt(written.len, sizeof text);
        cr_assert_eq(strlen(text), written.len);
        cr_assert(wp_trace_context_parse(written, &read), "%s", text);
        cr_assert_arr_eq(read.own.trace, of.own.trace, sizeof of.own.trace);
        cr_assert_arr_eq(read.own.span, of.own.span, sizeof of.own.span);
        cr_assert_arr_eq(read.parent, of.parent, sizeof of.parent);
        cr_assert_eq(read.start_us, INT64_MAX);
        cr_assert_eq(read.partition, INT32_MAX);
        cr_assert_eq(read.offset, INT64_MAX);
        cr_assert(wp_str_eq(read.state, of.state));
    }
}

Test(trace_context, headers_alone_are_no_traced_request) {
    struct wp_trace_context read;
    static const char *const others[] = {"",
                                         PARENT,
                                         PARENT " a=b",
                                         PARENT ";",
                                         PARENT ";" SPAN,
                                         PARENT ";" SPAN ";5",
                                         PARENT ";" SPAN ";5;1",
                                         PARENT ";" SPAN ";5;1;",
                                         PARENT ";" SPAN ";5;1;x",
                                         PARENT ";" SPAN ";5;1;7x",
                                         PARENT ";" SPAN ";5;1;7;",
                                         PARENT ";b7ad;5;1;7",
                                         "00-abc;" SPAN ";5;1;7"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        cr_assert_not(wp_trace_context_parse(wp_str(others[i]), &read), "%s", others[i]);
    cr_assert(wp_trace_context_parse(WP_STR(PARENT ";" SPAN ";5;1;7"), &read));
}

/* ---- ids and sampling ---- */

static void trace_of(int64_t offset, unsigned char ret[WP_TRACE_ID_BYTES]) {
    wp_trace_id_of(WP_STR("cluster/container-acquire/3"), offset, 1795797670351, ret);
}

Test(trace_context, a_record_that_is_read_again_has_its_ids_again) {
    unsigned char a[WP_TRACE_ID_BYTES], b[WP_TRACE_ID_BYTES], x[WP_SPAN_ID_BYTES], y[WP_SPAN_ID_BYTES];
    trace_of(7, a);
    trace_of(7, b);
    cr_assert_arr_eq(a, b, sizeof a);
    trace_of(8, b);
    cr_assert_arr_neq(a, b, sizeof a);
    cr_assert_arr_neq(a, a + 8, 8, "its halves differ");
    wp_span_id_of_record(a, WP_STR("cluster/container-acquire/3"), 7, x);
    wp_span_id_of_record(a, WP_STR("cluster/container-acquire/3"), 8, y);
    cr_assert_arr_neq(x, y, sizeof x, "two records of one trace");
    wp_span_id_below(x, "create", WP_STR("c1"), y);
    unsigned char z[WP_SPAN_ID_BYTES];
    wp_span_id_below(x, "create", WP_STR("c2"), z);
    cr_assert_arr_neq(y, z, sizeof y, "two containers for one request");
    wp_span_id_below(x, "start", WP_STR("c1"), z);
    cr_assert_arr_neq(y, z, sizeof y);
}

Test(trace_context, the_share_that_is_sampled) {
    enum { MANY = 100000 };
    static const double ratios[] = {0, 0.001, 0.1, 0.5, 1};
    for (size_t r = 0; r < sizeof ratios / sizeof ratios[0]; r++) {
        int sampled = 0;
        for (int i = 0; i < MANY; i++) {
            unsigned char trace[WP_TRACE_ID_BYTES];
            trace_of(i, trace);
            bool is = wp_trace_is_sampled(trace, ratios[r]);
            sampled += is;
            if (is && r > 0)
                cr_assert(wp_trace_is_sampled(trace, 1) &&
                          (r == 4 || wp_trace_is_sampled(trace, ratios[r + 1])));
        }
        double expected = ratios[r] * MANY, off = sampled - expected;
        double sigma =
            1 + 5 * (expected * (1 - ratios[r]) > 0 ? __builtin_sqrt(expected * (1 - ratios[r])) : 0);
        cr_assert(off > -sigma && off < sigma, "%d of %d at %g", sampled, MANY, ratios[r]);
        if (ratios[r] == 0) cr_assert_eq(sampled, 0);
        if (ratios[r] == 1) cr_assert_eq(sampled, MANY);
    }
}
