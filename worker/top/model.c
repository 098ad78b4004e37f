/* Makes tables of the answers of Redis: see model.h. What comes by Kafka: model_records.c. */
#include "top/model.h"
#include <stdio.h>
#include <string.h>

static double number(const json_t *object, const char *name) {
    return json_number_value(json_object_get(object, name));
}

static int64_t whole(const json_t *object, const char *name) {
    return (int64_t)number(object, name);
}

static void set(json_t *row, const char *name, double value) {
    json_object_set_new(row, name, json_real(value));
}

/* Takes `rows`. */
static void replace(struct top_model *model, enum top_table table, json_t *rows) {
    json_decref(model->rows[table]);
    model->rows[table] = rows;
}

/* A copy of the object with its name, for a table. */
static json_t *named(const char *name, json_t *object) {
    json_t *row = json_copy(object);
    json_object_set_new(row, "name", json_string(name));
    return row;
}

void top_model_init(struct top_model *model) {
    *model = (struct top_model){.workers = json_object()};
    model->sums.hits = -1;
    model->sums.rate.arrivals = -1;
    for (int i = 0; i < TOP_TABLES; i++) model->rows[i] = json_array();
}

void top_model_done(struct top_model *model) {
    for (int i = 0; i < TOP_TABLES; i++) json_decref(model->rows[i]);
    json_decref(model->workers);
    top_rates_done(&model->rates);
}

/* ---- pools ---- */

static void add_rates(const struct top_rates *rates, json_t *row, const char *name) {
    struct top_rate rate = top_rates_of(rates, name);
    if (rate.arrivals < 0) return;
    set(row, "arrivals", rate.arrivals);
    if (rate.starts > 0) set(row, "warm_percent", 100 * rate.warm / rate.starts);
    set(row, "rejected_lately", rate.rejected);
    set(row, "lost_lately", rate.lost);
}

static json_t *pool_row(const struct top_model *model, const char *name, json_t *pool) {
    json_t *row = named(name, pool);
    set(row, "all",
        number(pool, "available") + number(pool, "leased") + number(pool, "creating") +
            number(pool, "resetting"));
    const char *unavailable = json_string_value(json_object_get(pool, "unavailable"));
    if (json_is_true(json_object_get(pool, "draining")) || (unavailable && *unavailable))
        json_object_set_new(row, "amiss", json_true());
    add_rates(&model->rates, row, name);
    return row;
}

/* Fields of the sums that are the pools'. */
static void sum_pools(struct top_model *model, json_t *stats) {
    const json_t *total = json_object_get(stats, "total");
    struct top_sums *sums = &model->sums;
    sums->rate = top_rates_of(&model->rates, NULL);
    sums->span_ms = top_rates_span_ms(&model->rates);
    sums->hits = top_rates_hits(&model->rates, NULL);
    sums->idle = whole(total, "available");
    sums->leased = whole(total, "leased");
    sums->creating = whole(total, "creating");
    sums->other = whole(total, "resetting");
    sums->waiting = whole(total, "waiting");
    sums->oldest_ms = 0;
    json_t *row;
    size_t i;
    json_array_foreach(model->rows[TOP_POOLS], i, row) {
        if (number(row, "oldest_waiting_ms") <= sums->oldest_ms) continue;
        sums->oldest_ms = number(row, "oldest_waiting_ms");
        snprintf(sums->oldest_pool, sizeof sums->oldest_pool, "%s",
                 json_string_value(json_object_get(row, "name")));
    }
}

static json_t *rows_of(json_t *objects) {
    json_t *rows = json_array(), *each;
    const char *name;
    json_object_foreach(objects, name, each) json_array_append_new(rows, named(name, each));
    return rows;
}

