/* Validates input events. Pure; any thread. */
#include "wire/validate.h"
#include <inttypes.h>
#include "wire/avro.h"

#define LONGEST_ID 256
#define LONGEST_KEY 512
#define LONGEST_DETAIL 4096
#define LONGEST_TIMEOUT_MS INT64_C(86400000)    /* a day */
#define LONGEST_LEASE_MS INT64_C(2678400000)    /* 31 days */
#define LONGEST_TTL_SECONDS INT64_C(3153600000) /* 100 years */
#define MOST_ENTRIES INT64_C(1000000000)
#define MOST_CONTAINERS INT64_C(1000000)
#define LARGEST_FIGURE 1e7
#define LARGEST_CLAIM 65536 /* bytes of keys and values */

struct check {
    struct wp_error *error;
    enum wp_err err; /* of the first that failed */
};

static void id_of(struct check *check, const char *name, struct wp_str id, size_t max) {
    if (check->err || wp_str_is_id(id, max)) return;
    check->err = wp_fail(check->error, WP_ERR_DATA,
                         "field %s must be 1 to %zu bytes of UTF-8 without control characters", name, max);
}

static void id(struct check *check, const char *name, struct wp_str text) {
    id_of(check, name, text, LONGEST_ID);
}

static void optional_id(struct check *check, const char *name, struct wp_str text) {
    if (text.ptr) id(check, name, text);
}

static void name(struct check *check, const char *field, struct wp_str text) {
    if (check->err || wp_str_is_name(text)) return;
    check->err =
        wp_fail(check->error, WP_ERR_DATA, "field %s must be 1 to 64 characters of A-Z a-z 0-9 _ . -", field);
}

static void optional_name(struct check *check, const char *field, struct wp_str text) {
    if (text.ptr) name(check, field, text);
}

static void range(struct check *check, const char *field, int64_t value, int64_t min, int64_t max) {
    if (check->err || value == WP_ABSENT || (value >= min && value <= max)) return;
    check->err = wp_fail(check->error, WP_ERR_DATA,
                         "field %s must be %" PRId64 " to %" PRId64 ", not %" PRId64, field, min, max, value);
}

static void figure(struct check *check, const char *field, double value) {
    if (check->err || isnan(value) || (value >= 0 && value <= LARGEST_FIGURE)) return;
    check->err = wp_fail(check->error, WP_ERR_DATA, "field %s must be 0 to %.0f, not %g", field,
                         LARGEST_FIGURE, value);
}

static void needs(struct check *check, struct wp_str op, const char *field, bool there) {
    if (check->err || there) return;
    check->err = wp_fail(check->error, WP_ERR_DATA, "%.*s needs the field %s", (int)op.len, op.ptr, field);
}

static bool one_of(struct wp_str word, const char *const *words) {
    for (size_t i = 0; words[i]; i++) {
        if (wp_str_is(word, words[i])) return true;
    }
    return false;
}

static void known(struct check *check, const char *field, struct wp_str word, const char *const *words) {
    if (check->err || one_of(word, words)) return;
    if (wp_str_is_id(word, 64))
        check->err =
            wp_fail(check->error, WP_ERR_DATA, "unknown %s \"%.*s\"", field, (int)word.len, word.ptr);
    else
        check->err = wp_fail(check->error, WP_ERR_DATA, "unknown %s of %zu bytes", field, word.len);
}

/* What is wrong is said without a byte of it. */
static void claim(struct check *check, struct wp_str datum) {
    struct avro_map map = {.in = avro_reader(datum)};
    struct wp_str key, value;
    size_t size = 0;
    while (!check->err && avro_map_next(&map, &key, &value)) {
        size += key.len + value.len;
        if (!wp_str_is_id(key, LONGEST_ID) || !wp_str_is_utf8(value))
            check->err =
                wp_fail(check->error, WP_ERR_DATA,
                        "field claim must be a map of UTF-8 strings, its keys 1 to %d bytes", LONGEST_ID);
        else if (size > LARGEST_CLAIM)
            check->err =
                wp_fail(check->error, WP_ERR_DATA,
                        "field claim must be %d bytes at most, keys and values together", LARGEST_CLAIM);
    }
}

static void acquire(struct check *check, const struct wp_acquire *e) {
    id(check, "request_id", e->request_id);
    id(check, "agent_id", e->agent_id);
    name(check, "philosophy", e->philosophy);
    optional_name(check, "tenant", e->tenant);
    range(check, "timeout_ms", e->timeout_ms, 0, LONGEST_TIMEOUT_MS);
    range(check, "lease_ms", e->lease_ms, 0, LONGEST_LEASE_MS);
    figure(check, "cpu_percent", e->cpu_percent);
    figure(check, "memory_mb", e->memory_mb);
    if (e->claim.ptr) claim(check, e->claim);
}

static void release(struct check *check, const struct wp_release *e) {
    id(check, "request_id", e->request_id);
    name(check, "philosophy", e->philosophy);
    optional_id(check, "container_id", e->container_id);
}

