/* Makes tables of records of the topics metrics and container-assignment: see model.h. */
#include "top/model.h"
#include <stdio.h>
#include <string.h>
#include "core/buf.h"

/* A worker whose records stop is silent after so many of its intervals, and forgotten after FORGET_MS. */
enum { PAST_MS = 90000, SILENT_PERIODS = 3, LEAST_PERIOD_MS = 5000, FORGET_MS = 600000, ANSWERS_MOST = 200 };

static double number(const json_t *object, const char *name) {
    return json_number_value(json_object_get(object, name));
}

static const char *text(const json_t *object, const char *name) {
    const char *value = json_string_value(json_object_get(object, name));
    return value ? value : "";
}

static void set(json_t *row, const char *name, double value) {
    json_object_set_new(row, name, json_real(value));
}

static void set_text(json_t *row, const char *name, const char *value) {
    json_object_set_new(row, name, json_string(value));
}

/* ---- metrics ---- */

/* Events that the worker has done since its start. */
static double events_of(const json_t *worker) {
    double all = 0;
    size_t i;
    json_t *topic;
    json_array_foreach(json_object_get(worker, "events"), i, topic) all +=
        number(topic, "ok") + number(topic, "dead_letter");
    return all;
}

/* The worker's entry, made when there is none. Borrowed. */
static json_t *entry_of(struct top_model *model, const char *id) {
    json_t *entry = json_object_get(model->workers, id);
    if (entry) return entry;
    entry = json_object();
    json_object_set_new(model->workers, id, entry);
    return entry;
}

static void note_worker(struct top_model *model, json_t *record, int64_t at_ms) {
    json_t *worker = json_object_get(record, "worker");
    json_t *entry = entry_of(model, text(worker, "id"));
    const json_t *before = json_object_get(entry, "worker");
    double period = (double)at_ms - number(entry, "at");
    if (before && period <= 0) return; /* partitions are read one after the other */
    double done = events_of(worker) - events_of(before);
    if (before) {
        set(entry, "period", period);
        set(entry, "rate", done > 0 ? done * 1000 / period : 0);
    }
    set(entry, "at", (double)at_ms);
    json_object_set(entry, "worker", worker);
    json_object_set(entry, "warnings", json_object_get(record, "warnings"));
}

static double sum_rejected(json_t *pools) {
    double all = 0;
    const char *name;
    json_t *pool;
    json_object_foreach(pools, name, pool) all += number(pool, "rejected");
    return all;
}

/* What the record says of pools is a reading of the past: with it the last minute is known from the first
 * screen on. Records of a worker that does not count by pool are of no use. */
static void note_past(struct top_model *model, json_t *record, int64_t at_ms, int64_t now_ms) {
    json_t *stats = json_object_get(record, "pool_stats"), *total = json_object_get(stats, "total");
    json_t *pools = json_object_get(stats, "pools");
    if (now_ms - at_ms > PAST_MS || (model->has_pools && at_ms >= model->now_ms - LEAST_PERIOD_MS)) return;
    if (number(total, "warm_starts") + number(total, "cold_starts") + number(total, "rejected") == 0) return;
    if (number(total, "rejected") > 0 && sum_rejected(pools) == 0) return;
    top_rates_add(&model->rates, at_ms, pools, total,
                  json_object_get(json_object_get(record, "cache_stats"), "namespaces"));
}

void top_model_metrics(struct top_model *model, json_t *record, int64_t at_ms, int64_t now_ms) {
    note_past(model, record, at_ms, now_ms);
    note_worker(model, record, at_ms);
    top_model_tick(model, now_ms);
}

/* The topic of which the worker has most events still to take. */
static double lag_of(const json_t *worker, const char **ret_topic) {
    double all = 0, most = 0;
    const char *topic;
    json_t *lag;
    *ret_topic = "";
    json_object_foreach(json_object_get(worker, "lag"), topic, lag) {
        all += json_number_value(lag);
        if (json_number_value(lag) > most) {
            most = json_number_value(lag);
            *ret_topic = topic;
        }
    }
    return all;
}

static const char *state_of(const json_t *worker, bool silent) {
    bool redis = json_is_true(json_object_get(json_object_get(worker, "redis"), "ready")),
         kafka = json_is_true(json_object_get(json_object_get(worker, "kafka"), "ready"));
    if (silent) return "silent";
    if (redis && kafka) return "ready";
    return redis ? "no kafka" : kafka ? "no redis" : "no kafka, redis";
}

static json_t *worker_row(const json_t *entry, int64_t now_ms, bool silent) {
    const json_t *worker = json_object_get(entry, "worker");
    const char *topic;
    json_t *row = json_object();
    double ago = (double)now_ms - number(entry, "at");
    set_text(row, "id", text(worker, "id"));
    set_text(row, "host", text(worker, "host"));
    set_text(row, "version", text(worker, "version"));
    set_text(row, "state", state_of(worker, silent));
    set(row, "ago_ms", ago > 0 ? ago : 0);
    set(row, "lag", lag_of(worker, &topic));
    set_text(row, "lag_topic", topic);
    set(row, "partitions", number(worker, "partitions"));
    if (json_object_get(entry, "rate")) set(row, "events", number(entry, "rate"));
    set(row, "p99_ms", number(json_object_get(worker, "acquire_to_assignment"), "p99_ms"));
    set(row, "rss_mb", number(worker, "rss_mb"));
    return row;
}