void top_model_pool_stats(struct top_model *model, json_t *stats) {
    json_t *pools = json_object_get(stats, "pools"), *rows = json_array(), *each;
    const char *name;
    model->has_pools = true;
    model->now_ms = whole(stats, "now");
    json_t *cache = json_object();
    json_t *row;
    size_t i;
    json_array_foreach(model->rows[TOP_CACHE], i, row)
        json_object_set(cache, json_string_value(json_object_get(row, "name")), row);
    top_rates_add(&model->rates, model->now_ms, pools, json_object_get(stats, "total"), cache);
    json_decref(cache);
    json_object_foreach(pools, name, each) json_array_append_new(rows, pool_row(model, name, each));
    replace(model, TOP_POOLS, rows);
    replace(model, TOP_TENANTS, rows_of(json_object_get(stats, "tenants")));
    sum_pools(model, stats);
}

/* ---- hosts, cache ---- */

static void sum_host(struct top_sums *sums, json_t *host, bool *unlimited) {
    const char *state = json_string_value(json_object_get(host, "state"));
    bool up = state && strcmp(state, "up") == 0;
    if (!up) json_object_set_new(host, "amiss", json_true());
    sums->hosts++;
    sums->hosts_up += up;
    sums->capacity += up ? whole(host, "capacity") : 0;
    sums->used += up ? whole(host, "used") : 0;
    sums->memory_used_mb += up ? number(host, "memory_used_mb") : 0;
    sums->memory_mb += up ? number(host, "memory_mb") : 0;
    if (up && number(host, "memory_mb") <= 0) *unlimited = true;
}

void top_model_hosts(struct top_model *model, json_t *answer) {
    struct top_sums *sums = &model->sums;
    bool unlimited = false;
    json_t *rows = rows_of(json_object_get(answer, "hosts")), *gone = json_object_get(answer, "gone"), *each;
    const char *name;
    sums->hosts = sums->hosts_up = 0;
    sums->capacity = sums->used = 0;
    sums->memory_mb = sums->memory_used_mb = 0;
    size_t i;
    json_array_foreach(rows, i, each) sum_host(sums, each, &unlimited);
    if (unlimited) sums->memory_mb = 0;
    json_object_foreach(gone, name, each) {
        json_t *row = named(name, each);
        json_object_set_new(row, "state", json_string("gone"));
        json_object_set_new(row, "amiss", json_true());
        json_object_set(row, "heartbeat_ms", json_object_get(each, "gone_ms"));
        json_array_append_new(rows, row);
    }
    replace(model, TOP_HOSTS, rows);
}

void top_model_cache_stats(struct top_model *model, json_t *stats) {
    struct top_sums *sums = &model->sums;
    json_t *rows = rows_of(json_object_get(stats, "namespaces")), *row;
    size_t i;
    sums->entries = whole(stats, "size");
    sums->max_entries = whole(stats, "max_size");
    sums->bytes = whole(stats, "bytes");
    sums->max_bytes = whole(stats, "max_bytes");
    json_array_foreach(rows, i, row) {
        double hits = top_rates_hits(&model->rates, json_string_value(json_object_get(row, "name")));
        if (hits >= 0) set(row, "hits_lately", hits);
    }
    replace(model, TOP_CACHE, rows);
}

/* ---- one pool ---- */

void top_model_open(struct top_model *model, const char *pool) {
    snprintf(model->pool, sizeof model->pool, "%s", pool);
    model->more_containers = false;
    for (int i = TOP_CONTAINERS; i < TOP_TABLES; i++) replace(model, (enum top_table)i, json_array());
}

static void take_page(struct top_model *model, const char *pool, enum top_table table, const json_t *rows) {
    if (strcmp(pool, model->pool) == 0 && json_is_array(rows))
        replace(model, table, json_copy((json_t *)(uintptr_t)rows));
}

void top_model_containers(struct top_model *model, const char *pool, json_t *page) {
    take_page(model, pool, TOP_CONTAINERS, json_object_get(page, "containers"));
    model->more_containers = json_object_get(page, "next") != NULL;
}

void top_model_waiting(struct top_model *model, const char *pool, json_t *page) {
    take_page(model, pool, TOP_WAITING, json_object_get(page, "waiting"));
}
