/* Health, readiness and metrics over HTTP, on the loop. */
#include "ops/http.h"
#include "support/limits.h"
#include "support/ops_parts.h"
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct ops_parts parts;
static struct http *http;

static void start(void) {
    ops_parts_start(&parts, NULL);
    cr_assert_eq(http_new(&http, ops_parts_snapshot(&parts), parts.reader, NULL), WP_OK);
}
static void stop(void) {
    http_free(http);
    ops_parts_stop(&parts);
}
TestSuite(ops_http, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

/* Is this in what is answered? */
static bool answers(const char *method, const char *path, const char *expected) {
    char *answer = ops_http(&parts, AF_INET, http_port(http), method, path);
    bool found = strstr(answer, expected);
    if (!found) fprintf(stderr, "%s\n", answer);
    free(answer);
    return found;
}

Test(ops_http, is_healthy_as_long_as_the_loop_turns) {
    cr_assert(answers("GET", "/healthz", "HTTP/1.1 200 "));
    cr_assert(answers("GET", "/healthz", "\r\n\r\nok\n"));
}

Test(ops_http, says_each_reason_why_it_is_not_ready) {
    parts.stats.redis.ready = true;
    snprintf(parts.stats.state.reason, sizeof parts.stats.state.reason, "Redis has forgotten");
    cr_assert(answers("GET", "/readyz", "HTTP/1.1 503 "));
    cr_assert(answers("GET", "/readyz", "\r\n\r\nkafka: not connected yet\nstate: Redis has forgotten\n"));
    parts.stats.kafka.ready = parts.stats.state.ready = true;
    snprintf(parts.stats.host_not_ready, sizeof parts.stats.host_not_ready, "its engine does not answer");
    cr_assert(answers("GET", "/readyz", "HTTP/1.1 503 "));
    cr_assert(answers("GET", "/readyz", "\r\n\r\nhost: its engine does not answer\n"));
}

Test(ops_http, is_ready_without_a_partition) {
    parts.stats.redis.ready = parts.stats.kafka.ready = parts.stats.state.ready = true;
    cr_assert_eq(parts.stats.partitions, 0);
    cr_assert(answers("GET", "/readyz", "HTTP/1.1 200 "));
    cr_assert(answers("GET", "/readyz", "\r\n\r\nready\n"));
}

Test(ops_http, gives_metrics_as_prometheus_text) {
    parts.stats.redis_calls = 42;
    cr_assert(answers("GET", "/metrics", "Content-Type: text/plain; version=0.0.4"));
    cr_assert(answers("GET", "/metrics", "\nwarmpool_redis_calls_total 42\n"));
}

/* The rest of the request's line ends up in a header of its own. */
Test(ops_http, shows_its_configuration_to_nobody_behind_a_browser_or_a_proxy) {
    static const char *const headers[] = {"Origin: http://evil.example", "Forwarded: for=192.0.2.1",
                                          "X-Forwarded-For: 192.0.2.1", "X-Real-IP: 192.0.2.1",
                                          "Via: 1.1 proxy"};
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "/config HTTP/1.1\r\n%s\r\nX-Rest:", headers[i]);
        cr_assert(answers("GET", path, "HTTP/1.1 403 "), "%s", headers[i]);
    }
}

Test(ops_http, answers_a_head_without_a_body) {
    cr_assert(answers("HEAD", "/healthz", "HTTP/1.1 200 "));
    cr_assert_not(answers("HEAD", "/healthz", "ok\n"));
}

Test(ops_http, knows_no_other_path) {
    cr_assert(answers("GET", "/page", "HTTP/1.1 404 "));
    cr_assert(answers("GET", "/page.css/x", "HTTP/1.1 404 "));
    cr_assert(answers("GET", "/../page.css", "HTTP/1.1 404 "));
    cr_assert(answers("GET", "/healthz/x", "HTTP/1.1 404 "));
}

Test(ops_http, refuses_other_methods_and_says_which_it_takes) {
    cr_assert(answers("POST", "/metrics", "HTTP/1.1 405 "));
    cr_assert(answers("DELETE", "/healthz", "Allow: GET, HEAD"));
}

static unsigned asked;

static unsigned ask(void *ctx) {
    cr_assert_eq(ctx, &asked);
    return ++asked;
}

static void on_reload_time(uv_timer_t *timer) {
    (void)timer;
    http_reloaded(http, asked, 200, "{\"ok\":true}");
}

