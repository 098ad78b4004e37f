#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <signal.h>
#include <string.h>
#include "core/err.h"

Test(err, fail_returns_its_code_and_keeps_the_sentence) {
    struct wp_error error;
    cr_assert_eq(wp_fail(&error, WP_ERR_REDIS, "no answer from %s", "redis:6379"), WP_ERR_REDIS);
    cr_assert_eq(error.code, WP_ERR_REDIS);
    cr_assert_str_eq(error.text, "no answer from redis:6379");
}

Test(err, fail_without_an_error_object_still_returns_its_code) {
    cr_assert_eq(wp_fail(NULL, WP_ERR_DATA, "ignored"), WP_ERR_DATA);
}

Test(err, a_sentence_may_be_built_around_its_own_text) {
    struct wp_error error;
    wp_fail(&error, WP_ERR_DATA, "inner");
    wp_fail(&error, WP_ERR_DATA, "outer: %s (line 3)", error.text);
    cr_assert_str_eq(error.text, "outer: inner (line 3)");
}

Test(err, a_sentence_stays_one_line) {
    struct wp_error error;
    wp_fail(&error, WP_ERR_DATA, "a%sb", "\n\r\t\x7f");
    cr_assert_str_eq(error.text, "a    b");
}

Test(err, a_long_sentence_is_cut_before_a_character_not_inside_it) {
    char input[700];
    memset(input, 'x', sizeof(input));
    memcpy(input + 510, "\xc3\xa9", 2); /* e with acute accent across the limit of 511 bytes */
    input[699] = '\0';
    struct wp_error error;
    wp_fail(&error, WP_ERR_DATA, "%s", input);
    cr_assert_eq(strlen(error.text), 510);
    cr_assert_eq(error.text[509], 'x');
}

Test(err, every_code_has_its_own_name) {
    for (int a = WP_OK; a <= WP_ERR_NOT_FOUND; a++) {
        cr_assert_str_neq(wp_err_name((enum wp_err)a), "unknown");
        for (int b = a + 1; b <= WP_ERR_NOT_FOUND; b++) {
            cr_assert_str_neq(wp_err_name((enum wp_err)a), wp_err_name((enum wp_err)b));
        }
    }
    cr_assert_str_eq(wp_err_name((enum wp_err)99), "unknown");
    cr_assert_str_eq(wp_err_name(WP_ERR_NOT_FOUND), "not_found");
}

Test(err, a_bug_aborts, .signal = SIGABRT) {
    wp_assert(1 + 1 == 3);
}
