/* Owns the translation between cache events and the {cache} function. Pure. */
#include "cache/cache_calls.h"
#include "kafka/conf.h"
#include <stdlib.h>

enum kind { RESULT = 3, DEAD = 5 };
enum { JSON_COUNTED = 1024 }; /* values of so many bytes: of shorter ones any fits as JSON */

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

void wp_add_cache(struct wp_columns *columns, const struct wp_meta *meta, const union wp_event *event,
                  const char *invalid) {
    struct wp_buf *out = wp_columns_value(columns, 0);
    const struct wp_cache_event *e = &event->cache;
    (void)invalid;
    wp_pack_array(out, 11);
    wp_pack_int(out, meta->offset);
    wp_pack_str(out, meta->key);
    wp_pack_str(out, meta->traceparent);
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

static bool read_record(struct wp_unpack *in, int kind, uint32_t fields, int64_t offset,
                        const struct wp_reply_sink *sink, bool wanted) {
    struct wp_cache_result result = {0};
    struct wp_reply_record record = {.offset = offset, .topic = WP_TOPIC_CACHE_RESULT, .fields = &result};
    if (!wanted) return wp_reply_skip(in, fields);
    if (kind == DEAD) return wp_reply_dead(in, offset, sink);
    record.key = wp_unpack_str(in);
    record.traceparent = wp_unpack_str(in);
    if (kind != RESULT || !read_result(in, &result)) return false;
    record.id = result.event_id;
    sink->take(sink->ctx, &record);
    return true;
}

bool wp_cache_reply(struct wp_str chunk, const struct wp_reply_sink *sink) {
    return wp_reply_each(chunk, sink, read_record);
}

void wp_pack_cache_settings(struct wp_buf *out, const struct wp_config *config) {
    wp_pack_map(out, 8);
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
    wp_pack_key(out, "ttl");
    wp_pack_map(out, (uint32_t)config->cache.ttl.count);
    for (size_t i = 0; i < config->cache.ttl.count; i++) {
        wp_pack_key(out, config->cache.ttl.list[i].key);
        wp_pack_int(out, strtoll(config->cache.ttl.list[i].value, NULL, 10));
    }
}
