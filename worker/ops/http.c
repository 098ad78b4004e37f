/* Owns the HTTP daemon and the status page. The loop polls libmicrohttpd's epoll descriptor, so requests are
 * answered on the loop's thread. */
#include "ops/http.h"
#include "core/log.h"
#include "ops/http_address.h"
#include "ops/http_reload.h"
#include "ops/page.h"
#include "ops/prometheus.h"
#include "ops/readiness.h"
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdlib.h>
#include <unistd.h>

/* Enough that clients which keep connections open, or never finish a request, do not keep the others from
 * asking whether the worker is ready. */
#define MAX_CONNECTIONS 256u
#define IDLE_SECONDS 10u /* then a connection is closed */
enum { END_TURNS = 3 };  /* of the daemon, until its streams have ended: resumed, told of the end, closed */

struct http {
    const struct ops_snapshot *snapshot;
    struct shared_reader *reader;
    struct page *page;
    struct http_reloads reloads;
    struct MHD_Daemon *daemon;
    uv_poll_t poll;
    uv_timer_t timer;
    int open_handles;
    struct wp_buf body;
};

static void on_timer(uv_timer_t *timer);

static void turn(struct http *http) {
    MHD_UNSIGNED_LONG_LONG wait_ms;
    MHD_run(http->daemon);
    if (MHD_get_timeout(http->daemon, &wait_ms) != MHD_YES || wait_ms > 1000) wait_ms = 1000;
    uv_timer_start(&http->timer, on_timer, wait_ms, 0);
}

static void on_timer(uv_timer_t *timer) {
    turn(timer->data);
}

