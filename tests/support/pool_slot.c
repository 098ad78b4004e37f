/* Owns the conveniences of the tests of pools and predictions. */
#include "support/pool_slot.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include "support/pool_check.h"

const char pool_default_settings[] =
    "{'pool_enabled': true, 'warm_start': true, 'size': 10, 'sizes': {}, 'max_containers': 100, "
    "'max_failures': 5, "
    "'max_philosophies': 1000, 'timeout_ms': 30000, 'lease_ms': 3600000, 'min_cpu': 1, 'max_cpu': 400, "
    "'min_memory': 16, 'max_memory': 8192, 'request_ttl': 600, 'max_requests': 1000000, "
    "'history_size': 100, 'buffer': 1.2, 'cpu': 50, 'memory': 256, 'time': 60, 'low_confidence': 0.3, "
    "'medium_confidence': 0.7, 'low_cpu': 50, 'low_memory': 256, 'low_time': 60, 'medium_buffer': 1.5, "
    "'high_buffer': 1.2, 'predict_interval_ms': 1000, 'agents_ttl': 3600, 'agents_max': 100000, "
    "'max_containers_of': {}, 'cpu_limit': 0, 'cpu_limits': {}, 'memory_limit': 0, 'memory_limits': {}, "
    "'reuse': 'same_tenant', 'reuses': {}, 'reset': false, 'resets': {}, 'hot': -1, 'hots': {}, 'idle_ttl': "
    "0, "
    "'idle_ttls': {}, 'max_age': 0, 'max_ages': {}, 'max_uses': 0, 'max_uses_of': {}}";

static json_t *parse(const char *text) {
    char *copy = wp_strdup(text);
    for (char *at = copy; (at = strchr(at, '\''));) *at = '"';
    json_t *value = json_loads(copy, 0, NULL);
    cr_assert(value, "not JSON: %s", text);
    free(copy);
    return value;
}

void pool_slot_start(struct pool_slot *slot) {
    pool_slot_start_with(slot, &(struct test_redis_options){0});
}

void pool_slot_start_with(struct pool_slot *slot, const struct test_redis_options *options) {
    *slot = (struct pool_slot){.settings = parse(pool_default_settings)};
    for (int i = 0; i < POOL_TOPICS; i++) slot->last[i] = -1;
    test_redis_start_with(&slot->redis, options);
    calls_load(&slot->redis, WP_SLOT_POOL);
    calls_settings(slot->redis.connection, WP_SLOT_POOL, pool_default_settings);
}

void pool_slot_stop(struct pool_slot *slot) {
    calls_reply_done(&slot->answer);
    json_decref(slot->settings);
    test_redis_stop(&slot->redis);
}

void pool_settings(struct pool_slot *slot, const char *changes) {
    json_t *new = parse(changes);
    json_object_update(slot->settings, new);
    json_decref(new);
}

int64_t pool_beat_with(struct pool_slot *slot, const char *name, const char *map) {
    struct wp_buf packed = {0};
    calls_pack_json(&packed, map);
    struct wp_str args[] = {wp_str(name), wp_buf_str(&packed)};
    redisReply *reply = calls_function_on(slot->redis.connection, WP_SLOT_POOL, "beat", args, 2);
    wp_buf_done(&packed);
    cr_assert(reply->type == REDIS_REPLY_INTEGER, "beat: %s", reply->str);
    int64_t fresh = reply->integer;
    freeReplyObject(reply);
    return fresh;
}

int64_t pool_beat(struct pool_slot *slot, const char *name, int capacity, int memory_mb, const char *state) {
    char text[256];
    snprintf(text, sizeof text,
             "{'capacity': %d, 'memory_mb': %d, 'runtime': 'process', 'state': '%s', 'ttl_ms': 15000, "
             "'claims': true}",
             capacity, memory_mb, state);
    return pool_beat_with(slot, name, text);
}

void pool_host(struct pool_slot *slot, const char *name, int capacity, int memory_mb) {
    pool_beat(slot, name, capacity, memory_mb, "up");
}

void pool_advance_time(struct pool_slot *slot, double seconds) {
    calls_advance_time(&slot->redis, WP_SLOT_POOL, seconds);
}

/* ---- calls ---- */

const char *pool_function(enum pool_topic topic) {
    static const char *const names[] = {"acquire", "release", "usage", "control", "event"};
    return names[topic];
}

