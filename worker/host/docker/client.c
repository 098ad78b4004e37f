/* The docker client: owns the calls (waiting for the API version, or under way as transfers of libcurl). One
 * thread: the loop's. */
#include "host/docker/client.h"
#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include "core/buf.h"
#include "core/clock.h"
#include "http/transfers.h"

#define ANSWER_MAX (64 << 20) /* bytes of one answer, or of one line of a stream */

struct docker_call {
    struct wp_docker_client *engine;
    char *method, *path, *body;   /* owned; body may be NULL */
    bool elsewhere, connect_only; /* elsewhere: path is a whole URL that is not the engine's */
    int64_t max_ms, quiet_ms; /* of a stream: quiet_ms without a byte end it; 0: it may be silent for ever */
    wp_docker_client_done done;
    wp_docker_client_line line; /* of a stream */
    void (*opened)(void *ctx);  /* of a stream */
    void *ctx;
    CURL *curl; /* NULL while it waits for the version */
    struct curl_slist *headers;
    struct wp_buf answer;
    char why[CURL_ERROR_SIZE];
    struct docker_call *prev, *next;
};

struct wp_docker_client {
    const struct wp_config *config; /* borrowed */
    char *socket_path;              /* owned; NULL: TCP */
    char *base;                     /* owned: "http://docker", "https://host:2376" */
    char version[16];               /* empty: not known */
    struct wp_transfers *transfers;
    uv_timer_t failer; /* ends the calls in `failed` on the loop's next turn */
    struct docker_call *active, *waiting, *failed;
    bool asking_version, closed;
};

static void start_call(struct docker_call *call);

/* --- calls ---------------------------------------------------------------------------------------------- */

static void free_call(struct docker_call *call) {
    if (call->curl) {
        wp_transfers_remove(call->engine->transfers, call->curl);
        curl_easy_cleanup(call->curl);
    }
    for (struct curl_slist *header = call->headers; header; header = header->next)
        explicit_bzero(header->data, strlen(header->data)); /* one may hold credentials */
    curl_slist_free_all(call->headers);
    wp_buf_done(&call->answer);
    free(call->method);
    free(call->path);
    free(call->body);
    free(call);
}

/* The engine's own message about a refusal; owned by the caller. */
static char *describe_refusal(const struct docker_call *call, long status) {
    json_t *json = call->answer.len > 0 ? json_loadb(call->answer.data, call->answer.len, 0, NULL) : NULL;
    const char *message = json_string_value(json_object_get(json, "message"));
    char *text = message ? wp_strdup(message)
                         : wp_format("the Docker engine answered %s %s with status %ld", call->method,
                                     call->path, status);
    json_decref(json);
    return text;
}

static void finish(struct docker_call *call, long status) {
    char *error = call->elsewhere ? wp_format("%s: %s", call->path, status ? "" : call->why)
                  : status == 0   ? wp_format("the Docker engine at %s does not answer: %s",
                                              call->engine->config->docker.url, call->why)
                  : status >= 400 ? describe_refusal(call, status)
                                  : wp_strdup("");
    struct wp_docker_client_answer answer = {
        .status = status, .body = wp_buf_str(&call->answer), .error = error};
    call->done(call->ctx, &answer);
    free(error);
    free_call(call);
}

static void on_failed(uv_timer_t *timer) {
    struct wp_docker_client *engine = timer->data;
    struct docker_call *turn = engine->failed;
    engine->failed = NULL;
    while (turn) {
        struct docker_call *call = turn;
        DL_DELETE(turn, call);
        finish(call, 0);
    }
}

static void fail_later(struct docker_call *call, const char *why) {
    snprintf(call->why, sizeof call->why, "%s", why);
    DL_APPEND(call->engine->failed, call);
    uv_timer_start(&call->engine->failer, on_failed, 0, 0);
}

static bool is_stream(const struct docker_call *call) {
    return call->line != NULL;
}

/* Calls `line` for each whole line, and keeps the rest in the buffer. */
static void notify_lines(struct docker_call *call) {
    struct wp_buf *buf = &call->answer;
    size_t from = 0;
    for (const char *end; (end = memchr(buf->data + from, '\n', buf->len - from));) {
        size_t length = (size_t)(end - (buf->data + from));
        if (length > 0) call->line(call->ctx, (struct wp_str){buf->data + from, length});
        from += length + 1;
    }
    memmove(buf->data, buf->data + from, buf->len - from);
    buf->len -= from;
}

