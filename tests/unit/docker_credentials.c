/* Credentials of registries from Docker's config.json. */
#include "host/docker/credentials.h"
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "core/base64.h"

#define FILE_NAME "/etc/config.json"

static struct wp_credentials parse(const char *text, const char *registry) {
    struct wp_credentials credentials;
    struct wp_error error;
    cr_assert_eq(wp_credentials_parse(&credentials, wp_str(text), FILE_NAME, wp_str(registry), &error), WP_OK,
                 "%s", error.text);
    return credentials;
}

/* What the header says under the key; empty when it says nothing. Also checks its alphabet, that of URLs. */
static void expect_said(const struct wp_credentials *credentials, const char *key, const char *value) {
    struct wp_buf plain = {0};
    cr_assert(credentials->auth);
    cr_assert_eq(strpbrk(credentials->auth, "+/"), NULL, "%s", credentials->auth);
    char *standard = wp_strdup(credentials->auth);
    for (char *at = standard; *at; at++) *at = *at == '-' ? '+' : *at == '_' ? '/' : *at;
    cr_assert(wp_base64_decode(&plain, wp_str(standard)), "%s", standard);
    json_t *header = json_loadb(plain.data, plain.len, 0, NULL);
    const char *said = json_string_value(json_object_get(header, key));
    cr_expect_str_eq(said ? said : "", value);
    json_decref(header);
    wp_buf_done(&plain);
    free(standard);
}

static void expect_none(const char *text, const char *registry) {
    struct wp_credentials credentials = parse(text, registry);
    cr_expect_eq(credentials.auth, NULL);
    wp_credentials_done(&credentials);
}

/* user:right, in base64 */
#define AUTH "dXNlcjpyaWdodA=="

Test(docker_credentials, a_user_and_password_are_sent_to_their_registry_alone) {
    static const char text[] = "{\"auths\": {\"registry.example:5000\": {\"auth\": \"" AUTH "\"}}}";
    struct wp_credentials credentials = parse(text, "registry.example:5000");
    expect_said(&credentials, "username", "user");
    expect_said(&credentials, "password", "right");
    expect_said(&credentials, "serveraddress", "registry.example:5000");
    wp_credentials_done(&credentials);
    expect_none(text, "registry.example");
    expect_none(text, "docker.io");
    expect_none("{}", "registry.example:5000");
}

Test(docker_credentials, docker_hub_has_its_own_key) {
    struct wp_credentials credentials =
        parse("{\"auths\": {\"https://index.docker.io/v1/\": {\"auth\": \"" AUTH "\"}}}", "docker.io");
    expect_said(&credentials, "username", "user");
    expect_said(&credentials, "serveraddress", "https://index.docker.io/v1/");
    wp_credentials_done(&credentials);
}

Test(docker_credentials, a_key_may_be_an_address) {
    struct wp_credentials credentials = parse(
        "{\"auths\": {\"https://registry.example/v2/\": {\"auth\": \"" AUTH "\"}}}", "registry.example");
    expect_said(&credentials, "password", "right");
    wp_credentials_done(&credentials);
}

Test(docker_credentials, a_password_may_have_colons_and_any_character) {
    struct wp_buf auth = {0}, text = {0};
    wp_base64_encode(&auth, WP_STR("user:a:b\xc3\xbc\xc3\xbf?>~"));
    wp_buf_printf(&text, "{\"auths\": {\"r.example\": {\"auth\": \"%.*s\"}}}", (int)auth.len, auth.data);
    struct wp_credentials credentials = parse(text.data, "r.example");
    expect_said(&credentials, "password", "a:b\xc3\xbc\xc3\xbf?>~");
    wp_credentials_done(&credentials);
    wp_buf_done(&auth);
    wp_buf_done(&text);
}

Test(docker_credentials, a_user_and_password_may_stand_alone) {
    struct wp_credentials credentials =
        parse("{\"auths\": {\"r.example\": {\"username\": \"u\", \"password\": \"p\"}}}", "r.example");
    expect_said(&credentials, "username", "u");
    expect_said(&credentials, "password", "p");
    wp_credentials_done(&credentials);
}

