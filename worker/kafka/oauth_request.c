/* Asks a token endpoint: see oauth_request.h. */
#include "kafka/oauth_request.h"
#include <curl/curl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core/base64.h"
#include "core/buf.h"
#include "core/secret.h"

enum { CONNECT_MS = 3000, ALL_MS = 5000, ANSWER_MAX = 1 << 20 };

#define KEY "kafka.sasl.oauthbearer."

void wp_oauth_token_done(struct wp_oauth_token *token) {
    if (token->token) wp_wipe(token->token, strlen(token->token));
    free(token->token);
    free(token->principal);
    *token = (struct wp_oauth_token){0};
}

/* ---- the answer ---- */

/* Base64 with the URL's alphabet and without padding (RFC 4648, section 5), as in a JWT. */
static bool decode_part(struct wp_str part, struct wp_buf *out) {
    struct wp_buf plain = {0};
    for (size_t i = 0; i < part.len; i++) {
        char c = part.ptr[i] == '-' ? '+' : part.ptr[i] == '_' ? '/' : part.ptr[i];
        wp_buf_add(&plain, &c, 1);
    }
    while (plain.len % 4) wp_buf_add(&plain, "=", 1);
    bool ok = wp_base64_decode(out, wp_buf_str(&plain));
    wp_buf_done(&plain);
    return ok;
}

/* The claims of a JWT (RFC 7519), which is HEADER.CLAIMS.SIGNATURE; NULL: the token is something else.
 * Whether it is genuine is for the broker to find out. */
static json_t *claims_of(const char *token) {
    const char *begin = strchr(token, '.'), *end = begin ? strchr(begin + 1, '.') : NULL;
    if (!end) return NULL;
    struct wp_buf text = {0};
    json_t *claims = NULL;
    if (decode_part((struct wp_str){begin + 1, (size_t)(end - begin - 1)}, &text))
        claims = json_loadb(text.data ? text.data : "", text.len, 0, NULL);
    wp_buf_done(&text);
    if (json_is_object(claims)) return claims;
    json_decref(claims);
    return NULL;
}

static const char *text_of(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    return text && *text ? text : NULL;
}

static int64_t expiry(const json_t *answer, const json_t *claims, int64_t now_ms) {
    const json_t *in = json_object_get(answer, "expires_in"), *at = json_object_get(claims, "exp");
    if (json_is_number(in)) return now_ms + (int64_t)(json_number_value(in) * 1000);
    if (json_is_string(in)) return now_ms + strtoll(json_string_value(in), NULL, 10) * 1000;
    return json_is_number(at) ? (int64_t)(json_number_value(at) * 1000) : 0;
}

/* RFC 6750, section 2.1, as librdkafka wants it, whose own message would repeat the token. */
static bool is_sendable(const char *token) {
    for (; *token; token++)
        if (*token < 0x21 || *token > 0x7e) return false;
    return true;
}

static enum wp_err read_token(const struct wp_oauth_request *request, const json_t *answer, int64_t now_ms,
                              struct wp_oauth_token *ret, struct wp_error *error) {
    const char *token = text_of(answer, "access_token");
    if (!token || !is_sendable(token))
        return wp_fail(
            error, WP_ERR_KAFKA,
            "the token endpoint %s answers with something else than JSON with an access_token: is " KEY
            "token.endpoint.url right?",
            request->url);
    json_t *claims = claims_of(token);
    const char *subject = text_of(claims, "sub");
    int64_t expires_ms = expiry(answer, claims, now_ms);
    if (expires_ms > now_ms)
        *ret =
            (struct wp_oauth_token){.token = wp_strndup(wp_str(token)),
                                    .principal = wp_strndup(wp_str(subject ? subject : request->client_id)),
                                    .expires_ms = expires_ms};
    json_decref(claims);
    if (expires_ms > now_ms) return WP_OK;
    return wp_fail(
        error, WP_ERR_KAFKA,
        "the token endpoint %s gives a token %s: see to the clocks of both machines, and to its settings",
        request->url, expires_ms ? "that has expired already" : "without saying how long it is valid");
}