static size_t on_data(char *data, size_t size, size_t count, void *ctx) {
    struct docker_call *call = ctx;
    long status = 0;
    if (call->elsewhere) return 0; /* only its status matters: makes libcurl end the call with an error */
    if (call->answer.len + size * count > ANSWER_MAX) return 0;
    wp_buf_add(&call->answer, data, size * count);
    curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &status);
    if (is_stream(call) && status == 200) notify_lines(call);
    return size * count;
}

/* libcurl calls this for each header line; the last one is empty. */
static size_t on_header(char *data, size_t size, size_t count, void *ctx) {
    struct docker_call *call = ctx;
    long status = 0;
    curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &status);
    if (call->opened && status == 200 && size * count == 2 && data[0] == '\r') call->opened(call->ctx);
    return size * count;
}

static void set_transport(struct wp_docker_client *engine, CURL *curl) {
    const struct wp_config *config = engine->config;
    if (engine->socket_path) curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, engine->socket_path);
    if (config->docker.tls_ca[0]) curl_easy_setopt(curl, CURLOPT_CAINFO, config->docker.tls_ca);
    if (config->docker.tls_cert[0]) curl_easy_setopt(curl, CURLOPT_SSLCERT, config->docker.tls_cert);
    if (config->docker.tls_key[0]) curl_easy_setopt(curl, CURLOPT_SSLKEY, config->docker.tls_key);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
}

static char *url_of(const struct docker_call *call) {
    bool versioned = strcmp(call->path, "/_ping") != 0;
    if (call->elsewhere) return wp_strdup(call->path);
    return wp_format("%s%s%s%s", call->engine->base, versioned ? "/v" : "",
                     versioned ? call->engine->version : "", call->path);
}

static void start_call(struct docker_call *call) {
    struct wp_docker_client *engine = call->engine;
    char *url = url_of(call);
    CURL *curl = call->curl = curl_easy_init();
    wp_assert(curl);
    if (!call->elsewhere) set_transport(engine, curl);
    if (call->connect_only) curl_easy_setopt(curl, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
    if (strcmp(call->method, "HEAD") == 0) curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    if (strcmp(call->method, "POST") == 0) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call->body ? call->body : "");
        call->headers = curl_slist_append(call->headers, "Content-Type: application/json");
    }
    call->headers = curl_slist_append(call->headers, "Expect:");
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, call->headers);
    if (!is_stream(call)) curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)call->max_ms);
    if (call->quiet_ms > 0) { /* libcurl takes whole seconds */
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)(call->quiet_ms + 999) / 1000);
    }
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, call->why);
    curl_easy_setopt(curl, CURLOPT_PRIVATE, call);
    free(url);
    DL_APPEND(engine->active, call);
    wp_transfers_add(engine->transfers, curl);
}

/* --- the version -----------------------------------------------------------------------------------------
 */

static void ask_version(struct wp_docker_client *engine);

/* Starts the calls that waited for the version, or for libcurl to return. */
static void start_waiting(struct wp_docker_client *engine) {
    if (engine->waiting && !engine->version[0]) ask_version(engine);
    while (engine->waiting && engine->version[0]) {
        struct docker_call *call = engine->waiting;
        DL_DELETE(engine->waiting, call);
        start_call(call);
    }
}

static void fail_waiting(struct wp_docker_client *engine, const char *why) {
    while (engine->waiting) {
        struct docker_call *call = engine->waiting;
        DL_DELETE(engine->waiting, call);
        fail_later(call, why);
    }
}

static bool is_at_least_1_41(const char *version) {
    int major = 0, minor = 0;
    return sscanf(version, "%d.%d", &major, &minor) == 2 && (major > 1 || (major == 1 && minor >= 41));
}

