/* The status page without a browser: its history, the figures that it is sent, and its streams. */
#include "ops/history.h"
#include "ops/http.h"
#include "ops/page_figures.h"
#include "ops/streams.h"
#include "support/limits.h"
#include "support/ops_parts.h"
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct ops_parts parts;
static struct wp_buf text;

static void start(void) {
    ops_parts_start(&parts, NULL);
    parts.optimizer = optimizer_new(&parts.base);
    parts.tuning = tuning_new(&parts.base);
}
static void stop(void) {
    optimizer_free(parts.optimizer);
    tuning_free(parts.tuning);
    wp_buf_done(&text);
    ops_parts_stop(&parts);
}
TestSuite(ops_page, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

/* ---- history ---- */

static json_t *samples(const struct history *history, uint64_t after) {
    wp_buf_reset(&text);
    history_write(history, after, &text);
    json_t *list = json_loadb(text.data, text.len, 0, NULL);
    cr_assert(json_is_array(list), "%.*s", (int)text.len, text.data);
    return list;
}

static int64_t number_at(const json_t *list, size_t row, size_t column) {
    return json_integer_value(json_array_get(json_array_get(list, row), column));
}

Test(ops_page, history_keeps_an_hour_and_no_more) {
    struct history *history = history_new(ops_parts_snapshot(&parts));
    ops_parts_pool(&parts, "{'total': {'available': 3, 'leased': 2, 'rejected': 7}}");
    for (int i = 1; i <= HISTORY_SAMPLES + 40; i++) {
        parts.shared.pool_wall_ms = 1000 + i;
        history_take(history);
    }
    json_t *all = samples(history, 0);
    cr_assert_eq(json_array_size(all), HISTORY_SAMPLES);
    cr_assert_eq(number_at(all, 0, 0), 41, "the oldest one that is kept");
    cr_assert_eq(number_at(all, HISTORY_SAMPLES - 1, 1), 1000 + HISTORY_SAMPLES + 40);
    cr_assert_eq(number_at(all, 0, 2), 3);
    json_decref(all);
    all = samples(history, HISTORY_SAMPLES + 38);
    cr_assert_eq(json_array_size(all), 2);
    json_decref(all);
    all = samples(history, HISTORY_SAMPLES + 40);
    cr_assert_eq(json_array_size(all), 0);
    json_decref(all);
    history_free(history);
}

Test(ops_page, history_has_each_reading_once_and_nothing_before_the_first) {
    struct history *history = history_new(ops_parts_snapshot(&parts));
    history_take(history);
    cr_assert_eq(history_latest(history), 0, "nothing is known yet");
    ops_parts_pool(&parts, "{}");
    parts.shared.pool_wall_ms = 5000;
    for (int i = 0; i < 3; i++) history_take(history);
    cr_assert_eq(history_latest(history), 1, "Redis is away: the figures are those of before");
    parts.shared.pool_wall_ms = 4000; /* the clock was set back */
    history_take(history);
    cr_assert_eq(history_latest(history), 2);
    history_free(history);
}

/* ---- figures ---- */

static json_t *figures(void) {
    wp_buf_reset(&text);
    page_figures_write(ops_parts_snapshot(&parts), &text);
    cr_assert_null(memchr(text.data, '\n', text.len), "an event's data is one line");
    json_t *value = json_loadb(text.data, text.len, 0, NULL);
    cr_assert(value, "%.*s", (int)text.len, text.data);
    return value;
}

/* count pools p0, p1, ...; the last ones have waiting requests. */
static void set_pools(int count, const char *unavailable) {
    json_t *pools = json_object();
    for (int i = 0; i < count; i++) {
        char name[16];
        snprintf(name, sizeof name, "p%d", i);
        json_object_set_new(pools, name,
                            json_pack("{s:i,s:i,s:i,s:s}", "available", i % 5, "waiting", i >= count - 10,
                                      "oldest_waiting_ms", 65000, "unavailable", unavailable));
    }
    json_decref(parts.shared.pool);
    parts.shared.pool = json_pack("{s:o}", "pools", pools);
}

Test(ops_page, figures_have_the_pools_with_the_most_to_do) {
    set_pools(PAGE_POOLS_MAX + 50, "");
    json_t *value = figures(), *list = json_object_get(value, "pools"), *pool;
    int waiting = 0;
    size_t i;
    cr_assert_eq(json_array_size(list), PAGE_POOLS_MAX);
    cr_assert_eq(json_integer_value(json_object_get(value, "pools_more")), 50);
    json_array_foreach(list, i, pool) {
        waiting += (int)json_integer_value(json_object_get(pool, "waiting"));
        cr_assert_eq(json_integer_value(json_object_get(pool, "waiting_seconds")), 65);
    }
    cr_assert_eq(waiting, 10, "all that have waiting requests");
    json_decref(value);
}

Test(ops_page, figures_say_why_the_worker_is_not_ready) {
    parts.stats.redis.ready = true;
    snprintf(parts.stats.state.reason, sizeof parts.stats.state.reason, "Redis has lost its \"data\"");
    json_t *value = figures(), *reasons = json_object_get(value, "reasons");
    cr_assert(json_is_false(json_object_get(value, "ready")));
    cr_assert_eq(json_array_size(reasons), 2);
    cr_assert_str_eq(json_string_value(json_array_get(reasons, 0)), "kafka: not connected yet");
    cr_assert_str_eq(json_string_value(json_array_get(reasons, 1)), "state: Redis has lost its \"data\"");
    cr_assert_eq(json_integer_value(json_object_get(value, "shared_ms")), 0, "nothing was read yet");
    json_decref(value);
}

/* ---- streams ---- */

static int ask_for_stream(int port) {
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    static const char request[] = "GET /figures HTTP/1.1\r\nHost: x\r\n\r\n";
    const int small = 4096;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    cr_assert_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(write(fd, request, sizeof request - 1), (ssize_t)sizeof request - 1);
    return fd;
}

/* Waits for the answer's status line; nothing else of the stream is read. */
static int status_of(int fd) {
    char line[16] = "";
    size_t got = 0;
    uint64_t end = uv_hrtime() + WAIT_LIMIT_S * UINT64_C(1000000000);
    while (got < 12 && uv_hrtime() < end) {
        loop_turn(&parts.loop);
        ssize_t more = recv(fd, line + got, 12 - got, MSG_DONTWAIT);
        if (more > 0) got += (size_t)more;
    }
    cr_assert_eq(got, 12, "no answer");
    return (int)strtol(line + 9, NULL, 10);
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload, size_t *size,
                                  void **request) {
    static char greeting[4000000]; /* more than the sockets hold */
    (void)url, (void)method, (void)version, (void)upload, (void)size, (void)request;
    memset(greeting, ' ', sizeof greeting);
    return streams_open(ctx, connection, (struct wp_str){greeting, sizeof greeting});
}

Test(ops_page, a_client_that_reads_nothing_is_dropped) {
    struct streams *streams = streams_new();
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, streams,
                         MHD_OPTION_CONNECTION_TIMEOUT, 1u, MHD_OPTION_END);
    cr_assert(daemon);
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT);
    int fd = ask_for_stream(info->port);
    uint64_t end = uv_hrtime() + WAIT_LIMIT_S * UINT64_C(1000000000);
    bool was_open = false;
    while (!(was_open && streams_count(streams) == 0) && uv_hrtime() < end) {
        MHD_run(daemon);
        was_open = was_open || streams_count(streams) == 1;
        streams_publish(streams, WP_STR("data: {}\n\n")); /* it is not kept for him */
        usleep(10000);
    }
    cr_assert(was_open);
    cr_assert_eq(streams_count(streams), 0);
    streams_end(streams);
    MHD_stop_daemon(daemon);
    streams_free(streams);
    close(fd);
}

Test(ops_page, streams_end_with_the_daemon) {
    set_pools(3, "");
    cr_assert_eq(http_new(&parts.http, ops_parts_snapshot(&parts), NULL, NULL), WP_OK);
    int busy = ask_for_stream(http_port(parts.http)), idle = ask_for_stream(http_port(parts.http));
    cr_assert_eq(status_of(busy), 200);
    cr_assert_eq(status_of(idle), 200);
    for (int i = 0; i < 20; i++)
        loop_turn(&parts.loop); /* one has read all that there is, and is suspended */
    http_free(parts.http);
    char bytes[4096], last[8] = "";
    ssize_t got;
    while ((got = recv(idle, bytes, sizeof bytes, 0)) > 0)
        if (got >= 5) memcpy(last, bytes + got - 5, 5);
    cr_assert_eq(got, 0, "it was closed");
    cr_assert_str_eq(last, "0\r\n\r\n", "and not in the middle");
    close(busy);
    close(idle);
}