const char *pool_partition(enum pool_topic topic) {
    static const char *const names[] = {"c/container-acquire/0", "c/container-release/0", "c/usage-record/0",
                                        "c/pool-control/0", "c/container-event/0"};
    return names[topic];
}

int64_t pool_next(const struct pool_slot *slot, enum pool_topic topic) {
    return slot->last[topic] + 1;
}

struct test_reply pool_call(struct pool_slot *slot, enum pool_topic topic, int64_t prev, int64_t floor,
                            struct test_events *events) {
    char *settings = json_dumps(slot->settings, 0);
    struct test_reply reply =
        calls_topic(&slot->redis, pool_function(topic), pool_partition(topic), prev, floor, settings, events);
    free(settings);
    return reply;
}

/* A function that stops early, to stay within its bound of work, gets the same events again. */
void pool_send(struct pool_slot *slot, enum pool_topic topic, struct test_events *events) {
    int64_t first = slot->last[topic], last = first + (int64_t)events->count;
    struct wp_buf all = events->packed;
    for (uint32_t count = events->count; slot->last[topic] < last || count == 0;) {
        *events = (struct test_events){.count = count};
        wp_buf_add(&events->packed, all.data, all.len);
        calls_reply_done(&slot->answer);
        int64_t kept = slot->last[topic] - RESULTS_KEPT;
        slot->answer = pool_call(slot, topic, slot->last[topic], kept > 0 ? kept : 0, events);
        cr_assert_eq(slot->answer.status, 1);
        cr_assert(slot->answer.applied > slot->last[topic] || count == 0, "it does not get on");
        slot->last[topic] = slot->answer.applied;
        if (count == 0) break;
    }
    cr_assert_eq(slot->last[topic], last);
    wp_buf_done(&all);
    if (!slot->unchecked) pool_check(&slot->redis);
}

/* ---- one event ---- */

static void pack_text(struct wp_buf *out, const char *text) {
    wp_pack_str(out, wp_str(text ? text : ""));
}

static void pack_number(struct wp_buf *out, double value) {
    if (value > 0)
        wp_pack_double(out, value);
    else if (value < 0)
        wp_pack_int(out, 0);
    else
        wp_pack_bool(out, false);
}

static void pack_whole(struct wp_buf *out, int value) {
    if (value)
        wp_pack_int(out, value == POOL_ZERO ? 0 : value);
    else
        wp_pack_bool(out, false);
}

void pool_add_request(struct test_events *events, int64_t offset, const struct pool_request *r) {
    char key[32];
    const char *tenant = r->tenant && r->tenant[0] ? r->tenant : "default";
    snprintf(key, sizeof key, "key-%lld", (long long)offset);
    struct wp_buf *out = &events->packed;
    wp_pack_array(out, 14);
    wp_pack_int(out, offset);
    wp_pack_int(out, 1000);
    wp_pack_int(out, r->age_ms ? r->age_ms : -1);
    size_t keys = wp_pack_open(out);
    pack_text(out, key);
    pack_text(out, "");
    wp_pack_close(out, keys);
    pack_text(out, r->id);
    pack_text(out, r->agent);
    pack_text(out, r->philosophy ? r->philosophy : "react");
    pack_text(out, tenant);
    pack_whole(out, r->timeout_ms);
    pack_whole(out, r->lease_ms);
    pack_number(out, r->cpu);
    pack_number(out, r->memory);
    pack_text(out, r->invalid);
    pack_text(out, r->claim);
    events->count++;
}

const char *pool_acquire_request(struct pool_slot *slot, const struct pool_request *request) {
    struct test_events events = {0};
    pool_add_request(&events, pool_next(slot, POOL_ACQUIRE), request);
    pool_send(slot, POOL_ACQUIRE, &events);
    return pool_answer_of(slot, request->id) < 0 ? "" : pool_answer_str(slot, request->id, "status");
}

void pool_release_as(struct pool_slot *slot, const char *id, const char *philosophy, const char *container,
                     bool reuse) {
    struct test_events events = {0};
    event_add(&events, pool_next(slot, POOL_RELEASE), "sssb", id, philosophy, container, reuse);
    pool_send(slot, POOL_RELEASE, &events);
}

void pool_release(struct pool_slot *slot, const char *id) {
    pool_release_as(slot, id, "react", "", true);
}

