#include <criterion/criterion.h>
#include <stdlib.h>
#include "core/pack.h"

#define BYTES(literal) ((struct wp_str){literal, sizeof(literal) - 1})

static struct wp_buf out;
static void teardown(void) {
    wp_buf_done(&out);
}
TestSuite(pack, .fini = teardown);
TestSuite(unpack, .fini = teardown);

#define EXPECT(write, literal)                                                                               \
    do {                                                                                                     \
        wp_buf_reset(&out);                                                                                  \
        write;                                                                                               \
        cr_assert_eq(out.len, sizeof(literal) - 1, "%s: %zu bytes", #write, out.len);                        \
        cr_assert(memcmp(out.data, literal, out.len) == 0, "%s", #write);                                    \
    } while (0)

Test(pack, integers_take_the_shortest_form_of_the_specification) {
    EXPECT(wp_pack_int(&out, 0), "\x00");
    EXPECT(wp_pack_int(&out, 127), "\x7f");
    EXPECT(wp_pack_int(&out, 128), "\xcc\x80");
    EXPECT(wp_pack_int(&out, 255), "\xcc\xff");
    EXPECT(wp_pack_int(&out, 256), "\xcd\x01\x00");
    EXPECT(wp_pack_int(&out, 65535), "\xcd\xff\xff");
    EXPECT(wp_pack_int(&out, 65536), "\xce\x00\x01\x00\x00");
    EXPECT(wp_pack_int(&out, INT64_C(4294967296)), "\xcf\x00\x00\x00\x01\x00\x00\x00\x00");
    EXPECT(wp_pack_int(&out, INT64_MAX), "\xcf\x7f\xff\xff\xff\xff\xff\xff\xff");
    EXPECT(wp_pack_int(&out, -1), "\xff");
    EXPECT(wp_pack_int(&out, -32), "\xe0");
    EXPECT(wp_pack_int(&out, -33), "\xd0\xdf");
    EXPECT(wp_pack_int(&out, -128), "\xd0\x80");
    EXPECT(wp_pack_int(&out, -129), "\xd1\xff\x7f");
    EXPECT(wp_pack_int(&out, -32769), "\xd2\xff\xff\x7f\xff");
    EXPECT(wp_pack_int(&out, INT64_MIN), "\xd3\x80\x00\x00\x00\x00\x00\x00\x00");
}

Test(pack, the_example_of_the_specification) {
    wp_pack_map(&out, 2);
    wp_pack_str(&out, WP_STR("compact"));
    wp_pack_bool(&out, true);
    wp_pack_str(&out, WP_STR("schema"));
    wp_pack_int(&out, 0);
    struct wp_str expected = BYTES("\x82\xa7"
                                   "compact\xc3\xa6"
                                   "schema\x00");
    cr_assert(wp_str_eq(wp_buf_str(&out), expected));
}

Test(pack, doubles_and_truths) {
    EXPECT(wp_pack_double(&out, 1.5), "\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00");
    EXPECT(wp_pack_bool(&out, false), "\xc2");
}

static void expect_head(struct wp_buf *buf, size_t len, const char *head, size_t head_len) {
    char *text = wp_calloc(1, len + 1);
    wp_buf_reset(buf);
    wp_pack_str(buf, (struct wp_str){text, len});
    cr_assert_eq(buf->len, head_len + len);
    cr_assert(memcmp(buf->data, head, head_len) == 0, "string of %zu bytes", len);
    free(text);
}

Test(pack, texts_have_the_head_of_their_length) {
    expect_head(&out, 0, "\xa0", 1);
    expect_head(&out, 31, "\xbf", 1);
    expect_head(&out, 32, "\xd9\x20", 2);
    expect_head(&out, 255, "\xd9\xff", 2);
    expect_head(&out, 256, "\xda\x01\x00", 3);
    expect_head(&out, 65536, "\xdb\x00\x01\x00\x00", 5);
}

Test(pack, containers_have_the_head_of_their_count) {
    EXPECT(wp_pack_array(&out, 15), "\x9f");
    EXPECT(wp_pack_array(&out, 16), "\xdc\x00\x10");
    EXPECT(wp_pack_array(&out, 65536), "\xdd\x00\x01\x00\x00");
    EXPECT(wp_pack_map(&out, 15), "\x8f");
    EXPECT(wp_pack_map(&out, 16), "\xde\x00\x10");
    EXPECT(wp_pack_map(&out, 65536), "\xdf\x00\x01\x00\x00");
}

Test(unpack, integers_come_back_at_every_width) {
    for (int shift = 0; shift < 63; shift++) {
        for (int64_t delta = -2; delta <= 2; delta++) {
            int64_t value = ((int64_t)1 << shift) + delta;
            wp_buf_reset(&out);
            wp_pack_int(&out, value);
            wp_pack_int(&out, -value);
            struct wp_unpack in = wp_unpack(wp_buf_str(&out));
            cr_assert_eq(wp_unpack_int(&in), value);
            cr_assert_eq(wp_unpack_int(&in), -value);
            cr_assert(wp_unpack_at_end(&in));
        }
    }
}

Test(unpack, texts_of_every_head_come_back) {
    static const size_t lengths[] = {0, 31, 32, 255, 256, 65535, 65536};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        char *text = wp_alloc(lengths[i] + 1);
        memset(text, 'z', lengths[i]);
        wp_buf_reset(&out);
        wp_pack_str(&out, (struct wp_str){text, lengths[i]});
        struct wp_unpack in = wp_unpack(wp_buf_str(&out));
        cr_assert(wp_str_eq(wp_unpack_str(&in), (struct wp_str){text, lengths[i]}));
        cr_assert(wp_unpack_at_end(&in));
        free(text);
    }
    struct wp_unpack in = wp_unpack(BYTES("\xc4\x01x\xc5\x00\x01y\xc6\x00\x00\x00\x01z"));
    cr_assert(wp_str_is(wp_unpack_str(&in), "x"));
    cr_assert(wp_str_is(wp_unpack_str(&in), "y"));
    cr_assert(wp_str_is(wp_unpack_str(&in), "z"));
    cr_assert(wp_unpack_at_end(&in));
}

Test(unpack, lua_numbers_are_taken_as_the_number_that_is_wanted) {
    struct wp_unpack in = wp_unpack(BYTES("\xcb\x40\x45\x00\x00\x00\x00\x00\x00" /* 42.0 */
                                          "\xca\x42\x28\x00\x00"                 /* 42.0, single */
                                          "\x2a"
                                          "\xca\x3f\xc0\x00\x00")); /* 1.5, single */
    cr_assert_eq(wp_unpack_int(&in), 42);
    cr_assert_eq(wp_unpack_int(&in), 42);
    cr_assert_eq(wp_unpack_double(&in), 42.0);
    cr_assert_eq(wp_unpack_double(&in), 1.5);
    cr_assert(wp_unpack_at_end(&in));
}

Test(unpack, false_and_nil_read_as_nothing) {
    struct wp_unpack in = wp_unpack(BYTES("\xc0\xc2\xc0\xc2\xc0\xc2\xc0\xc3"));
    cr_assert_eq(wp_unpack_str(&in).len, 0);
    cr_assert_eq(wp_unpack_str(&in).len, 0);
    cr_assert_eq(wp_unpack_int(&in), 0);
    cr_assert_eq(wp_unpack_int(&in), 0);
    cr_assert_eq(wp_unpack_double(&in), 0.0);
    cr_assert_eq(wp_unpack_double(&in), 0.0);
    cr_assert_not(wp_unpack_bool(&in));
    cr_assert(wp_unpack_bool(&in));
    cr_assert(wp_unpack_at_end(&in));
}

Test(unpack, an_empty_lua_table_is_an_empty_map_or_array) {
    struct wp_unpack in = wp_unpack(BYTES("\x90\x80\x90\x80"));
    cr_assert_eq(wp_unpack_map(&in), 0);
    cr_assert_eq(wp_unpack_array(&in), 0);
    cr_assert_eq(wp_unpack_array(&in), 0);
    cr_assert_eq(wp_unpack_map(&in), 0);
    cr_assert(wp_unpack_at_end(&in));
}

static bool fails_as_int(struct wp_str bytes) {
    struct wp_unpack in = wp_unpack(bytes);
    return wp_unpack_int(&in) == 0 && in.failed;
}

Test(unpack, what_is_no_64_bit_integer_is_refused) {
    cr_assert(fails_as_int(BYTES("\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00")), "1.5");
    cr_assert(fails_as_int(BYTES("\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00")), "NaN");
    cr_assert(fails_as_int(BYTES("\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00")), "infinity");
    cr_assert(fails_as_int(BYTES("\xcb\x43\xe0\x00\x00\x00\x00\x00\x00")), "2^63");
    cr_assert(fails_as_int(BYTES("\xcf\xff\xff\xff\xff\xff\xff\xff\xff")), "2^64 - 1");
    cr_assert(fails_as_int(BYTES("\xa1x")), "a text");
    cr_assert(fails_as_int(BYTES("\xc3")), "true");
}

Test(unpack, other_kinds_than_wanted_are_refused) {
    struct wp_unpack in = wp_unpack(BYTES("\x01"));
    wp_unpack_str(&in);
    cr_assert(in.failed);
    in = wp_unpack(BYTES("\xa1x"));
    wp_unpack_double(&in);
    cr_assert(in.failed);
    in = wp_unpack(BYTES("\x01"));
    wp_unpack_bool(&in);
    cr_assert(in.failed);
    in = wp_unpack(BYTES("\x91\x01"));
    cr_assert_eq(wp_unpack_map(&in), 0);
    cr_assert(in.failed);
    in = wp_unpack(BYTES("\xc1"));
    wp_unpack_skip(&in);
    cr_assert(in.failed, "the byte that the specification never uses");
}

Test(unpack, a_failure_stays_and_all_later_reads_are_zero) {
    struct wp_unpack in = wp_unpack(BYTES("\xa1x\x05\xa1y\xc3\x91\x01"));
    wp_unpack_int(&in);
    cr_assert(in.failed);
    cr_assert_eq(wp_unpack_int(&in), 0);
    cr_assert_eq(wp_unpack_str(&in).len, 0);
    cr_assert_eq(wp_unpack_double(&in), 0.0);
    cr_assert_not(wp_unpack_bool(&in));
    cr_assert_eq(wp_unpack_array(&in), 0);
    wp_unpack_skip(&in);
    cr_assert_not(wp_unpack_at_end(&in));
}

static void pack_everything(struct wp_buf *buf) {
    wp_pack_array(buf, 20);
    for (int i = 0; i < 15; i++) wp_pack_int(buf, -(1 << (2 * i)));
    wp_pack_str(buf, WP_STR("a text of more than thirty-one bytes"));
    wp_pack_double(buf, 0.1);
    wp_pack_bool(buf, true);
    wp_buf_add(buf, "\xd6\x01....", 6);    /* extension of 4 bytes */
    wp_buf_add(buf, "\xc7\x03\x01...", 6); /* extension of 3 bytes */
}

Test(unpack, every_truncation_is_noticed) {
    pack_everything(&out);
    for (size_t len = 0; len < out.len; len++) {
        char *exact = wp_strndup(
            (struct wp_str){out.data, len}); /* its own block: a sanitizer sees what is read past it */
        struct wp_unpack in = wp_unpack((struct wp_str){exact, len});
        wp_unpack_skip(&in);
        cr_assert(in.failed, "cut to %zu bytes", len);
        free(exact);
    }
    struct wp_unpack in = wp_unpack(wp_buf_str(&out));
    wp_unpack_skip(&in);
    cr_assert(wp_unpack_at_end(&in));
}

Test(unpack, a_hostile_length_is_refused_before_it_is_believed) {
    static const struct wp_str hostile[] = {
        {"\xdb\xff\xff\xff\xff", 5},
        {"\xc6\x7f\xff\xff\xff", 5},
        {"\xdd\xff\xff\xff\xff\x01", 6},
        {"\xdf\xff\xff\xff\xff\x01\x01", 7},
        {"\xdf\x00\x00\x00\x02\x01\x01\x01", 8},
        {"\xc9\xff\xff\xff\xff\x01", 6},
        {"\xdc\x00\x02\x01", 4},
        {"\xd9\x02x", 3},
        {"\xc8\x00\x02\x01x", 5},
        {"\xd8\x01", 2},
    };
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
        struct wp_unpack in = wp_unpack(hostile[i]);
        wp_unpack_skip(&in);
        cr_assert(in.failed, "case %zu", i);
    }
    struct wp_unpack in = wp_unpack(hostile[2]);
    cr_assert_eq(wp_unpack_array(&in), 0, "a caller may size by it");
    in = wp_unpack(hostile[3]);
    cr_assert_eq(wp_unpack_map(&in), 0);
}

