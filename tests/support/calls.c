/* Owns how tests call the Redis functions: libraries, events, settings, topic calls. Records are read in
 * records.c. */
#include "support/calls.h"
#include "store/functions.h"
#include "support/columns.h"
#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

const char *calls_root(enum wp_slot slot) {
    return slot == WP_SLOT_POOL ? "wp:{pool}" : "wp:{cache}";
}

/* Which slot a topic function lives in: the cache's names say so. */
static enum wp_slot slot_of(const char *base) {
    return strncmp(base, "cache", 5) == 0 ? WP_SLOT_CACHE : WP_SLOT_POOL;
}

void calls_load(struct test_redis *redis, enum wp_slot slot) {
    const struct wp_library *library;
    for (int i = 0; (library = wp_library_of_slot(slot, i)); i++) {
        struct wp_buf text = {0};
        wp_library_text(library, &text);
        freeReplyObject(test_redis_command(redis, "FUNCTION LOAD REPLACE %b", text.data, text.len));
        wp_buf_done(&text);
    }
}

/* ---- events ---- */

static void pack_head(struct test_events *events, int64_t offset) {
    char key[32], trace[32];
    snprintf(key, sizeof key, "key-%lld", (long long)offset);
    snprintf(trace, sizeof trace, "trace-%lld", (long long)offset);
    wp_pack_int(&events->packed, offset);
    wp_pack_str(&events->packed, wp_str(key));
    wp_pack_str(&events->packed, wp_str(trace));
    events->count++;
}

void event_begin_cache(struct test_events *events, int64_t offset, uint32_t fields) {
    wp_pack_array(&events->packed, 3 + fields);
    pack_head(events, offset);
}

static void pack_values(struct wp_buf *out, const char *format, va_list args) {
    for (const char *at = format; *at; at++) {
        switch (*at) {
        case 's':
            wp_pack_str(out, wp_str(va_arg(args, const char *)));
            break;
        case 'B':
            wp_pack_str(out, va_arg(args, struct wp_str));
            break;
        case 'i':
            wp_pack_int(out, va_arg(args, int));
            break;
        case 'l':
            wp_pack_int(out, va_arg(args, int64_t));
            break;
        case 'd':
            wp_pack_double(out, va_arg(args, double));
            break;
        case 'b':
            wp_pack_bool(out, va_arg(args, int) != 0);
            break;
        case '-':
            wp_pack_bool(out, false);
            break;
        default:
            cr_assert_fail("event_add: no letter '%c'", *at);
        }
    }
}

void event_add(struct test_events *events, int64_t offset, const char *format, ...) {
    va_list args;
    va_start(args, format);
    wp_pack_array(&events->packed, 1 + (uint32_t)strlen(format));
    wp_pack_int(&events->packed, offset);
    pack_values(&events->packed, format, args);
    events->count++;
    va_end(args);
}

void event_add_cache(struct test_events *events, int64_t offset, const char *format, ...) {
    va_list args;
    va_start(args, format);
    event_begin_cache(events, offset, (uint32_t)strlen(format));
    pack_values(&events->packed, format, args);
    va_end(args);
}

void calls_pack_events(struct wp_buf *out, const char *function, struct test_events *events) {
    columns_pack(out, function, events);
    wp_buf_done(&events->packed);
    events->count = 0;
}

/* ---- settings ---- */

static void pack_value(struct wp_buf *out, const json_t *value) {
    const char *key;
    json_t *each;
    size_t i;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        wp_pack_map(out, (uint32_t)json_object_size(value));
        json_object_foreach((json_t *)(uintptr_t)value, key, each) {
            wp_pack_str(out, wp_str(key));
            pack_value(out, each);
        }
        break;
    case JSON_ARRAY:
        wp_pack_array(out, (uint32_t)json_array_size(value));
        json_array_foreach(value, i, each) pack_value(out, each);
        break;
    case JSON_STRING:
        wp_pack_str(out, (struct wp_str){json_string_value(value), json_string_length(value)});
        break;
    case JSON_INTEGER:
        wp_pack_int(out, json_integer_value(value));
        break;
    case JSON_REAL:
        wp_pack_double(out, json_real_value(value));
        break;
    default:
        wp_pack_bool(out, json_is_true(value));
    }
}

void calls_pack_json(struct wp_buf *out, const char *text) {
    char *copy = wp_strdup(text);
    for (char *at = copy; (at = strchr(at, '\''));) *at = '"';
    json_error_t error;
    json_t *value = json_loads(copy, JSON_DECODE_ANY, &error);
    cr_assert(value, "not JSON: %s: %s", error.text, text);
    pack_value(out, value);
    json_decref(value);
    free(copy);
}

/* ---- calls ---- */

