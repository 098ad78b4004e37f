/* Requests to the collector: see collector.h. Owns libcurl's handle, which keeps the connection open. */
#include "trace/collector.h"
#include <stdlib.h>
#include "core/buf.h"
#include "core/secret.h"
#include "http/transfers.h"
#include "trace/span.h"

enum { ANSWER_MAX = 65536, CONNECT_MS = 5000 };

struct wp_collector {
    const struct wp_config *config; /* borrowed */
    struct wp_transfers *transfers;
    CURL *curl;
    char *url;                  /* owned */
    struct curl_slist *headers; /* owned; may hold credentials */
    struct wp_buf answer;
    bool under_way;
    char error[CURL_ERROR_SIZE];
    wp_collector_done done;
    void *ctx;
};

/* ---- answers ---- */

static void say_partial(const struct wp_spans_answer *from, struct wp_collector_answer *ret) {
    if (from->rejected > 0)
        snprintf(ret->why, sizeof ret->why, "the collector has not taken %lld spans of a batch: %.*s",
                 (long long)from->rejected, (int)from->reason.len, from->reason.ptr);
    else if (from->reason.len > 0)
        snprintf(ret->why, sizeof ret->why, "the collector warns: %.*s", (int)from->reason.len,
                 from->reason.ptr);
}

static void judge_success(const struct wp_collector *collector, struct wp_collector_answer *ret) {
    struct wp_spans_answer answer;
    if (!wp_spans_answer(wp_buf_str(&collector->answer), &answer)) {
        ret->verdict = WP_COLLECTOR_REFUSED;
        snprintf(ret->why, sizeof ret->why,
                 "what answers at %s is no collector of OTLP/HTTP; its port is 4318 as a rule",
                 collector->url);
        return;
    }
    ret->verdict = WP_COLLECTOR_TOOK;
    ret->rejected = answer.rejected;
    say_partial(&answer, ret);
}

static const char *mend(long status) {
    if (status == 401 || status == 403) return "; see trace.headers";
    if (status == 404 || status == 405 || (status >= 300 && status < 400)) return "; see trace.url";
    return status == 413 ? "; lower trace.batch" : "";
}

static void judge_status(const struct wp_collector *collector, long status, struct wp_collector_answer *ret) {
    struct wp_str words = wp_spans_refusal(wp_buf_str(&collector->answer));
    bool later = status == 429 || status == 502 || status == 503 || status == 504;
    curl_off_t seconds = 0;
    ret->verdict = later ? WP_COLLECTOR_LATER : WP_COLLECTOR_REFUSED;
    if (later && curl_easy_getinfo(collector->curl, CURLINFO_RETRY_AFTER, &seconds) == CURLE_OK)
        ret->retry_after_ms = (int64_t)seconds * 1000;
    snprintf(ret->why, sizeof ret->why, "the collector at %s has answered with status %ld%s%.*s%s",
             collector->url, status, words.len > 0 ? ": " : "", (int)words.len, words.ptr, mend(status));
}

static void judge_failure(const struct wp_collector *collector, CURLcode code,
                          struct wp_collector_answer *ret) {
    bool tls = code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
               code == CURLE_SSL_CONNECT_ERROR || code == CURLE_SSL_CERTPROBLEM;
    ret->verdict = WP_COLLECTOR_LATER;
    snprintf(ret->why, sizeof ret->why, "no answer from the collector at %s: %s%s", collector->url,
             *collector->error ? collector->error : curl_easy_strerror(code),
             tls ? "; see trace.tls_ca, trace.tls_cert and trace.tls_key" : "");
}

static void on_ended(void *ctx, CURL *curl, CURLcode code) {
    struct wp_collector *collector = ctx;
    struct wp_collector_answer answer = {0};
    long status = 0;
    wp_transfers_remove(collector->transfers, curl);
    collector->under_way = false;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    /* An answer that is too long ends with an error, and its status counts. */
    if (code != CURLE_OK && (code != CURLE_WRITE_ERROR || status == 0))
        judge_failure(collector, code, &answer);
    else if (status >= 200 && status < 300)
        judge_success(collector, &answer);
    else
        judge_status(collector, status, &answer);
    wp_str_cut(answer.why);
    collector->done(collector->ctx, &answer);
}

static size_t on_data(char *data, size_t size, size_t count, void *ctx) {
    struct wp_collector *collector = ctx;
    if (collector->answer.len + size * count > ANSWER_MAX) {
        wp_buf_add(&collector->answer, "\xff", 1); /* it is malformed from here on */
        return 0;
    }
    wp_buf_add(&collector->answer, data, size * count);
    return size * count;
}

/* ---- requests ---- */

void wp_collector_post(struct wp_collector *collector, struct wp_str body) {
    wp_assert(!collector->under_way);
    collector->under_way = true;
    collector->error[0] = '\0';
    wp_buf_reset(&collector->answer);
    curl_easy_setopt(collector->curl, CURLOPT_POSTFIELDS, body.ptr ? body.ptr : "");
    curl_easy_setopt(collector->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
    wp_transfers_add(collector->transfers, collector->curl);
}

void wp_collector_step(struct wp_collector *collector, int max_ms) {
    wp_transfers_step(collector->transfers, max_ms);
}

/* ---- how it is reached ---- */

static int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
}