void pool_control(struct pool_slot *slot, const char *philosophy, const char *op, int count) {
    struct test_events events = {0};
    if (count < 0)
        event_add(&events, pool_next(slot, POOL_CONTROL), "sss-", "", philosophy, op);
    else
        event_add(&events, pool_next(slot, POOL_CONTROL), "sssi", "", philosophy, op, count);
    pool_send(slot, POOL_CONTROL, &events);
}

void pool_usage(struct pool_slot *slot, const char *philosophy, double cpu, double memory, double time) {
    struct test_events events = {0};
    event_add(&events, pool_next(slot, POOL_USAGE), "sssddd", "", "", philosophy, cpu, memory, time);
    pool_send(slot, POOL_USAGE, &events);
}

static void one_event(struct pool_slot *slot, const char *container, const char *philosophy, const char *host,
                      const char *state, const char *detail) {
    struct test_events events = {0};
    event_add(&events, pool_next(slot, POOL_EVENT), "ssssss", container, philosophy, host, state, detail,
              strcmp(state, "ready") == 0 ? "127.0.0.1:7" : "");
    pool_send(slot, POOL_EVENT, &events);
}

/* A container's name is wp-<philosophy>-<number>. */
static const char *philosophy_of(struct pool_slot *slot, const char *container) {
    char *text = slot->text[POOL_EVENT];
    if (strncmp(container, "wp-", 3) != 0) return "react";
    snprintf(text, sizeof slot->text[0], "%s", container + 3);
    char *end = strrchr(text, '-');
    if (end) *end = '\0';
    return text;
}

void pool_event(struct pool_slot *slot, const char *container, const char *state, const char *detail) {
    char id[200];
    snprintf(id, sizeof id, "%s", container); /* it may be of the last answer, which goes */
    one_event(slot, id, philosophy_of(slot, id), "h1", state, detail);
}

void pool_host_event(struct pool_slot *slot, const char *host, const char *state, const char *detail) {
    one_event(slot, "-", "-", host, state, detail);
}

void pool_sweep_due(struct pool_slot *slot) {
    pool_host_event(slot, "-", "lease_expired", "");
}

/* ---- several ---- */

/* Containers that the last call created are ready. */
static void add_ready(struct pool_slot *slot, struct test_events *events) {
    size_t count = pool_commands(slot, "create");
    for (size_t i = 0; i < count; i++) {
        const char *id = pool_commanded(slot, "create", i);
        event_add(events, pool_next(slot, POOL_EVENT) + events->count, "ssssss", id, philosophy_of(slot, id),
                  "h1", "ready", "", "127.0.0.1:7");
    }
}

/* What the last call asked to be continued. */
static size_t add_continued(struct pool_slot *slot, struct test_events *events) {
    size_t count = record_count(&slot->answer, 6);
    for (size_t i = 0; i < count; i++) {
        size_t at = record_find(&slot->answer, 6, i);
        event_add(events, pool_next(slot, POOL_EVENT) + events->count, "ssssss",
                  record_str(&slot->answer, at, "container_id"), record_str(&slot->answer, at, "philosophy"),
                  record_str(&slot->answer, at, "host"), record_str(&slot->answer, at, "state"),
                  record_str(&slot->answer, at, "detail"), "");
    }
    return count;
}

void pool_ready_created(struct pool_slot *slot) {
    struct test_events events = {0};
    add_ready(slot, &events);
    pool_send(slot, POOL_EVENT, &events);
}

void pool_acquire_many(struct pool_slot *slot, int from, int count, const char *philosophy) {
    struct test_events events = {0};
    for (int i = from; i < from + count; i++) {
        char id[16];
        snprintf(id, sizeof id, "r%d", i);
        pool_add_request(&events, pool_next(slot, POOL_ACQUIRE) + i - from,
                         &(struct pool_request){.id = id, .philosophy = philosophy});
    }
    pool_send(slot, POOL_ACQUIRE, &events);
}

void pool_warm(struct pool_slot *slot, const char *philosophy, int count) {
    size_t more;
    pool_control(slot, philosophy, "pre_warm", count);
    do {
        struct test_events events = {0};
        add_ready(slot, &events);
        more = add_continued(slot, &events);
        pool_send(slot, POOL_EVENT, &events);
    } while (more > 0 || pool_commands(slot, "create") > 0);
}