static redisReply *call_once(redisContext *connection, enum wp_slot slot, const char *base,
                             const struct wp_str *args, size_t count) {
    const struct wp_function *function = wp_function_find(slot, base);
    const char *argv[168] = {function->read_only ? "FCALL_RO" : "FCALL", function->name, "1",
                             calls_root(slot), ""};
    size_t lengths[168] = {strlen(argv[0]), strlen(argv[1]), 1, strlen(argv[3]), 0};
    size_t first = function->timed ? 5 : 4; /* how much time has passed: not known */
    cr_assert(count <= 160);
    for (size_t i = 0; i < count; i++) {
        argv[first + i] = args[i].ptr ? args[i].ptr : "";
        lengths[first + i] = args[i].len;
    }
    redisReply *reply = redisCommandArgv(connection, (int)(first + count), argv, lengths);
    cr_assert(reply, "%s: the connection broke: %s", function->name, connection->errstr);
    return reply;
}

/* What was said last, so that it is not said with each call. */
static struct said {
    redisContext *connection;
    char *settings;
} said[WP_SLOTS];

static void say_settings(redisContext *connection, enum wp_slot slot, const char *settings) {
    static int64_t read_ms; /* the latest is in force */
    struct wp_buf packed = {0};
    char read[24], hash[24];
    calls_pack_json(&packed, settings);
    snprintf(read, sizeof read, "%lld", (long long)++read_ms);
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)wp_str_hash64(wp_buf_str(&packed)));
    const struct wp_str args[] = {WP_STR("test"), wp_str(read), wp_str(hash), wp_buf_str(&packed)};
    redisReply *reply = call_once(connection, slot, "settings", args, 4);
    wp_buf_done(&packed);
    cr_assert(reply->type == REDIS_REPLY_ARRAY, "settings: %s", reply->str);
    freeReplyObject(reply);
    /* generations begin at 0 in tests */
    freeReplyObject(redisCommand(connection, "HSET %s:meta born 0", calls_root(slot)));
}

void calls_settings(redisContext *connection, enum wp_slot slot, const char *settings) {
    struct said *last = &said[slot];
    if (last->connection == connection && strcmp(last->settings, settings) == 0) return;
    free(last->settings);
    *last = (struct said){connection, wp_strdup(settings)};
    say_settings(connection, slot, settings);
}

redisReply *calls_function_on(redisContext *connection, enum wp_slot slot, const char *base,
                              const struct wp_str *args, size_t count) {
    redisReply *reply = call_once(connection, slot, base, args, count);
    bool forgotten = reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOSETTINGS", 10) == 0;
    if (!forgotten || !said[slot].settings) return reply;
    freeReplyObject(reply);
    say_settings(connection, slot, said[slot].settings);
    return call_once(connection, slot, base, args, count);
}

static redisReply *call_strings(struct test_redis *redis, enum wp_slot slot, const char *base, va_list list) {
    struct wp_str args[36];
    size_t count = 0;
    for (const char *arg; (arg = va_arg(list, const char *)); count++) {
        cr_assert(count < 36);
        args[count] = wp_str(arg);
    }
    redisReply *reply = calls_function_on(redis->connection, slot, base, args, count);
    cr_assert(reply->type != REDIS_REPLY_ERROR, "%s: %s", base, reply->str);
    return reply;
}

redisReply *calls_function(struct test_redis *redis, enum wp_slot slot, const char *base, ...) {
    va_list list;
    va_start(list, base);
    redisReply *reply = call_strings(redis, slot, base, list);
    va_end(list);
    return reply;
}

int64_t calls_sweep(struct test_redis *redis, enum wp_slot slot, const char *settings) {
    calls_settings(redis->connection, slot, settings);
    redisReply *reply = calls_function_on(redis->connection, slot, "sweep", NULL, 0);
    cr_assert(reply->type == REDIS_REPLY_INTEGER, "sweep: %s", reply->str ? reply->str : "not a number");
    int64_t removed = reply->integer;
    freeReplyObject(reply);
    return removed;
}

json_t *calls_public(struct test_redis *redis, const char *name, ...) {
    const char *base = strncmp(name, "wp_", 3) == 0 ? name + 3 : name;
    va_list list;
    va_start(list, name);
    redisReply *reply = call_strings(redis, slot_of(base), base, list);
    va_end(list);
    cr_assert(reply->type == REDIS_REPLY_STRING, "%s does not answer with a text", name);
    json_error_t error;
    json_t *value = json_loadb(reply->str, reply->len, JSON_DECODE_ANY, &error);
    cr_assert(value, "%s answers no JSON: %s: %s", name, error.text, reply->str);
    freeReplyObject(reply);
    return value;
}

/* The generation of a partition; one that is not known begins at `floor`. */
static int64_t begin(redisContext *connection, enum wp_slot slot, const char *partition, const char *floor) {
    const struct wp_str args[] = {wp_str(partition), wp_str(floor), WP_STR("new"), WP_STR("0")};
    redisReply *reply = calls_function_on(connection, slot, "begin", args, 4);
    cr_assert(reply->type == REDIS_REPLY_ARRAY, "begin: %s", reply->str);
    int64_t generation = reply->element[1]->integer;
    freeReplyObject(reply);
    return generation;
}