static bool skips_depth(unsigned depth) {
    wp_buf_reset(&out);
    for (unsigned i = 0; i < depth; i++) wp_pack_array(&out, 1);
    wp_pack_int(&out, 1);
    struct wp_unpack in = wp_unpack(wp_buf_str(&out));
    wp_unpack_skip(&in);
    return wp_unpack_at_end(&in);
}

Test(unpack, skip_goes_sixteen_deep_and_no_deeper) {
    cr_assert(skips_depth(0));
    cr_assert(skips_depth(16));
    cr_assert_not(skips_depth(17));
    cr_assert_not(skips_depth(100000));
}

Test(unpack, skip_passes_over_one_value_of_any_kind) {
    struct wp_unpack in = wp_unpack(BYTES("\x82\xa1"
                                          "a\x92\x01\xc0\xa1"
                                          "b\xde\x00\x01\xa1"
                                          "c\xcb\x00\x00\x00\x00\x00\x00\x00\x00"
                                          "\xc8\x00\x01\x05x"
                                          "\xc9\x00\x00\x00\x01\x05x"
                                          "\x2a"));
    for (int i = 0; i < 3; i++) wp_unpack_skip(&in);
    cr_assert_eq(wp_unpack_int(&in), 42);
    cr_assert(wp_unpack_at_end(&in));
}

Test(unpack, an_empty_input_is_at_its_end) {
    struct wp_unpack in = wp_unpack((struct wp_str){NULL, 0});
    cr_assert(wp_unpack_at_end(&in));
    wp_unpack_int(&in);
    cr_assert(in.failed);
}