Test(docker_credentials, a_token_is_sent) {
    struct wp_credentials credentials =
        parse("{\"auths\": {\"r.example\": {\"identitytoken\": \"t0ken\"}}}", "r.example");
    expect_said(&credentials, "identitytoken", "t0ken");
    wp_credentials_done(&credentials);
}

Test(docker_credentials, a_helper_is_named_when_it_is_all_there_is) {
    static const struct {
        const char *text, *helper;
    } cases[] = {
        {"{\"credsStore\": \"pass\"}", "docker-credential-pass"},
        {"{\"auths\": {\"r.example\": {}}, \"credsStore\": \"pass\"}", "docker-credential-pass"},
        {"{\"credHelpers\": {\"r.example\": \"gcloud\"}, \"credsStore\": \"pass\"}",
         "docker-credential-gcloud"},
        {"{\"credHelpers\": {\"other.example\": \"gcloud\"}}", ""},
        {"{\"auths\": {\"r.example\": {\"auth\": \"" AUTH "\"}}, \"credsStore\": \"pass\"}", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct wp_credentials credentials = parse(cases[i].text, "r.example");
        cr_expect_str_eq(credentials.helper, cases[i].helper, "%s", cases[i].text);
        wp_credentials_done(&credentials);
    }
}

static void expect_error(const char *text, const char *part) {
    struct wp_credentials credentials;
    struct wp_error error;
    cr_assert_eq(wp_credentials_parse(&credentials, wp_str(text), FILE_NAME, WP_STR("r.example"), &error),
                 WP_ERR_CONFIG, "%s", text);
    cr_expect(strstr(error.text, FILE_NAME) && strstr(error.text, part), "%s", error.text);
    cr_expect_eq(strstr(error.text, "c2VjcmV0"), NULL, "nothing of what it holds");
    wp_credentials_done(&credentials);
}

Test(docker_credentials, a_file_that_cannot_be_used_is_named_without_what_it_holds) {
    expect_error("c2VjcmV0", "Docker's config.json is wanted");
    expect_error("[]", "Docker's config.json is wanted");
    expect_error("{\"auths\": {\"r.example\": {\"auth\": \"c2VjcmV0!\"}}}", "`auth` of r.example");
    expect_error("{\"auths\": {\"r.example\": {\"auth\": \"c2VjcmV0\"}}}",
                 "base64 of user:password"); /* no colon */
    expect_error("{\"auths\": {\"r.example\": {\"auth\": \"dTr//w==\"}}}",
                 "base64 of user:password"); /* no UTF-8 */
}

Test(docker_credentials, nonsense_for_a_registry_is_no_credentials) {
    expect_none("{\"auths\": {\"r.example\": 7}}", "r.example");
    expect_none("{\"auths\": []}", "r.example");
    expect_none("{\"auths\": {\"r.example\": {\"auth\": 7}}, \"credsStore\": []}", "r.example");
}

Test(docker_credentials, the_file_is_read_each_time) {
    char path[] = "/tmp/wp-credentials-XXXXXX";
    struct wp_credentials credentials;
    struct wp_error error;
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(wp_credentials_read(&credentials, path, WP_STR("r.example"), &error), WP_ERR_CONFIG,
                 "it is empty");
    static const char text[] = "{\"auths\": {\"r.example\": {\"auth\": \"" AUTH "\"}}}";
    cr_assert_eq(write(fd, text, sizeof text - 1), (ssize_t)sizeof text - 1);
    close(fd);
    cr_assert_eq(wp_credentials_read(&credentials, path, WP_STR("r.example"), &error), WP_OK);
    expect_said(&credentials, "password", "right");
    wp_credentials_done(&credentials);
    unlink(path);
    cr_assert_eq(wp_credentials_read(&credentials, path, WP_STR("r.example"), &error), WP_ERR_CONFIG);
    cr_expect(strstr(error.text, path) && strstr(error.text, "No such file"), "%s", error.text);
    cr_assert_eq(wp_credentials_read(&credentials, "", WP_STR("r.example"), &error), WP_OK,
                 "no file is wanted");
    cr_expect_eq(credentials.auth, NULL);
}
