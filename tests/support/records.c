/* Owns how tests read what a function answered: MessagePack as JSON values, and records' fields by name. */
#include "support/calls.h"
#include <criterion/criterion.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>

/* ---- MessagePack to JSON (strings may hold any bytes) ---- */

static json_t *unpack_value(struct wp_unpack *in);

static json_t *unpack_array(struct wp_unpack *in) {
    uint32_t count = wp_unpack_array(in);
    json_t *array = json_array();
    for (uint32_t i = 0; i < count && !in->failed; i++) json_array_append_new(array, unpack_value(in));
    return array;
}

static json_t *unpack_map(struct wp_unpack *in) {
    uint32_t count = wp_unpack_map(in);
    json_t *map = json_object();
    for (uint32_t i = 0; i < count && !in->failed; i++) {
        char *key = wp_strndup(wp_unpack_str(in));
        json_object_set_new_nocheck(map, key, unpack_value(in));
        free(key);
    }
    return map;
}

static json_t *unpack_value(struct wp_unpack *in) {
    unsigned type = in->at < in->end ? *in->at : 0xc1;
    if ((type & 0xf0) == 0x90 || type == 0xdc || type == 0xdd) return unpack_array(in);
    if ((type & 0xf0) == 0x80 || type == 0xde || type == 0xdf) return unpack_map(in);
    if ((type & 0xe0) == 0xa0 || (type >= 0xd9 && type <= 0xdb) || (type >= 0xc4 && type <= 0xc6)) {
        struct wp_str text = wp_unpack_str(in);
        return json_stringn_nocheck(text.ptr ? text.ptr : "", text.len);
    }
    if (type == 0xca || type == 0xcb) return json_real(wp_unpack_double(in));
    if (type == 0xc0 || type == 0xc2 || type == 0xc3) return json_boolean(wp_unpack_bool(in));
    return json_integer(wp_unpack_int(in));
}

json_t *calls_unpack(const redisReply *reply) {
    cr_assert(reply->type == REDIS_REPLY_STRING, "not a text");
    struct wp_unpack in = wp_unpack((struct wp_str){reply->str, reply->len});
    json_t *value = unpack_value(&in);
    cr_assert(wp_unpack_at_end(&in), "not one MessagePack value");
    return value;
}

json_t *calls_unpack_all(const char *bytes, size_t len) {
    struct wp_unpack in = wp_unpack((struct wp_str){bytes, len});
    json_t *values = json_array();
    while (!in.failed && in.at < in.end) json_array_append_new(values, unpack_value(&in));
    cr_assert_not(in.failed, "not MessagePack values");
    return values;
}

/* ---- fields by name (redis/README.md) ---- */

static const char *const names[][24] = {
    {"offset", "kind", "key", "trace"},
    {"agent_id",    "tenant",           "philosophy", "container_id", "host",
     "address",     "limits",           "image",      "key",          "trace",
     "request_id",  "status",           "warm_start", "startup_us",   "wait_us",
     "lease_epoch", "lease_expires_ms", "prediction", "reason",       "retry_after_ms",
     "tier",        "startup",          "bound"},
    {"command_id", "host", "op", "container_id", "philosophy", "limits"},
    {"event_id", "op", "namespace", "cache_key", "hit", "value", "ttl_seconds", "reason", "count"},
    {"prediction"},
    {"reason"},
    {"container_id", "philosophy", "host", "state", "detail"},
};
static const char *const prediction_names[] = {"philosophy", "requirements", "recommended", "confidence",
                                               "samples",    "basis",        NULL};
static const char *const figure_names[] = {"cpu", "memory", "time", NULL};

static bool same(const char *name, const char *part, size_t len) {
    return strlen(name) == len && memcmp(name, part, len) == 0;
}

static int index_in(const char *const *list, const char *part, size_t len) {
    for (int i = 0; list[i]; i++)
        if (same(list[i], part, len)) return i;
    return -1;
}

/* An assignment has its key and trace among its own fields. */
static int index_of_field(int64_t kind, const char *part, size_t len) {
    cr_assert(kind >= 1 && kind <= 6, "a record of kind %lld", (long long)kind);
    int heads = kind == 1 ? 2 : 4, index = index_in(names[0], part, len);
    if (index >= 0 && index < heads) return index;
    index = index_in(names[kind], part, len);
    return index < 0 ? -1 : heads + index;
}

static int index_of_part(const char *part, size_t len) {
    if (isdigit((unsigned char)part[0])) return (int)strtol(part, NULL, 10);
    int index = index_in(prediction_names, part, len);
    return index >= 0 ? index : index_in(figure_names, part, len);
}

static json_t *record(const struct test_reply *reply, size_t i) {
    cr_assert(i < reply->count, "there is no record %zu, only %zu", i, reply->count);
    return json_array_get(reply->records, i);
}

json_t *record_value(const struct test_reply *reply, size_t i, const char *field) {
    json_t *value = record(reply, i);
    size_t len = strcspn(field, ".");
    int index = index_of_field(record_kind(reply, i), field, len);
    for (const char *part = field;; index = index_of_part(part, len)) {
        cr_assert(index >= 0, "no field %s in a record of kind %lld", field,
                  (long long)record_kind(reply, i));
        value = json_array_get(value, (size_t)index);
        cr_assert(value, "record %zu has no field %s", i, field);
        if (part[len] == '\0') return value;
        part += len + 1;
        len = strcspn(part, ".");
    }
}

int64_t record_kind(const struct test_reply *reply, size_t i) {
    return json_integer_value(json_array_get(record(reply, i), 1));
}

const char *record_str(const struct test_reply *reply, size_t i, const char *field) {
    json_t *value = record_value(reply, i, field);
    if (json_is_false(value)) return "";
    cr_assert(json_is_string(value), "field %s of record %zu is no string", field, i);
    return json_string_value(value);
}

double record_double(const struct test_reply *reply, size_t i, const char *field) {
    json_t *value = record_value(reply, i, field);
    cr_assert(json_is_number(value), "field %s of record %zu is no number", field, i);
    return json_number_value(value);
}

int64_t record_int(const struct test_reply *reply, size_t i, const char *field) {
    json_t *value = record_value(reply, i, field);
    cr_assert(json_is_number(value), "field %s of record %zu is no number", field, i);
    return json_is_integer(value) ? (int64_t)json_integer_value(value) : (int64_t)json_real_value(value);
}

bool record_bool(const struct test_reply *reply, size_t i, const char *field) {
    json_t *value = record_value(reply, i, field);
    cr_assert(json_is_boolean(value), "field %s of record %zu is neither true nor false", field, i);
    return json_is_true(value);
}

bool record_absent(const struct test_reply *reply, size_t i, const char *field) {
    return json_is_false(record_value(reply, i, field));
}

size_t record_count(const struct test_reply *reply, int64_t kind) {
    size_t count = 0;
    for (size_t i = 0; i < reply->count; i++) count += record_kind(reply, i) == kind;
    return count;
}

size_t record_find(const struct test_reply *reply, int64_t kind, size_t nth) {
    size_t left = nth;
    for (size_t i = 0; i < reply->count; i++)
        if (record_kind(reply, i) == kind && left-- == 0) return i;
    cr_assert_fail("there is no record %zu of kind %lld", nth, (long long)kind);
    return 0;
}

double json_number_at(const json_t *value, ...) {
    va_list path;
    va_start(path, value);
    for (const char *name; (name = va_arg(path, const char *));) {
        value = json_object_get(value, name);
        cr_assert(value, "there is no %s", name);
    }
    va_end(path);
    cr_assert(json_is_number(value), "not a number");
    return json_number_value(value);
}