Test(ops_http, answers_a_reload_when_it_is_over) {
    static uv_timer_t timer; /* closed by the last turns of the loop */
    http_on_reload(http, ask, &asked);
    uv_timer_init(&parts.loop, &timer);
    uv_timer_start(&timer, on_reload_time, 50, 0);
    cr_assert(answers("POST", "/reload", "\r\n\r\n{\"ok\":true}"));
    cr_assert_eq(asked, 1);
    cr_assert(answers("GET", "/reload", "HTTP/1.1 405 "));
    cr_assert(answers("GET", "/reload", "Allow: POST\r\n"));
    cr_assert_eq(asked, 1);
    uv_close((uv_handle_t *)&timer, NULL);
}

Test(ops_http, refuses_a_reload_when_nobody_takes_it) {
    cr_assert(answers("POST", "/reload", "HTTP/1.1 503 "));
}

Test(ops_http, shows_the_configuration_without_secrets) {
    ops_parts_set(&parts, "redis.url", "redis://user:sesame@localhost");
    ops_parts_set(&parts, "docker.environment.react", "TOKEN=sesame");
    cr_assert(answers("GET", "/config", "\"pool.size\": \"10\""));
    cr_assert(answers("GET", "/config", "\"redis.url\": \"redis://user:***@localhost\""));
    cr_assert(answers("GET", "/config", "\"docker.environment.react\": \"TOKEN=***\""));
    cr_assert_not(answers("GET", "/config", "sesame"));
}

Test(ops_http, answers_beside_a_hundred_clients_that_never_ask) {
    int fds[100];
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)http_port(http)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < 100; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        cr_assert_eq(connect(fds[i], (struct sockaddr *)&address, sizeof address), 0);
        uv_run(&parts.loop, UV_RUN_NOWAIT); /* accepts it */
    }
    cr_assert(answers("GET", "/healthz", "HTTP/1.1 200 "));
    char byte;
    cr_assert_eq(recv(fds[0], &byte, 1, MSG_DONTWAIT), -1,
                 "the answer waited until the first one was closed");
}

Test(ops_http, listens_on_ipv6_in_brackets) {
    struct http *six;
    int probe = socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    bool has_ipv6 = probe >= 0 && bind(probe, (struct sockaddr *)&address, sizeof address) == 0;
    if (probe >= 0) close(probe);
    if (!has_ipv6) return; /* this machine has none */
    ops_parts_set(&parts, "http.listen", "[::1]:0");
    cr_assert_eq(http_new(&six, ops_parts_snapshot(&parts), parts.reader, NULL), WP_OK);
    char *answer = ops_http(&parts, AF_INET6, http_port(six), "GET", "/healthz");
    cr_assert(strstr(answer, " 200 "));
    free(answer);
    http_free(six);
}

Test(ops_http, an_address_that_is_taken_names_the_key) {
    struct http *second;
    struct wp_error error;
    char listen[32];
    snprintf(listen, sizeof listen, "127.0.0.1:%d", http_port(http));
    ops_parts_set(&parts, "http.listen", listen);
    cr_assert_eq(http_new(&second, ops_parts_snapshot(&parts), parts.reader, &error), WP_ERR_CONFIG);
    cr_assert(strstr(error.text, "http.listen = 127.0.0.1:") && strstr(error.text, "Address already in use"),
              "%s", error.text);
    cr_assert_null(second);
}

Test(ops_http, an_address_that_is_none_names_the_key) {
    static const char *const wrong[] = {"9464",
                                        "no.such.host.invalid:1",
                                        "127.0.0.1:http:x",
                                        "127.0.0.1:",
                                        "127.0.0.1:99999",
                                        "127.0.0.1:-1",
                                        "127.0.0.1: 9464",
                                        "127.0.0.1:0x10",
                                        "unix:/run/warmpool.sock"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct http *second;
        struct wp_error error;
        free(parts.config.http.listen);
        parts.config.http.listen = wp_strdup(wrong[i]);
        cr_assert_eq(http_new(&second, ops_parts_snapshot(&parts), parts.reader, &error), WP_ERR_CONFIG);
        cr_assert(strstr(error.text, "http.listen = "), "%s", error.text);
    }
}

Test(ops_http, an_empty_address_turns_it_off) {
    struct http *none;
    ops_parts_set(&parts, "http.listen", "");
    cr_assert_eq(http_new(&none, ops_parts_snapshot(&parts), parts.reader, NULL), WP_OK);
    cr_assert_null(none);
    http_free(none);
}