static json_t *find_warning(const json_t *rows, const json_t *warning) {
    json_t *row;
    size_t i;
    json_array_foreach(rows, i, row) {
        if (strcmp(text(row, "code"), text(warning, "code")) == 0 &&
            strcmp(text(row, "subject"), text(warning, "subject")) == 0)
            return row;
    }
    return NULL;
}

/* Several workers have most warnings in common: a row for each, with the number of workers. */
static void add_warnings(json_t *rows, const json_t *entry) {
    json_t *warning;
    size_t i;
    json_array_foreach(json_object_get(entry, "warnings"), i, warning) {
        json_t *row = find_warning(rows, warning);
        if (!row) {
            row = json_copy(warning);
            json_array_append_new(rows, row);
        }
        set(row, "workers", number(row, "workers") + 1);
    }
}

static bool is_silent(const json_t *entry, int64_t now_ms, double period_ms) {
    double period = number(entry, "period") > 0 ? number(entry, "period") : period_ms;
    if (period < LEAST_PERIOD_MS) period = LEAST_PERIOD_MS;
    return (double)now_ms - number(entry, "at") > SILENT_PERIODS * period;
}

/* Of a worker with one record so far: the period of any other, or a minute. */
static double usual_period(const json_t *workers) {
    double longest = 0;
    const char *id;
    json_t *entry;
    json_object_foreach((json_t *)(uintptr_t)workers, id, entry) {
        if (number(entry, "period") > longest) longest = number(entry, "period");
    }
    return longest > 0 ? longest : 60000;
}

static void sum_lag(struct top_model *model, json_t *all) {
    struct top_sums *sums = &model->sums;
    double lag = 0, most = 0;
    const char *topic;
    json_t *each;
    sums->lag_topic[0] = '\0';
    json_object_foreach(all, topic, each) {
        lag += json_number_value(each);
        if (json_number_value(each) <= most) continue;
        most = json_number_value(each);
        snprintf(sums->lag_topic, sizeof sums->lag_topic, "%s", topic);
    }
    sums->lag = (int64_t)lag;
}

static void add_lag(json_t *all, const json_t *worker) {
    const char *topic;
    json_t *each;
    json_object_foreach(json_object_get(worker, "lag"), topic, each)
        json_object_set_new(all, topic, json_real(number(all, topic) + json_number_value(each)));
}

static void forget_workers(json_t *workers, int64_t now_ms) {
    const char *id;
    json_t *entry;
    void *next;
    json_object_foreach_safe(workers, next, id, entry) {
        if ((double)now_ms - number(entry, "at") > FORGET_MS) json_object_del(workers, id);
    }
}

static void age_answers(json_t *rows, int64_t now_ms) {
    json_t *row;
    size_t i;
    json_array_foreach(rows, i, row) {
        double ago = (double)now_ms - number(row, "at");
        set(row, "ago_ms", ago > 0 ? ago : 0);
    }
}

void top_model_tick(struct top_model *model, int64_t now_ms) {
    json_t *rows = json_array(), *warnings = json_array(), *lag = json_object(), *entry;
    const char *id;
    forget_workers(model->workers, now_ms);
    double period = usual_period(model->workers);
    model->sums.workers = 0;
    json_object_foreach(model->workers, id, entry) {
        bool silent = is_silent(entry, now_ms, period);
        json_array_append_new(rows, worker_row(entry, now_ms, silent));
        if (silent) continue;
        model->sums.workers++;
        add_lag(lag, json_object_get(entry, "worker"));
        add_warnings(warnings, entry);
    }
    sum_lag(model, lag);
    json_decref(lag);
    json_decref(model->rows[TOP_WORKERS]);
    json_decref(model->rows[TOP_WARNINGS]);
    model->rows[TOP_WORKERS] = rows;
    model->rows[TOP_WARNINGS] = warnings;
    age_answers(model->rows[TOP_ANSWERS], now_ms);
}

/* ---- answers ---- */

/* What the time of a cold start was spent on. */
static void cold_reason(const json_t *record, char *out, size_t size) {
    const json_t *parts = json_object_get(record, "startup");
    snprintf(out, size, "%.0f ms: queue %.0f, create %.0f, start %.0f, ready %.0f, bind %.0f",
             number(record, "startup_time_ms"), number(parts, "queue_ms"), number(parts, "create_ms"),
             number(parts, "start_ms"), number(parts, "ready_ms"), number(parts, "bind_ms"));
}

void top_model_assignment(struct top_model *model, json_t *record, int64_t at_ms) {
    char reason[200];
    const char *status = text(record, "status");
    bool assigned = strcmp(status, "assigned") == 0;
    if (strcmp(text(record, "philosophy"), model->pool) != 0 || model->pool[0] == '\0') return;
    if (assigned && json_is_true(json_object_get(record, "warm_start"))) return;
    cold_reason(record, reason, sizeof reason);
    json_t *row = json_object(), *rows = model->rows[TOP_ANSWERS];
    set_text(row, "status", assigned ? "cold" : status);
    set_text(row, "reason", assigned ? reason : text(record, "reason"));
    set_text(row, "request_id", text(record, "request_id"));
    set_text(row, "agent_id", text(record, "agent_id"));
    set_text(row, "tenant", text(record, "tenant"));
    set(row, "at", (double)at_ms);
    json_array_append_new(rows, row);
    while (json_array_size(rows) > ANSWERS_MOST) json_array_remove(rows, 0);
}
