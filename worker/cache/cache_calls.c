/* Packs cache events and settings for the {cache} function, and reads its answers. Pure. */
#include "cache/cache_calls.h"
#include "kafka/conf.h"
#include <stdlib.h>

enum kind { RESULT = 3, DEAD = 5, PLAIN = 8 };
enum { JSON_COUNTED = 1024 };          /* a shorter value fits an answer in any form */
enum { PLAIN_VALUE_MAX = 16 * 1024 };  /* a set of a larger value goes as a row: it is not decoded twice */
enum how { NEW, REPLACED, MISS, HIT }; /* answers to plain sets (NEW, REPLACED) and gets */

int64_t wp_cache_json_bytes(struct wp_str value) {
    int64_t escaped = (int64_t)value.len;
    bool high = false;
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if (c == '"' || c == '\\' || c == '\n' || c == '\r' || c == '\t')
            escaped++;
        else if (c < 32)
            escaped += 5;
        high |= c >= 128;
    }
    int64_t base64 = ((int64_t)value.len + 2) / 3 * 4;
    return high && base64 > escaped ? base64 : escaped;
}

static void pack_row(struct wp_buf *out, const struct wp_meta *meta, const struct wp_cache_event *e) {
    wp_pack_array(out, 11);
    wp_pack_int(out, meta->offset);
    wp_pack_str(out, wp_meta_key(meta));
    wp_pack_str(out, meta->trace);
    wp_pack_str(out, e->event_id);
    wp_pack_str(out, e->op);
    wp_pack_str(out, e->ns);
    wp_pack_str(out, e->key);
    if (e->has_value)
        wp_pack_str(out, e->value);
    else
        wp_pack_bool(out, false);
    wp_pack_optional_int(out, e->ttl_seconds);
    wp_pack_optional_int(out, e->count);
    wp_pack_optional_int(out, e->has_value && e->value.len >= JSON_COUNTED ? wp_cache_json_bytes(e->value)
                                                                           : WP_ABSENT);
}

enum column {
    OFFSETS,
    GROUPS,
    KEYS,
    ENVELOPES,
    VALUES /* of sets */,
    JSONS /* the same */,
    DICTIONARY,
    ROWS
};

/* A plain event goes as columns: a get, or a set of a value that is not large. Others go as rows. */
static bool is_plain(const struct wp_cache_event *e) {
    if (e->ns.len == 0 || e->key.len == 0) return false;
    if (wp_str_is(e->op, "get")) return true;
    return wp_str_is(e->op, "set") && e->has_value && e->value.len < PLAIN_VALUE_MAX &&
           (e->ttl_seconds == WP_ABSENT || e->ttl_seconds >= 0);
}

static uint32_t add_group(struct wp_columns *columns, const struct wp_cache_event *e) {
    struct wp_buf *words = &columns->columns[DICTIONARY];
    size_t from = words->len;
    wp_pack_array(words, 3);
    wp_pack_str(words, e->op);
    wp_pack_str(words, e->ns);
    wp_pack_optional_int(words, e->ttl_seconds);
    return wp_columns_word(columns, DICTIONARY, from);
}

/* The bytes of the event that its answer repeats, without the value. */
static int64_t envelope(const struct wp_meta *meta, const struct wp_cache_event *e) {
    return (int64_t)(wp_meta_key(meta).len + meta->trace.len +
                     2 * (e->event_id.len + e->ns.len + e->key.len));
}

void wp_add_cache(struct wp_columns *columns, const struct wp_meta *meta, const union wp_event *event,
                  const char *invalid) {
    const struct wp_cache_event *e = &event->cache;
    bool plain = is_plain(e);
    (void)invalid;
    wp_pack_int(wp_columns_value(columns, OFFSETS), meta->offset);
    wp_pack_int(wp_columns_value(columns, GROUPS), plain ? add_group(columns, e) : 0);
    wp_pack_str(wp_columns_value(columns, KEYS), e->key);
    wp_pack_int(wp_columns_value(columns, ENVELOPES), plain ? envelope(meta, e) : 0);
    if (plain && wp_str_is(e->op, "set")) {
        wp_pack_str(wp_columns_value(columns, VALUES), e->value);
        wp_pack_optional_int(wp_columns_value(columns, JSONS),
                             e->value.len >= JSON_COUNTED ? wp_cache_json_bytes(e->value) : WP_ABSENT);
    }
    if (!plain) pack_row(wp_columns_value(columns, ROWS), meta, e);
}

/* false stands for an absent value; an empty string is a value. */
static bool next_is_false(const struct wp_unpack *in) {
    return in->at < in->end && *in->at == 0xc2;
}

static int64_t read_optional_int(struct wp_unpack *in) {
    bool absent = next_is_false(in);
    int64_t value = wp_unpack_int(in);
    return absent ? WP_ABSENT : value;
}

static bool read_result(struct wp_unpack *in, struct wp_cache_result *ret) {
    ret->event_id = wp_unpack_str(in);
    ret->op = wp_unpack_str(in);
    ret->ns = wp_unpack_str(in);
    ret->key = wp_unpack_str(in);
    ret->hit = wp_unpack_bool(in);
    ret->has_value = !next_is_false(in);
    ret->value = wp_unpack_str(in);
    ret->ttl_seconds = read_optional_int(in);
    ret->reason = wp_unpack_str(in);
    if (ret->reason.len == 0) ret->reason.ptr = NULL;
    ret->count = read_optional_int(in);
    return !in->failed;
}

/* ---- columns of plain events ---- */