static void usage(struct check *check, const struct wp_usage *e) {
    optional_id(check, "record_id", e->record_id);
    id(check, "agent_id", e->agent_id);
    name(check, "philosophy", e->philosophy);
    figure(check, "cpu_percent", e->cpu_percent);
    figure(check, "memory_usage_mb", e->memory_usage_mb);
    figure(check, "execution_time", e->execution_time);
    if (!check->err && isnan(e->cpu_percent) && isnan(e->memory_usage_mb) && isnan(e->execution_time))
        check->err = wp_fail(check->error, WP_ERR_DATA,
                             "a usage record needs one of cpu_percent, memory_usage_mb and execution_time");
}

static void cache(struct check *check, struct wp_cache_event *e) {
    static const char *const ops[] = {"set", "get", "invalidate", "clear", "resize", NULL};
    static const char *const of_entry[] = {"set", "get", "invalidate", NULL};
    id(check, "event_id", e->event_id);
    known(check, "op", e->op, ops);
    optional_name(check, "namespace", e->ns);
    if (e->key.ptr) id_of(check, "key", e->key, LONGEST_KEY);
    range(check, "ttl_seconds", e->ttl_seconds, 0, LONGEST_TTL_SECONDS);
    range(check, "count", e->count, 0, MOST_ENTRIES);
    bool entry = one_of(e->op, of_entry), resize = wp_str_is(e->op, "resize");
    needs(check, e->op, "key", !entry || e->key.ptr);
    needs(check, e->op, "value", !wp_str_is(e->op, "set") || e->has_value);
    needs(check, e->op, "count", !resize || e->count != WP_ABSENT);
    if (resize) range(check, "count", e->count, 1, MOST_ENTRIES);
    if (entry && !e->ns.ptr) e->ns = WP_STR("default");
}

static void control(struct check *check, const struct wp_control *e) {
    static const char *const ops[] = {"pre_warm", "resize", "expire", "drain", NULL};
    static const char *const counted[] = {"pre_warm", "resize", NULL};
    optional_id(check, "control_id", e->control_id);
    name(check, "philosophy", e->philosophy);
    known(check, "op", e->op, ops);
    range(check, "count", e->count, 0, MOST_CONTAINERS);
    needs(check, e->op, "count", !one_of(e->op, counted) || e->count != WP_ABSENT);
}

static void container_event(struct check *check, const struct wp_container_event *e) {
    static const char *const states[] = {
        "ready",   "failed",    "died",           "gone",     "lease_expired", "request_timed_out",
        "host_up", "host_down", "prediction_due", "continue", "bound",         "reset",
        NULL};
    static const char *const of_container[] = {"ready", "failed", "died", "gone", "bound", "reset", NULL};
    static const char *const of_host[] = {"host_up", "host_down", NULL};
    known(check, "state", e->state, states);
    if (e->container_id.len > 0 || one_of(e->state, of_container)) id(check, "container_id", e->container_id);
    if (e->philosophy.len > 0) name(check, "philosophy", e->philosophy);
    if (e->host.len > 0 || one_of(e->state, of_host)) name(check, "host", e->host);
    if (e->address.len > 0) id(check, "address", e->address);
    if (e->image.len > 0) id_of(check, "image", e->image, LONGEST_KEY);
    figure(check, "queue_ms", e->queue_ms);
    figure(check, "create_ms", e->create_ms);
    figure(check, "start_ms", e->start_ms);
    figure(check, "ready_ms", e->ready_ms);
    if (!check->err && (e->detail.len > LONGEST_DETAIL || !wp_str_is_utf8(e->detail)))
        check->err =
            wp_fail(check->error, WP_ERR_DATA, "field detail must be UTF-8, up to %d bytes", LONGEST_DETAIL);
}

enum wp_err validate_event(enum wp_topic topic, union wp_event *event, struct wp_error *error) {
    struct check check = {.error = error};
    switch (topic) {
    case WP_TOPIC_ACQUIRE:
        acquire(&check, &event->acquire);
        break;
    case WP_TOPIC_RELEASE:
        release(&check, &event->release);
        break;
    case WP_TOPIC_USAGE:
        usage(&check, &event->usage);
        break;
    case WP_TOPIC_CACHE:
        cache(&check, &event->cache);
        break;
    case WP_TOPIC_CONTROL:
        control(&check, &event->control);
        break;
    default:
        wp_assert(topic == WP_TOPIC_EVENT);
        container_event(&check, &event->container);
        break;
    }
    return check.err;
}

void validate_salvage(struct wp_acquire *acquire) {
    struct wp_acquire kept = {
        .timeout_ms = WP_ABSENT, .lease_ms = WP_ABSENT, .cpu_percent = NAN, .memory_mb = NAN};
    if (wp_str_is_id(acquire->request_id, LONGEST_ID)) {
        kept.request_id = acquire->request_id;
        if (wp_str_is_id(acquire->agent_id, LONGEST_ID)) kept.agent_id = acquire->agent_id;
        if (wp_str_is_name(acquire->philosophy)) kept.philosophy = acquire->philosophy;
    }
    *acquire = kept;
}
