/* The columns of the tables: see tables.h. */
#include "top/tables.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "core/buf.h"

static const struct top_column pools[] = {
    {"POOL", "name", TOP_TEXT, 12, 0, 40, NULL, false},
    {"OF MAX", "all", TOP_BAR, 16, 3, 60, "max_containers", false},
    {"IDLE", "available", TOP_COUNT, 5, 1, 0, NULL, false},
    {"READY", "ready", TOP_COUNT, 5, 9, 0, NULL, false},
    {"LEASED", "leased", TOP_COUNT, 6, 2, 0, NULL, false},
    {"MAKING", "creating", TOP_COUNT, 6, 7, 0, NULL, false},
    {"WAIT", "waiting", TOP_COUNT, 5, 1, 0, NULL, true},
    {"OLDEST", "oldest_waiting_ms", TOP_MS, 7, 4, 0, NULL, false},
    {"/MIN", "arrivals", TOP_NUMBER, 6, 5, 0, NULL, false},
    {"WARM%", "warm_percent", TOP_PERCENT, 5, 6, 0, NULL, false},
    {"PAUSED", "paused", TOP_COUNT, 6, 8, 0, NULL, false},
    {"SIZE", "pool_size", TOP_COUNT, 5, 12, 0, NULL, false},
    {"OUTDATED", "outdated", TOP_COUNT, 8, 13, 0, NULL, false},
    {"REJECTED", "rejected_lately", TOP_COUNT, 8, 10, 0, NULL, true},
    {"LOST", "lost_lately", TOP_COUNT, 5, 11, 0, NULL, true},
    {0},
};

static const struct top_column hosts[] = {
    {"HOST", "name", TOP_TEXT, 16, 0, 40, NULL, false},
    {"STATE", "state", TOP_TEXT, 8, 1, 0, NULL, false},
    {"CONTAINERS", "used", TOP_COUNT, 10, 2, 0, "capacity", false},
    {"ENDING", "ending", TOP_COUNT, 6, 6, 0, NULL, false},
    {"MEMORY", "memory_used_mb", TOP_MB, 13, 3, 0, "memory_mb", false},
    {"HEARTBEAT", "heartbeat_ms", TOP_MS, 9, 4, 0, NULL, false},
    {"RUNTIME", "runtime", TOP_TEXT, 10, 7, 0, NULL, false},
    {"WORKER", "worker", TOP_TEXT, 12, 5, 60, NULL, false},
    {0},
};

static const struct top_column tenants[] = {
    {"TENANT", "name", TOP_TEXT, 16, 0, 40, NULL, false},
    {"LEASES", "leases", TOP_COUNT, 13, 1, 0, "max_leases", false},
    {"WAITING", "waiting", TOP_COUNT, 13, 2, 0, "max_waiting", false},
    {"MAKING", "creating", TOP_COUNT, 13, 3, 0, "max_creating", false},
    {0},
};

static const struct top_column cache[] = {
    {"NAMESPACE", "name", TOP_TEXT, 16, 0, 40, NULL, false},
    {"ENTRIES", "size", TOP_COUNT, 13, 1, 0, "max_size", false},
    {"BYTES", "bytes", TOP_BYTES, 15, 2, 0, "max_bytes", false},
    {"HIT% LATELY", "hits_lately", TOP_PERCENT, 11, 3, 0, NULL, false},
    {"HIT% EVER", "hit_rate_percent", TOP_PERCENT, 9, 4, 0, NULL, false},
    {"HITS", "hits", TOP_COUNT, 10, 5, 0, NULL, false},
    {0},
};

static const struct top_column workers[] = {
    {"WORKER", "id", TOP_TEXT, 16, 0, 40, NULL, false},
    {"HOST", "host", TOP_TEXT, 10, 6, 30, NULL, false},
    {"STATE", "state", TOP_TEXT, 8, 1, 16, NULL, false},
    {"SEEN", "ago_ms", TOP_MS, 7, 4, 0, NULL, false},
    {"LAG", "lag", TOP_COUNT, 7, 2, 0, NULL, true},
    {"MOST OF", "lag_topic", TOP_TEXT, 17, 9, 0, NULL, false},
    {"EVENTS/S", "events", TOP_NUMBER, 8, 3, 0, NULL, false},
    {"P99 MS", "p99_ms", TOP_NUMBER, 7, 5, 0, NULL, false},
    {"MEMORY", "rss_mb", TOP_MB, 8, 7, 0, NULL, false},
    {"PARTS", "partitions", TOP_COUNT, 5, 8, 0, NULL, false},
    {"VERSION", "version", TOP_TEXT, 8, 10, 0, NULL, false},
    {0},
};

static const struct top_column warnings[] = {
    {"WARNING", "code", TOP_TEXT, 20, 0, 28, NULL, false},
    {"ABOUT", "subject", TOP_TEXT, 12, 1, 30, NULL, false},
    {"WORKERS", "workers", TOP_COUNT, 7, 3, 0, NULL, false},
    {"MESSAGE", "message", TOP_TEXT, 20, 2, 200, NULL, false},
    {0},
};

