/* Which lines of a container's output quote its claim. */
#include <criterion/criterion.h>
#include <string.h>
#include "core/buf.h"
#include "host/docker/quotes.h"
#include "support/limits.h"

TestSuite(docker_quotes, .timeout = TEST_LIMIT_S);

static bool quotes(const json_t *claim, const char *text) {
    struct wp_quotes *quotes = wp_quotes_new(claim);
    bool is_quoted = wp_quotes_in(quotes, wp_str(text));
    wp_quotes_free(quotes);
    return is_quoted;
}

static bool value_is_in(const char *value, const char *text) {
    json_t *claim = json_pack("{s:s}", "key", value);
    bool is_quoted = quotes(claim, text);
    json_decref(claim);
    return is_quoted;
}

Test(docker_quotes, a_value_anywhere_in_it_and_no_short_one) {
    cr_expect(value_is_in("abcd", "token=abcd."));
    cr_expect_not(value_is_in("abcd", "token=abc"));
    cr_expect_not(value_is_in("abc", "abcabc"));
    cr_expect_not(value_is_in("abcd", ""));
}

Test(docker_quotes, each_line_of_a_value) {
    const char *key =
        "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n";
    cr_expect(value_is_in(key, "MIIEvQIBADANBgkq"));
    cr_expect(value_is_in(key, "> hkiG9w0BAQEFAASC"));
    cr_expect_not(value_is_in(key, "cannot read the key"));
}

Test(docker_quotes, a_value_as_json_has_it) {
    cr_expect(value_is_in("p\"a\\s", "{\"key\":\"p\\\"a\\\\s\"}"));
    cr_expect(value_is_in("p\303\244ss", "{\"key\":\"p\\u00E4ss\"}"));
    cr_expect(value_is_in("one\ntwo and three", "{\"key\":\"one\\ntwo and three\"}"));
}

Test(docker_quotes, a_long_value_of_which_a_part_is_cut_off) {
    char value[2001], part[400];
    for (size_t i = 0; i < sizeof value; i++) value[i] = (char)('a' + i * i % 26 * (i % 7) % 26);
    value[2000] = '\0';
    snprintf(part, sizeof part, "...%.300s", value + 913);
    cr_expect(value_is_in(value, part));
}

Test(docker_quotes, numbers_and_what_is_nested) {
    json_t *claim = json_pack("{s:{s:[i, s]}, s:b, s:n}", "a", "b", 123456, "deep-one", "yes", 1, "nothing");
    cr_expect(quotes(claim, "pin 123456"));
    cr_expect(quotes(claim, "a deep-one"));
    cr_expect_not(quotes(claim, "yes nothing true null"));
    json_decref(claim);
}

Test(docker_quotes, all_of_a_claim_in_more_parts_than_can_be_looked_for) {
    struct wp_buf value = {0};
    for (int i = 0; i < 3000; i++) wp_buf_printf(&value, "line %04d\n", i);
    cr_expect(value_is_in(value.data, "anything"));
    wp_buf_done(&value);
}

Test(docker_quotes, without_a_claim_nothing) {
    cr_expect_not(quotes(NULL, "anything"));
}