static void on_readable(uv_poll_t *poll, int status, int events) {
    (void)status, (void)events;
    turn(poll->data);
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type,
                              struct wp_str text) {
    struct MHD_Response *response =
        MHD_create_response_from_buffer(text.len, (void *)(uintptr_t)text.ptr, MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_method(struct MHD_Connection *connection, const char *allowed) {
    char text[64];
    int length = snprintf(text, sizeof text, "only %s answered here\n",
                          strcmp(allowed, "POST") == 0 ? "POST is" : "GET and HEAD are");
    struct MHD_Response *response =
        MHD_create_response_from_buffer((size_t)length, text, MHD_RESPMEM_MUST_COPY);
    MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, allowed);
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_METHOD_NOT_ALLOWED, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_text(struct MHD_Connection *connection, unsigned status, const char *text) {
    return answer(connection, status, "text/plain; charset=utf-8", wp_str(text));
}

static enum MHD_Result answer_ready(struct http *http, struct MHD_Connection *connection) {
    wp_buf_reset(&http->body);
    readiness_write(http->snapshot->base->stats, &http->body);
    if (http->body.len == 0) return answer_text(connection, MHD_HTTP_OK, "ready\n");
    return answer(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "text/plain; charset=utf-8",
                  wp_buf_str(&http->body));
}

static int seen; /* its address marks a request whose headers have come */

static void on_completed(void *ctx, struct MHD_Connection *connection, void **request,
                         enum MHD_RequestTerminationCode code) {
    (void)ctx, (void)connection, (void)code;
    if (*request && *request != &seen) http_reload_over(*request);
    *request = NULL;
}

static void add_key(void *ctx, const char *key, const char *value) {
    json_object_set_new(ctx, key, json_string(value));
}

/* The configuration in force, without secrets. */
static enum MHD_Result answer_config(struct http *http, struct MHD_Connection *connection) {
    json_t *keys = json_object();
    wp_config_each(http->snapshot->base->config, add_key, keys);
    json_t *all = json_pack("{s:s, s:i, s:o}", "version", WP_VERSION, "pid", (int)getpid(), "config", keys);
    char *text = json_dumps(all, JSON_INDENT(2));
    enum MHD_Result result = answer(connection, MHD_HTTP_OK, "application/json", wp_str(text));
    free(text);
    json_decref(all);
    return result;
}

/* A page in somebody's browser may send requests here, too, and a proxy of this machine those of others:
 * browsers name the page's origin, proxies themselves or their client. */
static bool is_for_operators(struct MHD_Connection *connection) {
    static const char *const of_others[] = {"Origin", "Forwarded", "X-Forwarded-For", "X-Real-IP", "Via"};
    for (size_t i = 0; i < sizeof of_others / sizeof *of_others; i++)
        if (MHD_lookup_connection_value(connection, MHD_HEADER_KIND, of_others[i])) return false;
    return http_is_local(connection);
}

static enum MHD_Result answer_operator(struct http *http, struct MHD_Connection *connection, const char *url,
                                       const char *method, void **request) {
    bool reload = strcmp(url, "/reload") == 0, post = strcmp(method, MHD_HTTP_METHOD_POST) == 0;
    if (!is_for_operators(connection))
        return answer_text(connection, MHD_HTTP_FORBIDDEN,
                           "only programs of the worker's own machine are answered here\n");
    if (reload != post) return answer_method(connection, reload ? "POST" : "GET, HEAD");
    return reload ? http_reload_begin(&http->reloads, connection, request) : answer_config(http, connection);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **request) {
    struct http *http = ctx;
    enum MHD_Result result;
    (void)version, (void)upload;
    if (!*request) { /* libmicrohttpd calls first with the headers alone: answer the next call */
        *request = &seen;
        return MHD_YES;
    }
    if (*upload_size > 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    if (*request != &seen) return http_reload_answer(*request, connection);
    if (strcmp(url, "/reload") == 0 || strcmp(url, "/config") == 0)
        return answer_operator(http, connection, url, method, request);
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return answer_method(connection, "GET, HEAD");
    if (strcmp(url, "/healthz") == 0) return answer_text(connection, MHD_HTTP_OK, "ok\n");
    if (strcmp(url, "/readyz") == 0) return answer_ready(http, connection);
    if (strcmp(url, "/metrics") == 0) {
        shared_read_if_old(http->reader);
        wp_buf_reset(&http->body);
        wp_prometheus_write(http->snapshot, &http->body);
        return answer(connection, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8",
                      wp_buf_str(&http->body));
    }
    if (page_answer(http->page, connection, url, strcmp(method, MHD_HTTP_METHOD_HEAD) == 0, &result))
        return result;
    return answer_text(connection, MHD_HTTP_NOT_FOUND,
                       "there are /healthz, /readyz, /metrics and, at /, the status page\n");
}

static int listen_on(const struct addrinfo *address) {
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), yes = 1;
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, 64) == 0) return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static void log_address(int fd) {
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    char host[INET6_ADDRSTRLEN], port[8];
    if (getsockname(fd, (struct sockaddr *)&address, &size) == 0 &&
        getnameinfo((struct sockaddr *)&address, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) == 0)
        wp_log(WP_LOG_INFO, "http_listening",
               address.ss_family == AF_INET6 ? "address=[%s]:%s" : "address=%s:%s", host, port);
}

enum wp_err http_new(struct http **ret_http, const struct ops_snapshot *snapshot,
                     struct shared_reader *reader, struct wp_error *error) {
    const struct ops_base *base = snapshot->base;
    const char *listen = base->config->http.listen;
    *ret_http = NULL;
    if (listen[0] == '\0') return WP_OK;
    struct addrinfo *address;
    enum wp_err err = http_address(listen, &address, error);
    if (err) return err;
    int fd = listen_on(address);
    freeaddrinfo(address);
    if (fd < 0)
        return wp_fail(error, WP_ERR_CONFIG,
                       "http.listen = %s cannot be listened on: %s; give another port (0 = any), or leave "
                       "http.listen empty to do without",
                       listen, strerror(errno));
    struct http *http = wp_calloc(1, sizeof *http);
    http->snapshot = snapshot;
    http->reader = reader;
    http->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, http,
                                    MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS,
                                    MHD_OPTION_NOTIFY_COMPLETED, on_completed, http,
                                    MHD_OPTION_CONNECTION_LIMIT, MAX_CONNECTIONS, MHD_OPTION_END);
    if (!http->daemon) {
        int saved = errno;
        close(fd);
        free(http);
        return wp_fail(error, WP_ERR_SYSTEM, "http.listen = %s: the HTTP daemon does not start: %s", listen,
                       strerror(saved));
    }
    log_address(fd);
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    uv_poll_init(base->loop, &http->poll, info->epoll_fd);
    uv_timer_init(base->loop, &http->timer);
    http->poll.data = http->timer.data = http;
    http->page = page_new(snapshot, reader);
    http->open_handles = 2;
    uv_poll_start(&http->poll, UV_READABLE, on_readable);
    turn(http);
    *ret_http = http;
    return WP_OK;
}

void http_on_reload(struct http *http, unsigned (*ask)(void *ctx), void *ctx) {
    http->reloads.ask = ask;
    http->reloads.ctx = ctx;
}

void http_reloaded(struct http *http, unsigned round, unsigned status, const char *json) {
    http_reload_done(&http->reloads, round, status, json);
    turn(http);
}

int http_port(const struct http *http) {
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(http->daemon, MHD_DAEMON_INFO_LISTEN_FD);
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {.v6 = {0}};
    socklen_t size = sizeof address;
    if (getsockname(info->listen_fd, &address.any, &size) != 0) return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

static void on_closed(uv_handle_t *handle) {
    struct http *http = handle->data;
    if (--http->open_handles > 0) return;
    wp_buf_done(&http->body);
    free(http);
}

void http_free(struct http *http) {
    if (!http) return;
    http_reloaded(http, UINT_MAX, MHD_HTTP_SERVICE_UNAVAILABLE,
                  "{\"ok\":false,\"error\":\"the worker is stopping\"}");
    uv_close((uv_handle_t *)&http->poll, on_closed); /* before its descriptor */
    page_end(http->page);
    for (int i = 0; i < END_TURNS; i++) MHD_run(http->daemon);
    MHD_stop_daemon(http->daemon);
    page_free(http->page);
    uv_close((uv_handle_t *)&http->timer, on_closed);
}