static struct wp_unpack read_column(struct wp_unpack *in, uint32_t *ret_count) {
    struct wp_unpack column = *in;
    wp_unpack_skip(in);
    *ret_count = wp_unpack_array(&column);
    return column;
}

static bool next_is_str(const struct wp_unpack *in) {
    unsigned type = in->at < in->end ? *in->at : 0;
    return (type & 0xe0) == 0xa0 || (type >= 0xd9 && type <= 0xdb);
}

struct plain { /* the columns; each reader stands at its next value */
    struct wp_unpack offsets, hows, ttls;
    size_t hits; /* passed so far: the number of the next hit's value beside the chunk */
};

static bool take_plain(const struct plain *plain, int64_t offset, int64_t how, struct wp_cache_result *result,
                       const struct wp_reply_sink *sink) {
    union wp_event event;
    struct wp_reply_record record = {.offset = offset, .topic = WP_TOPIC_CACHE_RESULT, .fields = result};
    if (how < NEW || how > HIT) return false;
    if (how == HIT && !(sink->value && sink->value(sink->ctx, plain->hits, &result->value))) return false;
    result->has_value = how == HIT && result->value.ptr; /* somebody may have deleted it: a miss */
    result->hit = how == REPLACED || result->has_value;
    if (how == HIT && !result->has_value) result->ttl_seconds = WP_ABSENT;
    if (!sink->own(sink->ctx, offset, &event, &record.key, &record.trace)) return false;
    result->event_id = event.cache.event_id;
    result->op = event.cache.op;
    result->ns = event.cache.ns;
    result->key = event.cache.key;
    record.id = result->event_id;
    sink->take(sink->ctx, &record);
    return true;
}

/* Takes the columns' next answer. False: it cannot be read. */
static bool next_plain(struct plain *plain, const struct wp_reply_sink *sink) {
    struct wp_cache_result result = {.ttl_seconds = WP_ABSENT, .count = WP_ABSENT};
    int64_t offset = wp_unpack_int(&plain->offsets), how = wp_unpack_int(&plain->hows);
    if (next_is_str(&plain->ttls))
        result.reason = wp_unpack_str(&plain->ttls);
    else
        result.ttl_seconds = read_optional_int(&plain->ttls);
    if (plain->offsets.failed || plain->hows.failed || plain->ttls.failed) return false;
    if (sink->wants(sink->ctx, offset) && !take_plain(plain, offset, how, &result, sink)) return false;
    if (how == HIT) plain->hits++;
    return true;
}

/* Three columns: offsets, answers (enum how), and the ttl or the reason for an error. */
static bool take_all_plain(struct wp_unpack *in, uint32_t fields, const struct wp_reply_sink *sink) {
    uint32_t counts[3];
    struct plain plain = {.hits = 0};
    if (fields != 3) return false;
    plain.offsets = read_column(in, &counts[0]);
    plain.hows = read_column(in, &counts[1]);
    plain.ttls = read_column(in, &counts[2]);
    if (in->failed || counts[1] != counts[0] || counts[2] != counts[0]) return false;
    for (uint32_t i = 0; i < counts[0]; i++)
        if (!next_plain(&plain, sink)) return false;
    return true;
}

/* ---- records ---- */

static bool read_record(struct wp_unpack *in, int kind, uint32_t fields, int64_t offset,
                        const struct wp_reply_sink *sink, bool wanted) {
    struct wp_cache_result result = {0};
    struct wp_reply_record record = {.offset = offset, .topic = WP_TOPIC_CACHE_RESULT, .fields = &result};
    if (kind == PLAIN) return take_all_plain(in, fields, sink);
    if (!wanted) return wp_reply_skip(in, fields);
    if (kind == DEAD) return wp_reply_dead(in, offset, sink);
    record.key = wp_unpack_str(in);
    record.trace = wp_unpack_str(in);
    if (kind != RESULT || !read_result(in, &result)) return false;
    record.id = result.event_id;
    sink->take(sink->ctx, &record);
    return true;
}

bool wp_cache_reply(struct wp_str chunk, const struct wp_reply_sink *sink) {
    return wp_reply_each(chunk, sink, read_record);
}

static void pack_by_namespace(struct wp_buf *out, const char *key, const struct wp_settings *of) {
    wp_pack_key(out, key);
    wp_pack_map(out, (uint32_t)of->count);
    for (size_t i = 0; i < of->count; i++) {
        wp_pack_key(out, of->list[i].key);
        wp_pack_int(out, strtoll(of->list[i].value, NULL, 10));
    }
}

void wp_pack_cache_settings(struct wp_buf *out, const struct wp_config *config) {
    wp_pack_map(out, 10);
    wp_pack_key(out, "enabled");
    wp_pack_bool(out, config->cache.enabled);
    wp_pack_key(out, "max_entries");
    wp_pack_int(out, config->cache.max_entries);
    wp_pack_key(out, "max_bytes");
    wp_pack_int(out, config->cache.max_bytes);
    wp_pack_key(out, "max_value_bytes");
    wp_pack_int(out, config->cache.max_value_bytes);
    wp_pack_key(out, "answer_bytes");
    wp_pack_int(out, wp_kafka_message_max(config));
    wp_pack_key(out, "answer_json");
    wp_pack_bool(out, config->wire.write == WP_WIRE_JSON);
    wp_pack_key(out, "default_ttl");
    wp_pack_int(out, config->cache.default_ttl);
    pack_by_namespace(out, "ttl", &config->cache.ttl);
    pack_by_namespace(out, "max_entries_of", &config->cache.max_entries_of);
    pack_by_namespace(out, "max_bytes_of", &config->cache.max_bytes_of);
}