static const struct top_column containers[] = {
    {"CONTAINER", "container_id", TOP_TEXT, 24, 0, 60, NULL, false},
    {"STATE", "state", TOP_TEXT, 9, 1, 0, NULL, false},
    {"FOR", "state_ms", TOP_MS, 7, 2, 0, NULL, false},
    {"AGE", "age_ms", TOP_MS, 7, 4, 0, NULL, false},
    {"REQUEST", "request_id", TOP_TEXT, 12, 3, 40, NULL, false},
    {"AGENT", "agent_id", TOP_TEXT, 10, 5, 30, NULL, false},
    {"TENANT", "tenant", TOP_TEXT, 10, 7, 24, NULL, false},
    {"HOST", "host", TOP_TEXT, 10, 6, 24, NULL, false},
    {"ENDS IN", "lease_expires_at", TOP_ENDS, 7, 8, 0, NULL, false},
    {"OUTDATED", "outdated", TOP_FLAG, 8, 9, 0, NULL, false},
    {0},
};

static const struct top_column waiting[] = {
    {"REQUEST", "request_id", TOP_TEXT, 20, 0, 60, NULL, false},
    {"WAITS", "waited_ms", TOP_MS, 8, 1, 0, NULL, false},
    {"TIMEOUT IN", "timeout_ms", TOP_MS, 10, 3, 0, NULL, false},
    {"AGENT", "agent_id", TOP_TEXT, 14, 2, 40, NULL, false},
    {"TENANT", "tenant", TOP_TEXT, 12, 4, 24, NULL, false},
    {"CPU%", "cpu_percent", TOP_NUMBER, 6, 5, 0, NULL, false},
    {"MEMORY", "memory_mb", TOP_MB, 8, 6, 0, NULL, false},
    {0},
};

static const struct top_column answers[] = {
    {"AGO", "ago_ms", TOP_MS, 7, 1, 0, NULL, false},
    {"WHAT", "status", TOP_TEXT, 8, 0, 0, NULL, false},
    {"REQUEST", "request_id", TOP_TEXT, 14, 3, 36, NULL, false},
    {"AGENT", "agent_id", TOP_TEXT, 12, 4, 24, NULL, false},
    {"WHY", "reason", TOP_TEXT, 20, 2, 300, NULL, false},
    {0},
};

const struct top_table_info top_tables[TOP_TABLES] = {
    [TOP_POOLS] = {"pools", "name", pools, 0, false, "unavailable", NULL,
                   "no pool yet: one comes with its first request, or with pool.prewarm"},
    [TOP_HOSTS] = {"hosts", "name", hosts, 0, false, NULL, NULL,
                   "no host: set host.name on a worker, or no container will ever be made"},
    [TOP_TENANTS] = {"tenants", "name", tenants, 0, false, NULL, NULL,
                     "no tenant has a limit of its own (tenant.max_leases.TENANT and the like)"},
    [TOP_CACHE] = {"cache", "name", cache, 0, false, NULL, NULL, "nothing was ever cached"},
    [TOP_WORKERS] = {"workers", "id", workers, 0, false, NULL, NULL,
                     "no worker has published on the metrics topic lately"},
    [TOP_WARNINGS] = {"warnings", "message", warnings, 0, false, "message", "advice", "no warning"},
    [TOP_CONTAINERS] = {"containers", "container_id", containers, 1, false, NULL, NULL, "no container"},
    [TOP_WAITING] = {"waiting", "request_id", waiting, 1, true, NULL, NULL, "no request waits"},
    [TOP_ANSWERS] = {"answers", "request_id", answers, 0, false, "reason", NULL,
                     "nothing was rejected, lost or started cold lately"},
};

int top_column_count(enum top_table table) {
    int count = 0;
    while (top_tables[table].columns[count].title) count++;
    return count;
}

bool top_column_is_text(const struct top_column *column) {
    return column->kind == TOP_TEXT || column->kind == TOP_FLAG;
}

/* ---- fields as text ---- */

static void print_ms(double ms, char *out, size_t size) {
    double s = ms / 1000;
    if (s < 10)
        snprintf(out, size, "%.1f s", s);
    else if (s < 600)
        snprintf(out, size, "%.0f s", s);
    else if (s < 36000)
        snprintf(out, size, "%.0f min", s / 60);
    else if (s < 864000)
        snprintf(out, size, "%.0f h", s / 3600);
    else
        snprintf(out, size, "%.0f d", s / 86400);
}

/* In the first unit in which it is below `most`. */
static void print_scaled(double value, const char *const *units, double step, double most, char *out,
                         size_t size) {
    int unit = 0;
    while (value >= most && units[unit + 1]) {
        value /= step;
        unit++;
    }
    snprintf(out, size, value < 10 && unit > 0 ? "%.1f%s" : "%.0f%s", value, units[unit]);
}