static void on_version(struct docker_call *call, long status) {
    struct wp_docker_client *engine = call->engine;
    struct curl_header *header = NULL;
    engine->asking_version = false;
    if (status == 200 &&
        curl_easy_header(call->curl, "Api-Version", 0, CURLH_HEADER, -1, &header) == CURLHE_OK &&
        is_at_least_1_41(header->value) && strlen(header->value) < sizeof engine->version) {
        snprintf(engine->version, sizeof engine->version, "%s", header->value);
    } else if (status == 0) {
        fail_waiting(engine, call->why);
    } else {
        char why[128];
        snprintf(why, sizeof why, "its API version is %.20s; 1.41 (Docker 20.10) or later is needed",
                 header ? header->value : "not given");
        fail_waiting(engine, why);
    }
    free_call(call);
}

static struct docker_call *new_call(struct wp_docker_client *engine, const char *method, const char *path,
                                    const char *body) {
    struct docker_call *call = wp_calloc(1, sizeof *call);
    call->engine = engine;
    call->method = wp_strdup(method);
    call->path = wp_strdup(path);
    call->body = body ? wp_strdup(body) : NULL;
    call->max_ms = engine->config->docker.timeout_ms;
    return call;
}

static void limit_time(struct docker_call *call, int64_t max_ms) {
    if (max_ms < call->max_ms) call->max_ms = max_ms;
}

static void ask_version(struct wp_docker_client *engine) {
    if (engine->asking_version) return;
    engine->asking_version = true;
    struct docker_call *call = new_call(engine, "GET", "/_ping", NULL);
    limit_time(call, WP_DOCKER_PING_MS);
    start_call(call);
}

static void begin(struct docker_call *call) {
    DL_APPEND(call->engine->waiting, call);
    if (!call->engine->closed && !wp_transfers_inside(call->engine->transfers)) start_waiting(call->engine);
}

void wp_docker_client_call(struct wp_docker_client *engine, const char *method, const char *path,
                           const char *body, wp_docker_client_done done, void *ctx) {
    struct docker_call *call = new_call(engine, method, path, body);
    call->done = done;
    call->ctx = ctx;
    begin(call);
}

void wp_docker_client_get(struct wp_docker_client *engine, const char *path, int64_t max_ms,
                          wp_docker_client_done done, void *ctx) {
    struct docker_call *call = new_call(engine, "GET", path, NULL);
    limit_time(call, max_ms);
    call->done = done;
    call->ctx = ctx;
    begin(call);
}

void wp_docker_client_watch(struct wp_docker_client *engine, const char *path, void (*opened)(void *ctx),
                            wp_docker_client_line line, wp_docker_client_done done, void *ctx) {
    struct docker_call *call = new_call(engine, "GET", path, NULL);
    call->opened = opened;
    call->line = line;
    call->done = done;
    call->ctx = ctx;
    begin(call);
}

void wp_docker_client_pull(struct wp_docker_client *engine, const char *path, const char *auth,
                           wp_docker_client_line line, wp_docker_client_done done, void *ctx) {
    struct docker_call *call = new_call(engine, "POST", path, NULL);
    if (auth) {
        char *header = wp_format("X-Registry-Auth: %s", auth);
        call->headers = curl_slist_append(NULL, header);
        explicit_bzero(header, strlen(header));
        free(header);
    }
    call->quiet_ms = call->max_ms;
    call->line = line;
    call->done = done;
    call->ctx = ctx;
    begin(call);
}

void wp_docker_client_reach(struct wp_docker_client *engine, const char *url, bool connect_only,
                            int64_t max_ms, wp_docker_client_done done, void *ctx) {
    struct docker_call *call = new_call(engine, "GET", url, NULL);
    call->elsewhere = true;
    call->connect_only = connect_only;
    call->max_ms = max_ms;
    call->done = done;
    call->ctx = ctx;
    begin(call);
}

char *wp_docker_client_escape(struct wp_str text) {
    struct wp_buf out = {0};
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        wp_buf_printf(&out, isalnum(c) || (c && strchr("-._~:/@", c)) ? "%c" : "%%%02X", c);
    }
    wp_buf_add(&out, "", 1);
    return out.data;
}

/* --- libcurl on the loop ----------------------------------------------------------------------------------
 */

/* libcurl says of a socket only that it could not connect. */
static void describe_socket(struct docker_call *call) {
    long number = 0;
    curl_easy_getinfo(call->curl, CURLINFO_OS_ERRNO, &number);
    if (number == EACCES || number == EPERM)
        snprintf(call->why, sizeof call->why,
                 WP_DOCKER_DENIED
                 ": this worker's user may not use it; add the user to the socket's group, with "
                 "compose by DOCKER_GID");
    else if (number != 0)
        snprintf(call->why, sizeof call->why, "%s", strerror((int)number));
}