/* RFC 6749, section 5.2: {"error": "invalid_client", "error_description": "..."} */
static enum wp_err refused(const struct wp_oauth_request *request, long status, const json_t *answer,
                           struct wp_error *error) {
    const char *code = text_of(answer, "error"), *words = text_of(answer, "error_description");
    bool client = status == 401 || status == 403 || (code && strstr(code, "client"));
    bool scope = code && strcmp(code, "invalid_scope") == 0;
    return wp_fail(error, WP_ERR_KAFKA, "the token endpoint %s answers HTTP %ld%s%.60s%s%.160s%s",
                   request->url, status, code ? " " : "", code ? code : "", words ? ": " : "",
                   words ? words : "",
                   scope    ? "; mend " KEY "scope"
                   : client ? "; mend " KEY "client.id or " KEY "client.secret"
                            : "; its own log says why, if " KEY "token.endpoint.url is right");
}

enum wp_err wp_oauth_read(const struct wp_oauth_request *request, long status, const char *answer, size_t len,
                          int64_t now_ms, struct wp_oauth_token *ret, struct wp_error *error) {
    *ret = (struct wp_oauth_token){0};
    json_t *json = json_loadb(answer ? answer : "", len, 0, NULL);
    enum wp_err err =
        status == 200 ? read_token(request, json, now_ms, ret, error) : refused(request, status, json, error);
    json_decref(json);
    return err;
}

/* ---- the request ---- */

static size_t on_body(char *bytes, size_t size, size_t count, void *ctx) {
    struct wp_buf *answer = ctx;
    if (answer->len + size * count > ANSWER_MAX) return 0; /* ends the transfer */
    wp_buf_add(answer, bytes, size * count);
    return size * count;
}

static void add_parameter(CURL *curl, struct wp_buf *form, const char *name, const char *value) {
    char *escaped = curl_easy_escape(curl, value, 0);
    wp_assert(escaped);
    wp_buf_printf(form, "%s%s=%s", form->len ? "&" : "", name, escaped);
    curl_free(escaped);
}

static void set_options(CURL *curl, const struct wp_oauth_request *request, struct wp_buf *answer,
                        char *why) {
    curl_easy_setopt(curl, CURLOPT_URL, request->url);
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    curl_easy_setopt(curl, CURLOPT_USERNAME, request->client_id);
    curl_easy_setopt(curl, CURLOPT_PASSWORD, request->client_secret);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)ALL_MS);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "warmpool");
    if (request->ca) curl_easy_setopt(curl, CURLOPT_CAINFO, request->ca);
}

static int64_t wall_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static enum wp_err perform(CURL *curl, const struct wp_oauth_request *request, struct wp_oauth_token *ret,
                           struct wp_error *error) {
    struct wp_buf form = {0}, answer = {0};
    char why[CURL_ERROR_SIZE] = "";
    long status = 0;
    add_parameter(curl, &form, "grant_type", "client_credentials");
    if (request->scope) add_parameter(curl, &form, "scope", request->scope);
    wp_buf_add(&form, "", 1);
    set_options(curl, request, &answer, why);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, form.data);
    int64_t now_ms = wall_ms(); /* the token's life may have begun any time after this */
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    enum wp_err err = code ? wp_fail(error, WP_ERR_KAFKA, "the token endpoint %s does not answer: %s",
                                     request->url, *why ? why : curl_easy_strerror(code))
                           : wp_oauth_read(request, status, answer.data, answer.len, now_ms, ret, error);
    wp_buf_done(&form);
    wp_buf_done(&answer);
    return err;
}

enum wp_err wp_oauth_request(const struct wp_oauth_request *request, struct wp_oauth_token *ret,
                             struct wp_error *error) {
    *ret = (struct wp_oauth_token){0};
    CURL *curl = curl_easy_init();
    wp_assert(curl);
    enum wp_err err = perform(curl, request, ret, error);
    curl_easy_cleanup(curl);
    return err;
}
