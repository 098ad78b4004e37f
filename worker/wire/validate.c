/* Validates input events. Pure; any thread. */
#include "wire/validate.h"
#include <inttypes.h>
#include <stdio.h>
#include "wire/avro.h"
#include "wire/fields.h"
#include "wire/keys.h"

#define LONGEST_ID 256
#define LONGEST_KEY 512
#define LONGEST_DETAIL 4096
#define LONGEST_QUOTED 64
#define LARGEST_CLAIM 65536 /* bytes of keys and values */

struct check {
    struct wp_error *error;
    enum wp_err err; /* the first error */
};

struct words {
    char text[LONGEST_QUOTED + 64];
};

/* The control character at the beginning of the text; -1 when there is none. */
static int control_character(struct wp_str text) {
    unsigned char first = (unsigned char)text.ptr[0], second = text.len > 1 ? (unsigned char)text.ptr[1] : 0;
    if (first < 0x20 || first == 0x7f) return first;
    return first == 0xc2 && second >= 0x80 && second <= 0x9f ? second : -1;
}

/* Describes the first byte of a text that is not allowed in an id. False: all are allowed. */
static bool find_bad_byte(struct wp_str text, struct words *words) {
    for (size_t i = 0; i < text.len;) {
        struct wp_str rest = {text.ptr + i, text.len - i};
        size_t length = wp_str_char(rest);
        int control = length ? control_character(rest) : -1;
        if (control >= 0)
            snprintf(words->text, sizeof words->text, "a text with the control character U+%04X at byte %zu",
                     (unsigned)control, i);
        else if (length == 0)
            snprintf(words->text, sizeof words->text,
                     "a text with the byte 0x%02x, which is no UTF-8, at byte %zu",
                     (unsigned)(unsigned char)rest.ptr[0], i);
        if (control >= 0 || length == 0) return true;
        i += length;
    }
    return false;
}

/* Describes a text for an error: its first byte that is not allowed, else a short text in quotes, else its
 * length. Valid as long as `words`. */
static const char *describe(struct wp_str text, struct words *words) {
    if (text.len == 0) return "empty";
    if (find_bad_byte(text, words)) return words->text;
    if (text.len <= LONGEST_QUOTED)
        snprintf(words->text, sizeof words->text, "\"%.*s\"", (int)text.len, text.ptr);
    else
        snprintf(words->text, sizeof words->text, "%zu bytes", text.len);
    return words->text;
}

static void id_of(struct check *check, const char *name, struct wp_str id, size_t max) {
    struct words words;
    if (check->err || wp_str_is_id(id, max)) return;
    check->err = wp_fail(check->error, WP_ERR_DATA,
                         "field %s must be 1 to %zu bytes of UTF-8 without control characters, not %s", name,
                         max, describe(id, &words));
}

static void id(struct check *check, const char *name, struct wp_str text) {
    id_of(check, name, text, LONGEST_ID);
}

static void optional_id(struct check *check, const char *name, struct wp_str text) {
    if (text.ptr) id(check, name, text);
}

static void name(struct check *check, const char *field, struct wp_str text) {
    struct words words;
    if (check->err || wp_str_is_name(text)) return;
    check->err =
        wp_fail(check->error, WP_ERR_DATA, "field %s must be 1 to 64 characters of A-Z a-z 0-9 _ . -, not %s",
                field, describe(text, &words));
}

static void optional_name(struct check *check, const char *field, struct wp_str text) {
    if (text.ptr) name(check, field, text);
}

static void range(struct check *check, const char *field, int64_t value, int64_t max) {
    if (check->err || value == WP_ABSENT || (value >= 0 && value <= max)) return;
    check->err = wp_fail(check->error, WP_ERR_DATA, "field %s must be 0 to %" PRId64 ", not %" PRId64, field,
                         max, value);
}

static void figure(struct check *check, const char *field, double value) {
    if (check->err || isnan(value) || (value >= 0 && value <= (double)FIELD_MAX_FIGURE)) return;
    check->err = wp_fail(check->error, WP_ERR_DATA, "field %s must be 0 to %" PRId64 ", not %g", field,
                         FIELD_MAX_FIGURE, value);
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
    struct words seen;
    char list[256] = "";
    size_t length = 0;
    if (check->err || one_of(word, words)) return;
    for (size_t i = 0; words[i] && length < sizeof list; i++)
        length += (size_t)snprintf(list + length, sizeof list - length, "%s%s", i ? ", " : "", words[i]);
    if (wp_str_is_id(word, LONGEST_QUOTED))
        check->err = wp_fail(check->error, WP_ERR_DATA, "unknown %s \"%.*s\": it must be one of %s", field,
                             (int)word.len, word.ptr, list);
    else
        check->err = wp_fail(check->error, WP_ERR_DATA, "unknown %s of %zu bytes (%s): it must be one of %s",
                             field, word.len, describe(word, &seen), list);
}

