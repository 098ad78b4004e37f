#include "support/top_world.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

json_t *top_json(const char *text) {
    char *copy = wp_strdup(text);
    for (char *c = copy; *c; c++)
        if (*c == '\'') *c = '"';
    json_error_t error;
    json_t *value = json_loads(copy, 0, &error);
    cr_assert(value, "%s: %s", error.text, copy);
    free(copy);
    return value;
}

#define POOL(idle, leased, creating, paused, waiting, oldest, max)                                           \
    "{'available':" #idle ",'ready':" #idle ",'leased':" #leased ",'creating':" #creating                    \
    ",'paused':" #paused ",'resetting':0,'waiting':" #waiting ",'oldest_waiting_ms':" #oldest                \
    ",'max_containers':" #max ",'pool_size':10,'warm_starts':0,'cold_starts':0,'rejected':0,'lost':0,"       \
    "'outdated':0,'draining':false,'unavailable':''}"

void top_world_fill(struct top_model *model) {
    json_t *pools =
        top_json("{'now':1700000000000,'pools':{'react':" POOL(4, 10, 2, 1, 3, 4200, 20) ",'idle_one':" POOL(
            6, 0, 0, 0, 0, 0,
            20) ",'full':" POOL(0, 20, 0, 0, 1, 900,
                                20) ",'unbounded':" POOL(1, 0, 0, 0, 0, 0,
                                                         0) "},'total':{'available':11,'leased':30,'creating'"
                                                            ":2,'resetting':0,'waiting':4,'warm_starts':0,"
                                                            "'cold_starts':0,'rejected':0,'lost':0},"
                                                            "'tenants':{'red':{'leases':4,'waiting':2,'"
                                                            "creating':0,'max_leases':4},"
                                                            "'blue':{'leases':1,'waiting':0,'creating':0,'"
                                                            "max_leases':10,'max_waiting':5}}}");
    json_t *hosts = top_json(
        "{'hosts':{'host-1':{'state':'up','used':30,'capacity':40,'memory_mb':16384,'memory_used_mb':8192,"
        "'heartbeat_ms':900,'ending':0,'runtime':'docker','worker':'pid 7 on one'},"
        "'host-2':{'state':'silent','used':13,'capacity':40,'memory_mb':16384,'memory_used_mb':1024,"
        "'heartbeat_ms':61000,'ending':1,'runtime':'docker'}},'gone':{'host-3':{'gone_ms':120000}}}");
    json_t *cache = top_json(
        "{'size':150,'max_size':1000,'bytes':2097152,'max_bytes':268435456,'hits':90,'misses':10,"
        "'namespaces':{'tool':{'size':100,'bytes':1048576,'hits':90,'misses':10,'hit_rate_percent':90.0}}}");
    top_model_hosts(model, hosts);
    top_model_cache_stats(model, cache);
    top_model_pool_stats(model, pools);
    json_decref(pools);
    json_decref(hosts);
    json_decref(cache);
}

static struct wp_buf drawn;

const char *top_drawn(const struct top_model *model, struct top_screen *screen, int rows, int cols) {
    const struct top_about about = {"redis://localhost:6379 wp", "16:30:05", 2};
    struct top_grid grid;
    top_grid_init(&grid, rows, cols);
    top_view_draw(&grid, model, screen, &about);
    wp_buf_reset(&drawn);
    for (int row = 0; row < grid.rows; row++) {
        size_t before = drawn.len;
        top_grid_row(&grid, row, false, &drawn);
        wp_buf_add(&drawn, "", 1);
        cr_assert_leq(top_text_width(wp_str(drawn.data + before)), cols, "row %d is too wide", row);
        drawn.data[drawn.len - 1] = '\n';
    }
    wp_buf_add(&drawn, "", 1);
    top_grid_done(&grid);
    return drawn.data;
}

const char *top_line(const char *begin) {
    static char line[2048];
    for (const char *at = drawn.data; at && *at; at = strchr(at, '\n') + 1) {
        size_t length = strcspn(at, "\n");
        if (length == 0 || strncmp(at + 1, begin, strlen(begin)) != 0) continue;
        snprintf(line, sizeof line, "%.*s", (int)length, at);
        return line;
    }
    return "";
}
