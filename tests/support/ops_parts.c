/* Owns the loop of tests of ops/. */
#include "cache/cache_calls.h"
#include "core/clock.h"
#include "pool/pool_calls.h"
#include "support/limits.h"
#include "support/ops_parts.h"
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static void on_link(void *ctx, enum wp_slot slot, bool ready) {
    (void)ctx, (void)slot, (void)ready;
}

void ops_parts_set(struct ops_parts *parts, const char *key, const char *value) {
    struct wp_error error;
    cr_assert_eq(wp_config_set(&parts->config, key, value, &error), WP_OK, "%s", error.text);
}

static void say_settings(struct ops_parts *parts, int64_t read_ms) {
    static void (*const pack[WP_SLOTS])(struct wp_buf *, const struct wp_config *) = {
        [WP_SLOT_POOL] = wp_pack_pool_settings, [WP_SLOT_CACHE] = wp_pack_cache_settings};
    for (int i = 0; i < WP_SLOTS; i++) {
        struct wp_buf settings = {0};
        pack[i](&settings, &parts->config);
        wp_link_settings(parts->base.links[i], parts->base.worker_id, read_ms, wp_buf_str(&settings));
        wp_buf_done(&settings);
    }
}

void ops_parts_start(struct ops_parts *parts, struct test_redis *redis) {
    struct wp_error error;
    memset(parts, 0, sizeof *parts);
    wp_config_init(&parts->config);
    uv_loop_init(&parts->loop);
    ops_parts_set(parts, "http.listen", "127.0.0.1:0");
    parts->base = (struct ops_base){.loop = &parts->loop,
                                    .config = &parts->config,
                                    .stats = &parts->stats,
                                    .worker_id = "worker-1",
                                    .started_wall_ms = 1700000000500};
    if (!redis) return;
    ops_parts_set(parts, "redis.url", redis->url);
    for (enum wp_slot slot = 0; slot < WP_SLOTS; slot++)
        cr_assert_eq(wp_link_new(&parts->base.links[slot], &parts->loop, &parts->config, slot, &parts->stats,
                                 on_link, NULL, &error),
                     WP_OK, "%s", error.text);
    say_settings(parts, 0);
    OPS_WAIT(parts, wp_link_ready(parts->base.links[0]) && wp_link_ready(parts->base.links[1]));
}

void ops_parts_say_settings(struct ops_parts *parts) {
    say_settings(parts, wp_clock_wall_ms());
    OPS_WAIT(parts, parts->stats.settings_differ == 0);
}

const struct ops_snapshot *ops_parts_snapshot(struct ops_parts *parts) {
    parts->snapshot =
        (struct ops_snapshot){.base = &parts->base,
                              .shared = &parts->shared,
                              .warnings = &parts->warnings,
                              .optimizer = parts->optimizer ? optimizer_result(parts->optimizer) : NULL,
                              .tuning_applied = parts->tuning ? tuning_applied(parts->tuning) : NULL};
    return &parts->snapshot;
}

void ops_parts_stop(struct ops_parts *parts) {
    for (int i = 0; i < WP_SLOTS; i++) wp_link_free(parts->base.links[i]);
    json_decref(parts->shared.pool);
    json_decref(parts->shared.cache);
    warnings_done(&parts->warnings);
    uv_run(&parts->loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&parts->loop), 0, "something is still open");
    wp_config_done(&parts->config);
}

json_t *ops_json(const char *json) {
    char *text = wp_strdup(json);
    for (char *at = text; (at = strchr(at, '\''));) *at = '"';
    json_error_t error;
    json_t *value = json_loads(text, 0, &error);
    cr_assert(value, "%s in %s", error.text, json);
    free(text);
    return value;
}

void ops_parts_pool(struct ops_parts *parts, const char *json) {
    json_decref(parts->shared.pool);
    parts->shared.pool = ops_json(json);
}

void ops_parts_cache(struct ops_parts *parts, const char *json) {
    json_decref(parts->shared.cache);
    parts->shared.cache = ops_json(json);
}

char *ops_http(struct ops_parts *parts, int family, int port, const char *method, const char *path) {
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    struct sockaddr_in6 v6 = {
        .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = in6addr_loopback};
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int failed = family == AF_INET ? connect(fd, (struct sockaddr *)&v4, sizeof v4)
                                   : connect(fd, (struct sockaddr *)&v6, sizeof v6);
    cr_assert_eq(failed, 0, "nobody listens on port %d", port);
    cr_assert(dprintf(fd, "%s %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
                      method, path, strcmp(method, "POST") == 0 ? 4 : 0,
                      strcmp(method, "POST") == 0 ? "body" : "") > 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    struct wp_buf answer = {0};
    char bytes[4096];
    ssize_t got = -1;
    uint64_t end = uv_hrtime() + WAIT_LIMIT_S * UINT64_C(1000000000);
    while (got != 0) {
        cr_assert(uv_hrtime() < end, "%s %s is not answered", method, path);
        loop_turn(&parts->loop);
        while ((got = read(fd, bytes, sizeof bytes)) > 0) wp_buf_add(&answer, bytes, (size_t)got);
    }
    close(fd);
    wp_buf_add(&answer, "", 1);
    return answer.data;
}
