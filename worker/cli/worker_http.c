/* One request to a worker over libcurl: see worker_http.h. No state. */
#include "cli/worker_http.h"
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include "core/buf.h"

#define TIMEOUT_MS 60000L /* a worker answers when it has read its configuration */
#define ANSWER_MAX (16u << 20)

bool wp_worker_http_is_known(const struct wp_config *config) {
    const char *colon = strrchr(config->http.listen, ':');
    return colon && strspn(colon + 1, "0") != strlen(colon + 1);
}

/* A worker that listens at every address is asked at the loopback's. */
static char *url_of(const char *listen, const char *path) {
    const char *colon = strrchr(listen, ':');
    struct wp_str host = {listen, (size_t)(colon - listen)};
    if (host.len == 0 || wp_str_is(host, "0.0.0.0")) host = WP_STR("127.0.0.1");
    if (wp_str_is(host, "[::]")) host = WP_STR("[::1]");
    return wp_format("http://%.*s%s%s", (int)host.len, host.ptr, colon, path);
}

static size_t on_data(char *data, size_t size, size_t count, void *ctx) {
    struct wp_buf *answer = ctx;
    if (answer->len + size * count > ANSWER_MAX) return 0;
    wp_buf_add(answer, data, size * count);
    return size * count;
}

static CURLcode ask(const char *url, const char *method, struct wp_buf *answer, long *ret_status) {
    CURL *curl = curl_easy_init();
    if (!curl) return CURLE_FAILED_INIT;
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer);
    if (strcmp(method, "POST") == 0) curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
    CURLcode code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_status);
    curl_easy_cleanup(curl);
    return code;
}

enum wp_err wp_worker_http(const struct wp_config *config, const char *method, const char *path,
                           json_t **ret_json, struct wp_error *error) {
    struct wp_buf answer = {0};
    long status = 0;
    char *url = url_of(config->http.listen, path);
    CURLcode code = ask(url, method, &answer, &status);
    *ret_json = code == CURLE_OK ? json_loadb(answer.data ? answer.data : "", answer.len, 0, NULL) : NULL;
    enum wp_err err = WP_OK;
    if (code != CURLE_OK)
        err =
            wp_fail(error, WP_ERR_NOT_FOUND,
                    "no worker answers at %s: %s; http.listen has to be the one that the worker was started "
                    "with (-o http.listen=HOST:PORT)",
                    url, curl_easy_strerror(code));
    else if (!json_is_object(*ret_json))
        err = wp_fail(error, WP_ERR_NOT_FOUND, "%s answered with status %ld: %.*s", url, status,
                      (int)(answer.len < 200 ? answer.len : 200), answer.data ? answer.data : "");
    if (err) {
        wp_str_cut(error->text);
        for (char *at = error->text; *at; at++)
            if (*at == '\n') *at = ' ';
        json_decref(*ret_json);
        *ret_json = NULL;
    }
    wp_buf_done(&answer);
    free(url);
    return err;
}