static void end_call(struct docker_call *call, CURLcode code) {
    struct wp_docker_client *engine = call->engine;
    long status = 0;
    if (code == CURLE_COULDNT_CONNECT && engine->socket_path && !call->elsewhere) describe_socket(call);
    DL_DELETE(engine->active, call);
    if (code == CURLE_OK || call->elsewhere) curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &status);
    if (code != CURLE_OK && !call->why[0])
        snprintf(call->why, sizeof call->why, "%s", curl_easy_strerror(code));
    if (code == CURLE_OK && call->connect_only) status = 200;
    /* Ask for the version again: another engine may answer next time. One that is too slow is the same. */
    if (status == 0 && !call->elsewhere && code != CURLE_OPERATION_TIMEDOUT) engine->version[0] = '\0';
    if (call->done)
        finish(call, status);
    else
        on_version(call, status);
}

static void on_ended(void *ctx, CURL *curl, CURLcode code) {
    struct docker_call *call;
    (void)ctx;
    curl_easy_getinfo(curl, CURLINFO_PRIVATE, &call);
    end_call(call, code);
}

static void on_settled(void *ctx) {
    start_waiting(ctx);
}

/* --- life -------------------------------------------------------------------------------------------------
 */

static enum wp_err parse_url(struct wp_docker_client *engine, const char *url, struct wp_error *error) {
    if (strncmp(url, "unix://", 7) == 0 && url[7] == '/') {
        engine->socket_path = wp_strdup(url + 7);
        engine->base = wp_strdup("http://docker");
        return WP_OK;
    }
    if (strncmp(url, "tcp://", 6) == 0 && url[6]) {
        engine->base = wp_format("%s://%s", engine->config->docker.tls_ca[0] ? "https" : "http", url + 6);
        return WP_OK;
    }
    return wp_fail(error, WP_ERR_CONFIG, "docker.url = %s: unix:///path or tcp://host:port is wanted", url);
}

enum wp_err wp_docker_client_open(struct wp_docker_client **ret_engine, uv_loop_t *loop,
                                  const struct wp_config *config, struct wp_error *error) {
    struct wp_docker_client *engine = wp_calloc(1, sizeof *engine);
    *engine = (struct wp_docker_client){.config = config};
    if (parse_url(engine, config->docker.url, error) != WP_OK) {
        free(engine);
        return error->code;
    }
    engine->transfers = wp_transfers_new(loop, &(struct wp_transfers_handler){on_ended, on_settled}, engine);
    uv_timer_init(loop, &engine->failer);
    engine->failer.data = engine;
    *ret_engine = engine;
    return WP_OK;
}

static bool is_busy(const struct wp_docker_client *engine) {
    for (const struct docker_call *call = engine->active; call; call = call->next)
        if (!is_stream(call)) return true;
    return engine->waiting || engine->failed;
}

void wp_docker_client_drain(struct wp_docker_client *engine, int64_t max_ms) {
    int64_t end = wp_clock_us() + max_ms * 1000;
    while (is_busy(engine) && wp_clock_us() < end) {
        wp_transfers_step(engine->transfers, 20);
        on_failed(&engine->failer);
    }
}

static void on_failer_closed(uv_handle_t *handle) {
    struct wp_docker_client *engine = handle->data;
    free(engine->socket_path);
    free(engine->base);
    free(engine);
}

static void end_all(struct docker_call *calls) {
    struct docker_call *call, *next;
    DL_FOREACH_SAFE(calls, call, next) {
        snprintf(call->why, sizeof call->why, "the worker stops");
        if (call->done)
            finish(call, 0);
        else
            free_call(call); /* the request for the version, which has no callback */
    }
}

void wp_docker_client_close(struct wp_docker_client *engine) {
    if (!engine) return;
    engine->closed = true; /* no call is started any more */
    end_all(engine->active);
    end_all(engine->waiting);
    end_all(engine->failed);
    wp_transfers_free(engine->transfers);
    uv_close((uv_handle_t *)&engine->failer, on_failer_closed);
}