static bool is_unknown(const redisReply *reply) {
    return reply->type == REDIS_REPLY_ARRAY && reply->elements == 1 && reply->element[0]->elements >= 3 &&
           reply->element[0]->element[2]->integer < 0;
}

static redisReply *send_topic(redisContext *connection, const char *function, const char *partition,
                              int64_t prev, int64_t floor, const char *settings, struct test_events *events) {
    enum wp_slot slot = slot_of(function);
    struct wp_buf list = {0};
    char prev_text[24], floor_text[24], generation[24];
    snprintf(prev_text, sizeof prev_text, "%lld", (long long)prev);
    snprintf(floor_text, sizeof floor_text, "%lld", (long long)floor);
    columns_pack(&list, function, events);
    calls_settings(connection, slot, settings);
    struct wp_str args[] = {wp_str(partition), WP_STR("0"), wp_str(prev_text), wp_str(floor_text),
                            wp_buf_str(&list)};
    redisReply *reply = calls_function_on(connection, slot, function, args, 5);
    if (is_unknown(reply)) {
        freeReplyObject(reply);
        snprintf(generation, sizeof generation, "%lld",
                 (long long)begin(connection, slot, partition, floor_text));
        args[1] = wp_str(generation);
        reply = calls_function_on(connection, slot, function, args, 5);
    }
    wp_buf_done(&list);
    return reply;
}

static void empty(struct test_events *events) {
    wp_buf_done(&events->packed);
    events->count = 0;
}

struct test_reply calls_topic_on(redisContext *connection, const char *function, const char *partition,
                                 int64_t prev, int64_t floor, const char *settings,
                                 struct test_events *events) {
    redisReply *reply = send_topic(connection, function, partition, prev, floor, settings, events);
    cr_assert(reply->type != REDIS_REPLY_ERROR, "%s: %s", function, reply->str);
    cr_assert(reply->type == REDIS_REPLY_ARRAY && reply->elements == 1, "%s: not one answer", function);
    const redisReply *answer = reply->element[0];
    cr_assert(answer->type == REDIS_REPLY_ARRAY && answer->elements >= 3, "%s: not a delivery reply",
              function);
    struct test_reply ret = {.status = answer->element[0]->integer,
                             .applied = answer->element[1]->integer,
                             .floor = answer->element[2]->integer,
                             .records = json_array()};
    for (size_t i = 3; i < answer->elements; i++) {
        const redisReply *each = answer->element[i];
        columns_read(ret.records, each, events);
        if (each->type == REDIS_REPLY_ARRAY) each = each->element[0];
        wp_buf_add(&ret.stored, each->str, each->len);
    }
    ret.count = json_array_size(ret.records);
    empty(events);
    freeReplyObject(reply);
    return ret;
}

struct test_reply calls_topic(struct test_redis *redis, const char *function, const char *partition,
                              int64_t prev, int64_t floor, const char *settings, struct test_events *events) {
    return calls_topic_on(redis->connection, function, partition, prev, floor, settings, events);
}

char *calls_topic_error(struct test_redis *redis, const char *function, const char *partition, int64_t prev,
                        int64_t floor, const char *settings, struct test_events *events) {
    redisReply *reply = send_topic(redis->connection, function, partition, prev, floor, settings, events);
    char *text = reply->type == REDIS_REPLY_ERROR ? wp_strdup(reply->str) : NULL;
    empty(events);
    freeReplyObject(reply);
    return text;
}

char *calls_topic_fails(struct test_redis *redis, const char *function, const char *partition, int64_t prev,
                        int64_t floor, const char *settings, struct test_events *events) {
    char *text = calls_topic_error(redis, function, partition, prev, floor, settings, events);
    cr_assert(text, "%s was to fail", function);
    return text;
}

void calls_reply_done(struct test_reply *reply) {
    json_decref(reply->records);
    wp_buf_done(&reply->stored);
    *reply = (struct test_reply){0};
}

/* ---- time ---- */

int64_t calls_now(struct test_redis *redis, enum wp_slot slot) {
    redisReply *reply = test_redis_command(redis, "TIME");
    int64_t now =
        strtoll(reply->element[0]->str, NULL, 10) * 1000000 + strtoll(reply->element[1]->str, NULL, 10);
    freeReplyObject(reply);
    redisReply *seen = test_redis_command(redis, "HMGET %s:meta now time", calls_root(slot));
    if (seen->element[0]->str && seen->element[1]->str)
        now = strtoll(seen->element[0]->str, NULL, 10) + now - strtoll(seen->element[1]->str, NULL, 10);
    freeReplyObject(seen);
    return now;
}

void calls_advance_time(struct test_redis *redis, enum wp_slot slot, double seconds) {
    long long us = (long long)(seconds * 1e6);
    freeReplyObject(test_redis_command(redis, "HINCRBY %s:meta now %lld", calls_root(slot), us));
    freeReplyObject(test_redis_command(redis, "HINCRBY %s:meta beat %lld", calls_root(slot), us));
}
