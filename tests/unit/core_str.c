#include <criterion/criterion.h>
#include <stdio.h>
#include "core/str.h"

#define UTF8(bytes) wp_str_is_utf8((struct wp_str){bytes, sizeof(bytes) - 1})
#define ID(bytes) wp_str_is_id((struct wp_str){bytes, sizeof(bytes) - 1}, 256)

Test(str, names_take_letters_digits_and_three_signs) {
    cr_assert(wp_str_is_name(WP_STR("chain_of-thought.V2")));
    cr_assert_not(wp_str_is_name(WP_STR("")));
    cr_assert_not(wp_str_is_name(WP_STR("a b")));
    cr_assert_not(wp_str_is_name(WP_STR("a/b")));
    cr_assert_not(wp_str_is_name(WP_STR("caf\xc3\xa9")));
    cr_assert_not(wp_str_is_name(WP_STR("a\0b")));
}

Test(str, names_have_at_most_64_bytes) {
    char text[65];
    memset(text, 'n', sizeof(text));
    cr_assert(wp_str_is_name((struct wp_str){text, 64}));
    cr_assert_not(wp_str_is_name((struct wp_str){text, 65}));
}

Test(str, utf8_takes_the_first_and_last_character_of_each_length) {
    cr_assert(UTF8(""));
    cr_assert(UTF8("\0"));
    cr_assert(UTF8("\x7f"));
    cr_assert(UTF8("\xc2\x80"));
    cr_assert(UTF8("\xdf\xbf"));
    cr_assert(UTF8("\xe0\xa0\x80"));
    cr_assert(UTF8("\xef\xbf\xbf"));
    cr_assert(UTF8("\xf0\x90\x80\x80"));
    cr_assert(UTF8("\xf4\x8f\xbf\xbf"));
    cr_assert(UTF8("\xed\x9f\xbf")); /* the last before the surrogates */
    cr_assert(UTF8("\xee\x80\x80")); /* the first after them */
}

Test(str, utf8_refuses_overlong_forms) {
    cr_assert_not(UTF8("\xc0\x80"));
    cr_assert_not(UTF8("\xc1\xbf"));
    cr_assert_not(UTF8("\xe0\x9f\xbf"));
    cr_assert_not(UTF8("\xf0\x8f\xbf\xbf"));
}

Test(str, utf8_refuses_surrogates_and_what_is_beyond_unicode) {
    cr_assert_not(UTF8("\xed\xa0\x80"));
    cr_assert_not(UTF8("\xed\xbf\xbf"));
    cr_assert_not(UTF8("\xf4\x90\x80\x80"));
    cr_assert_not(UTF8("\xf8\x88\x80\x80\x80"));
    cr_assert_not(UTF8("\xff"));
}

Test(str, utf8_refuses_cut_and_stray_bytes) {
    cr_assert_not(UTF8("\x80"));
    cr_assert_not(UTF8("ab\xc3"));
    cr_assert_not(UTF8("\xe2\x82"));
    cr_assert_not(UTF8("\xf0\x9f\x98"));
    cr_assert_not(UTF8("\xc3("));
    cr_assert_not(UTF8("\xe2(\xa1"));
}

Test(str, utf8_never_reads_past_the_slice) {
    const char *whole = "\xe2\x82\xac";
    for (size_t len = 1; len < 3; len++) cr_assert_not(wp_str_is_utf8((struct wp_str){whole, len}));
    cr_assert(wp_str_is_utf8((struct wp_str){whole, 3}));
}

Test(str, ids_take_any_text_but_control_characters) {
    cr_assert(ID("run 42 / \xf0\x9f\x98\x80"));
    cr_assert_not(ID(""));
    cr_assert_not(ID("a\nb"));
    cr_assert_not(ID("a\0b"));
    cr_assert_not(ID("\x7f"));
    cr_assert_not(ID("\xc2\x85")); /* next line, a C1 control character */
    cr_assert(ID("\xc2\xa0"));
    cr_assert_not(ID("\xc3"));
}

Test(str, ids_have_at_most_the_given_length) {
    char text[513];
    memset(text, 'k', sizeof(text));
    cr_assert(wp_str_is_id((struct wp_str){text, 512}, 512));
    cr_assert_not(wp_str_is_id((struct wp_str){text, 513}, 512));
}

Test(str, hash_is_fnv_1a) {
    cr_assert_eq(wp_str_hash(WP_STR("")), 0x811c9dc5u);
    cr_assert_eq(wp_str_hash(WP_STR("a")), 0xe40c292cu);
    cr_assert_eq(wp_str_hash(WP_STR("foobar")), 0xbf9cf968u);
}

Test(str, equality_is_of_bytes) {
    cr_assert(wp_str_eq((struct wp_str){NULL, 0}, WP_STR("")));
    cr_assert(wp_str_is(WP_STR("react"), "react"));
    cr_assert_not(wp_str_is(WP_STR("react"), "reac"));
    cr_assert_not(wp_str_is(WP_STR("react"), "reacT"));
}

Test(str, a_text_that_was_truncated_within_a_character_loses_it_and_nothing_else) {
    static const char *const cases[][2] = {{"", ""},
                                           {"abc", "abc"},
                                           {"ab\xc3\xbc", "ab\xc3\xbc"},
                                           {"ab\xc3", "ab"},
                                           {"\xc3", ""},
                                           {"a\xe2\x82\xac", "a\xe2\x82\xac"},
                                           {"a\xe2\x82", "a"},
                                           {"a\xe2", "a"},
                                           {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
                                           {"a\xf0\x9f\x98", "a"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[16];
        snprintf(text, sizeof text, "%s", cases[i][0]);
        wp_str_cut(text);
        cr_expect_str_eq(text, cases[i][1]);
    }
}