/* The errors never quote the content of a claim. */
static void claim_entry(struct check *check, size_t number, struct wp_str key, struct wp_str value) {
    if (!wp_str_is_id(key, LONGEST_ID))
        check->err =
            wp_fail(check->error, WP_ERR_DATA,
                    "field claim must have keys of 1 to %d bytes of UTF-8 without control characters, "
                    "not one like that of its entry %zu (%zu bytes)",
                    LONGEST_ID, number, key.len);
    else if (!wp_str_is_utf8(value))
        check->err =
            wp_fail(check->error, WP_ERR_DATA,
                    "field claim must have values of UTF-8, not one like that of its entry %zu", number);
}

static void claim(struct check *check, struct wp_str datum) {
    struct avro_map map = {.in = avro_reader(datum)};
    struct keys keys = {0};
    struct wp_str key, value;
    size_t size = 0, count = 0;
    while (!check->err && avro_map_next(&map, &key, &value)) {
        size += key.len + value.len;
        keys_add(&keys, key, ++count);
        claim_entry(check, count, key, value);
    }
    const struct key *again = check->err ? NULL : keys_repeated(&keys);
    if (again)
        check->err = wp_fail(
            check->error, WP_ERR_DATA,
            "field claim must have each key once, but that of its entry %zu was there before", again->at);
    else if (!check->err && size > LARGEST_CLAIM)
        check->err = wp_fail(check->error, WP_ERR_DATA,
                             "field claim must be %d bytes at most, keys and values together, not %zu",
                             LARGEST_CLAIM, size);
    keys_done(&keys);
}

static void acquire(struct check *check, const struct wp_acquire *e) {
    id(check, "request_id", e->request_id);
    id(check, "agent_id", e->agent_id);
    name(check, "philosophy", e->philosophy);
    optional_name(check, "tenant", e->tenant);
    range(check, "timeout_ms", e->timeout_ms, FIELD_MAX_TIMEOUT_MS);
    range(check, "lease_ms", e->lease_ms, FIELD_MAX_LEASE_MS);
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
    range(check, "ttl_seconds", e->ttl_seconds, FIELD_MAX_TTL_SECONDS);
    range(check, "count", e->count, FIELD_MAX_ENTRIES);
    bool entry = one_of(e->op, of_entry), resize = wp_str_is(e->op, "resize");
    needs(check, e->op, "key", !entry || e->key.ptr);
    needs(check, e->op, "value", !wp_str_is(e->op, "set") || e->has_value);
    needs(check, e->op, "count", !resize || e->count != WP_ABSENT);
    if (!check->err && resize && e->count == 0)
        check->err = wp_fail(check->error, WP_ERR_DATA, "field count must be 1 to %" PRId64 ", not 0",
                             FIELD_MAX_ENTRIES);
    if (entry && !e->ns.ptr) e->ns = WP_STR("default");
}

static void control(struct check *check, const struct wp_control *e) {
    static const char *const ops[] = {"pre_warm", "resize", "expire", "drain", "rollout", NULL};
    static const char *const counted[] = {"pre_warm", "resize", NULL};
    optional_id(check, "control_id", e->control_id);
    name(check, "philosophy", e->philosophy);
    known(check, "op", e->op, ops);
    range(check, "count", e->count, FIELD_MAX_CONTAINERS);
    needs(check, e->op, "count", !one_of(e->op, counted) || e->count != WP_ABSENT);
}

static void container_event(struct check *check, const struct wp_container_event *e) {
    static const char *const states[] = {
        "ready",     "failed",         "died",     "gone",  "lease_expired", "request_timed_out", "host_up",
        "host_down", "prediction_due", "continue", "bound", "reset",         "outdated",          NULL};
    static const char *const of_container[] = {"ready", "failed", "died",     "gone",
                                               "bound", "reset",  "outdated", NULL};
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
    if (!check->err && e->detail.len > LONGEST_DETAIL)
        check->err = wp_fail(check->error, WP_ERR_DATA, "field detail must be up to %d bytes, not %zu",
                             LONGEST_DETAIL, e->detail.len);
    else if (!check->err && !wp_str_is_utf8(e->detail))
        check->err = wp_fail(check->error, WP_ERR_DATA, "field detail must be UTF-8, not other bytes");
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