static void print_value(enum top_kind kind, double value, char *out, size_t size) {
    static const char *const thousands[] = {"", "k", "M", "G", "T", NULL};
    static const char *const bytes[] = {"B", "KB", "MB", "GB", "TB", NULL};
    if (kind == TOP_MS)
        print_ms(value, out, size);
    else if (kind == TOP_BYTES)
        print_scaled(value, bytes, 1024, 1024, out, size);
    else if (kind == TOP_MB)
        print_scaled(value, bytes + 2, 1024, 1024, out, size);
    else if (kind == TOP_COUNT || value >= 100)
        print_scaled(value, thousands, 1000, 10000, out, size);
    else
        snprintf(out, size, "%.1f", value);
}

static void print_ends(double at_ms, int64_t now_ms, char *out, size_t size) {
    if (at_ms <= 0)
        snprintf(out, size, "never");
    else
        print_ms(at_ms > (double)now_ms ? at_ms - (double)now_ms : 0, out, size);
}

/* "3/10" where the row has a limit; how much that is of it is seen at a glance. */
static void print_limited(const struct top_column *column, const json_t *row, char *out, size_t size) {
    char value[24], limit[24];
    double most = json_number_value(json_object_get(row, column->limit));
    print_value(column->kind, json_number_value(json_object_get(row, column->key)), value, sizeof value);
    print_value(column->kind, most, limit, sizeof limit);
    if (most > 0)
        snprintf(out, size, "%s/%s", value, limit);
    else
        snprintf(out, size, "%s", value);
}

static bool nobody_waits(const struct top_column *column, const json_t *field) {
    return column->kind == TOP_MS && column->rank > 1 && json_number_value(field) <= 0;
}

void top_column_text(const struct top_column *column, const json_t *row, int64_t now_ms, char *out,
                     size_t size) {
    const json_t *field = json_object_get(row, column->key);
    out[0] = '\0';
    if (column->kind == TOP_FLAG) {
        snprintf(out, size, "%s", json_is_true(field) ? column->key : "");
    } else if (column->kind == TOP_TEXT) {
        snprintf(out, size, "%s", json_is_string(field) ? json_string_value(field) : "-");
        wp_str_cut(out);
    } else if (!json_is_number(field) || nobody_waits(column, field)) {
        snprintf(out, size, "-");
    } else if (column->kind == TOP_ENDS) {
        print_ends(json_number_value(field), now_ms, out, size);
    } else if (column->limit && column->kind != TOP_BAR) {
        print_limited(column, row, out, size);
    } else {
        print_value(column->kind == TOP_BAR ? TOP_COUNT : column->kind, json_number_value(field), out, size);
    }
}

/* ---- which rows, in which order ---- */

static int lower(char c) {
    return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

static bool contains(const char *text, const char *part) {
    for (; *text; text++) {
        size_t i = 0;
        while (part[i] && text[i] && lower(text[i]) == lower(part[i])) i++;
        if (!part[i]) return true;
    }
    return part[0] == '\0';
}

static bool passes(const json_t *row, enum top_table table, const char *filter) {
    if (!filter[0]) return true;
    for (const struct top_column *column = top_tables[table].columns; column->title; column++) {
        const char *text = json_string_value(json_object_get(row, column->key));
        if (column->kind == TOP_TEXT && text && contains(text, filter)) return true;
    }
    return false;
}

struct order {
    const struct top_column *column;
    const char *id;
    bool descending;
};

static int compare_texts(const json_t *a, const json_t *b, const char *key) {
    const char *x = json_string_value(json_object_get(a, key)),
               *y = json_string_value(json_object_get(b, key));
    return strcmp(x ? x : "", y ? y : "");
}

/* What has no such figure comes after what has. */
static int compare_numbers(const json_t *a, const json_t *b, const char *key, bool descending) {
    const json_t *x = json_object_get(a, key), *y = json_object_get(b, key);
    if (json_is_number(x) != json_is_number(y)) return json_is_number(x) ? -1 : 1;
    double by = json_number_value(x) - json_number_value(y);
    return (by > 0) - (by < 0) == 0 ? 0 : ((by > 0) != descending ? 1 : -1);
}

static int compare(const void *a, const void *b, void *ctx) {
    const struct order *order = ctx;
    const json_t *x = *(const json_t *const *)a, *y = *(const json_t *const *)b;
    int by = top_column_is_text(order->column)
                 ? compare_texts(x, y, order->column->key) * (order->descending ? -1 : 1)
                 : compare_numbers(x, y, order->column->key, order->descending);
    return by ? by : compare_texts(x, y, order->id);
}

const json_t **top_rows_shown(const json_t *rows, enum top_table table, int sort, bool descending,
                              const char *filter, size_t *ret_count) {
    const json_t **shown = wp_calloc(json_array_size(rows) + 1, sizeof *shown);
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        if (passes(row, table, filter)) shown[count++] = row;
    }
    struct order order = {&top_tables[table].columns[sort], top_tables[table].id, descending};
    qsort_r(shown, count, sizeof *shown, compare, &order);
    *ret_count = count;
    return shown;
}