struct pool_followed pool_follow(struct pool_slot *slot) {
    struct pool_followed sum = {.assignments = record_count(&slot->answer, 1),
                                .commands = record_count(&slot->answer, 2)};
    struct test_events events = {0};
    while (add_continued(slot, &events)) {
        pool_send(slot, POOL_EVENT, &events);
        events = (struct test_events){0};
        sum.assignments += record_count(&slot->answer, 1);
        sum.commands += record_count(&slot->answer, 2);
        cr_assert(++sum.calls < 1000, "it never ends");
    }
    return sum;
}

/* ---- what was answered and what is ---- */

int pool_answer_of(const struct pool_slot *slot, const char *id) {
    for (size_t i = slot->answer.count; i-- > 0;)
        if (record_kind(&slot->answer, i) == 1 && strcmp(record_str(&slot->answer, i, "request_id"), id) == 0)
            return (int)i;
    return -1;
}

static size_t answered(const struct pool_slot *slot, const char *id) {
    int i = pool_answer_of(slot, id);
    cr_assert(i >= 0, "nothing was said about %s", id);
    return (size_t)i;
}

const char *pool_answer_str(const struct pool_slot *slot, const char *id, const char *field) {
    return record_str(&slot->answer, answered(slot, id), field);
}

const char *pool_reason(struct pool_slot *slot, const char *id) {
    const char *reason = pool_answer_str(slot, id, "reason");
    snprintf(slot->text[1], sizeof slot->text[1], "%.*s", (int)strcspn(reason, ":"), reason);
    return slot->text[1];
}

double pool_answer_number(const struct pool_slot *slot, const char *id, const char *field) {
    return record_double(&slot->answer, answered(slot, id), field);
}

const char *pool_commanded(const struct pool_slot *slot, const char *op, size_t nth) {
    for (size_t i = 0; i < slot->answer.count; i++)
        if (record_kind(&slot->answer, i) == 2 && strcmp(record_str(&slot->answer, i, "op"), op) == 0 &&
            nth-- == 0)
            return record_str(&slot->answer, i, "container_id");
    return "";
}

size_t pool_commands(const struct pool_slot *slot, const char *op) {
    size_t count = 0;
    while (pool_commanded(slot, op, count)[0]) count++;
    return count;
}

double pool_stat(struct pool_slot *slot, const char *philosophy, const char *name) {
    json_t *stats = calls_public(&slot->redis, "wp_pool_stats", NULL);
    double value = philosophy ? json_number_at(stats, "pools", philosophy, name, NULL)
                              : json_number_at(stats, "total", name, NULL);
    json_decref(stats);
    return value;
}

double pool_host_stat(struct pool_slot *slot, const char *host, const char *name) {
    json_t *stats = calls_public(&slot->redis, "wp_pool_stats", NULL);
    double value = json_number_at(stats, "hosts", host, name, NULL);
    json_decref(stats);
    return value;
}

static const char *wanted(struct pool_slot *slot, const char *container, size_t field) {
    redisReply *reply = calls_function(&slot->redis, WP_SLOT_POOL, "desired", "", container, NULL);
    json_t *all = calls_unpack(reply);
    snprintf(slot->text[0], sizeof slot->text[0], "%s",
             json_string_value(json_array_get(json_array_get(all, 0), field)));
    json_decref(all);
    freeReplyObject(reply);
    return slot->text[0];
}

const char *pool_state(struct pool_slot *slot, const char *container) {
    return wanted(slot, container, 1);
}

const char *pool_wanted(struct pool_slot *slot, const char *container, const char *name) {
    return wanted(slot, container, strcmp(name, "number") == 0 ? 5 : 6);
}

void pool_done(struct pool_slot *slot, const char *container, const char *state) {
    char id[200], number[32];
    snprintf(id, sizeof id, "%s", container);
    snprintf(number, sizeof number, "%s", pool_wanted(slot, id, "number"));
    pool_event(slot, id, state, number);
}

double pool_predicted(struct pool_slot *slot, const char *philosophy, const char *name) {
    json_t *all = calls_public(&slot->redis, "wp_predict", philosophy, NULL);
    char first[32];
    size_t len = strcspn(name, ".");
    snprintf(first, sizeof first, "%.*s", (int)len, name);
    double value =
        name[len] ? json_number_at(all, first, name + len + 1, NULL) : json_number_at(all, first, NULL);
    json_decref(all);
    return value;
}