/* Decodes %XX in place. False: the text would end a header's line. */
static bool decode(char *text) {
    char *to = text;
    for (const char *at = text; *at; at++, to++) {
        int high = *at == '%' ? hex_digit(at[1]) : -1, low = high >= 0 ? hex_digit(at[2]) : -1;
        *to = *at;
        if (low >= 0) {
            *to = (char)(high << 4 | low);
            at += 2;
        }
        if ((unsigned char)*to < ' ') return false;
    }
    *to = '\0';
    return true;
}

static bool is_token(const char *text) {
    return *text && strspn(text, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                 "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == strlen(text);
}

static bool add_header(struct wp_collector *collector, char *pair) {
    char *value = strchr(pair, '=');
    if (!value) return false;
    *value++ = '\0';
    while (*pair == ' ') pair++;
    if (!is_token(pair) || !decode(value)) return false;
    char *line = wp_format(*value ? "%s: %s" : "%s;%s", pair, value); /* a semicolon: an empty value */
    collector->headers = curl_slist_append(collector->headers, line);
    wp_wipe(line, strlen(line));
    free(line);
    return true;
}

/* trace.headers: name=value,name=value, as OTEL_EXPORTER_OTLP_HEADERS
 * (https://opentelemetry.io/docs/specs/otel/protocol/exporter/). */
static enum wp_err add_headers(struct wp_collector *collector, struct wp_error *error) {
    char *text = wp_strdup(collector->config->trace.headers);
    size_t len = strlen(text), number = 0;
    bool ok = true;
    for (char *at = text; *at && ok; number++) {
        char *pair = at;
        at += strcspn(at, ",");
        if (*at) *at++ = '\0';
        ok = add_header(collector, pair);
    }
    wp_wipe(text, len);
    free(text);
    if (ok) return WP_OK;
    return wp_fail(error, WP_ERR_CONFIG,
                   "trace.headers: the %zu. header is not name=value (a comma in a value is %%2C)", number);
}

static enum wp_err set_url(struct wp_collector *collector, struct wp_error *error) {
    static const char path[] = "/v1/traces";
    const char *url = collector->config->trace.url;
    size_t len = strlen(url);
    bool http = strncmp(url, "http://", 7) == 0 && url[7], https = strncmp(url, "https://", 8) == 0 && url[8];
    if ((!http && !https) || strchr(url, '?') || strchr(url, '#') || strchr(url, '@'))
        return wp_fail(error, WP_ERR_CONFIG,
                       "trace.url: http://host:port or https://host:port is wanted, such as "
                       "http://localhost:4318; credentials go into trace.headers");
    while (len > 0 && url[len - 1] == '/') len--;
    bool whole = len > strlen(path) && strncmp(url + len - strlen(path), path, strlen(path)) == 0;
    collector->url = wp_format("%.*s%s", (int)len, url, whole ? "" : path);
    return WP_OK;
}

static void set_options(struct wp_collector *collector) {
    const struct wp_config *config = collector->config;
    CURL *curl = collector->curl;
    curl_easy_setopt(curl, CURLOPT_URL, collector->url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L); /* do not wait for a name that is being resolved */
    curl_easy_setopt(curl, CURLOPT_POST, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, collector->headers);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)config->trace.timeout_ms);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, collector);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, collector->error);
    if (*config->trace.tls_ca) curl_easy_setopt(curl, CURLOPT_CAINFO, config->trace.tls_ca);
    if (*config->trace.tls_cert) curl_easy_setopt(curl, CURLOPT_SSLCERT, config->trace.tls_cert);
    if (*config->trace.tls_key) curl_easy_setopt(curl, CURLOPT_SSLKEY, config->trace.tls_key);
}

enum wp_err wp_collector_new(struct wp_collector **ret_collector, uv_loop_t *loop,
                             const struct wp_config *config, wp_collector_done done, void *ctx,
                             struct wp_error *error) {
    struct wp_collector *collector = wp_calloc(1, sizeof *collector);
    *collector = (struct wp_collector){.config = config, .done = done, .ctx = ctx};
    enum wp_err err = set_url(collector, error);
    collector->headers = curl_slist_append(NULL, "Content-Type: application/x-protobuf");
    collector->headers = curl_slist_append(collector->headers, "User-Agent: warmpool/" WP_VERSION);
    collector->headers = curl_slist_append(collector->headers, "Expect:");
    if (err == WP_OK) err = add_headers(collector, error);
    if (err) {
        wp_collector_free(collector);
        return err;
    }
    collector->transfers = wp_transfers_new(loop, &(struct wp_transfers_handler){on_ended, NULL}, collector);
    collector->curl = curl_easy_init();
    wp_assert(collector->curl);
    set_options(collector);
    *ret_collector = collector;
    return WP_OK;
}

void wp_collector_free(struct wp_collector *collector) {
    if (!collector) return;
    if (collector->under_way) wp_transfers_remove(collector->transfers, collector->curl);
    if (collector->curl) curl_easy_cleanup(collector->curl);
    wp_transfers_free(collector->transfers);
    for (struct curl_slist *header = collector->headers; header; header = header->next)
        wp_wipe(header->data, strlen(header->data));
    curl_slist_free_all(collector->headers);
    wp_buf_done(&collector->answer);
    free(collector->url);
    free(collector);
}
