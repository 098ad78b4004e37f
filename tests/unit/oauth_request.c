/* What a token endpoint's answer says. */
#include "kafka/oauth_request.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const struct wp_oauth_request request = {
    .url = "https://issuer/token", .client_id = "worker", .client_secret = "s3cret"};
static const int64_t now_ms = 1000000;
static struct wp_oauth_token token;
static struct wp_error error;

static enum wp_err read_answer(long status, const char *answer) {
    wp_oauth_token_done(&token);
    memset(&error, 0, sizeof error);
    return wp_oauth_read(&request, status, answer, answer ? strlen(answer) : 0, now_ms, &token, &error);
}

static void end(void) {
    wp_oauth_token_done(&token);
}
TestSuite(oauth, .fini = end);

Test(oauth, the_life_counts_from_the_request) {
    cr_assert_eq(
        read_answer(200, "{\"access_token\": \"opaque\", \"expires_in\": 60, \"token_type\": \"Bearer\"}"),
        WP_OK, "%s", error.text);
    cr_assert_str_eq(token.token, "opaque");
    cr_assert_str_eq(token.principal, "worker");
    cr_assert_eq(token.expires_ms, now_ms + 60000);
    cr_assert_eq(read_answer(200, "{\"access_token\": \"opaque\", \"expires_in\": \"60\"}"), WP_OK);
    cr_assert_eq(token.expires_ms, now_ms + 60000);
}

/* {"alg":"none"}.{"sub":"a?>","exp":2000}. : both letters in which the URL's alphabet differs are in it. */
Test(oauth, a_jwt_names_its_subject_and_its_end) {
    cr_assert_eq(
        read_answer(200, "{\"access_token\": \"eyJhbGciOiJub25lIn0.eyJzdWIiOiJhPz4iLCJleHAiOjIwMDB9.\"}"),
        WP_OK, "%s", error.text);
    cr_assert_str_eq(token.principal, "a?>");
    cr_assert_eq(token.expires_ms, 2000000);
}

Test(oauth, a_token_without_a_life_is_refused) {
    cr_assert_eq(read_answer(200, "{\"access_token\": \"opaque\"}"), WP_ERR_KAFKA);
    cr_assert(strstr(error.text, "without saying how long"), "%s", error.text);
    cr_assert_eq(read_answer(200, "{\"access_token\": \"opaque\", \"expires_in\": 0}"), WP_ERR_KAFKA);
    cr_assert(strstr(error.text, "expired already"), "%s", error.text);
}

Test(oauth, what_is_no_token_is_refused_and_not_repeated) {
    static const char *const wrong[] = {NULL,
                                        "",
                                        "hello",
                                        "[]",
                                        "{}",
                                        "{\"access_token\": 1}",
                                        "{\"access_token\": \"\", \"expires_in\": 60}",
                                        "{\"access_token\": \"hidden word\", \"expires_in\": 60}",
                                        "{\"access_token\": \"hidden\\u0001\", \"expires_in\": 60}"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        cr_assert_eq(read_answer(200, wrong[i]), WP_ERR_KAFKA, "%zu", i);
        cr_assert(strstr(error.text, "something else than JSON with an access_token"), "%s", error.text);
        cr_assert_null(strstr(error.text, "hidden"), "%s", error.text);
    }
}

Test(oauth, a_jwt_that_is_broken_is_a_token_without_a_life) {
    static const char *const broken[] = {"a.b.c", "a.!!!.c", "..", "a.bnVsbA.c", "a.W10.c", "a.b"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        char answer[128];
        snprintf(answer, sizeof answer, "{\"access_token\": \"%s\"}", broken[i]);
        cr_assert_eq(read_answer(200, answer), WP_ERR_KAFKA, "%s", broken[i]);
        cr_assert(strstr(error.text, "without saying how long"), "%s", error.text);
    }
}

Test(oauth, a_refusal_says_what_to_mend_without_the_secret) {
    cr_assert_eq(read_answer(401, "{\"error\": \"invalid_client\", \"error_description\": \"no\"}"),
                 WP_ERR_KAFKA);
    cr_assert(strstr(error.text, "HTTP 401 invalid_client: no; mend kafka.sasl.oauthbearer.client.id"), "%s",
              error.text);
    cr_assert_eq(read_answer(400, "{\"error\": \"invalid_scope\"}"), WP_ERR_KAFKA);
    cr_assert(strstr(error.text, "mend kafka.sasl.oauthbearer.scope"), "%s", error.text);
    cr_assert_eq(read_answer(503, "<html>"), WP_ERR_KAFKA);
    cr_assert(strstr(error.text, "HTTP 503; its own log says why"), "%s", error.text);
    cr_assert_null(strstr(error.text, "s3cret"));
}
