/* Owns how rows of cache events become columns and columns records, for tests. */
#include "support/cache_columns.h"
#include <criterion/criterion.h>
#include "cache/cache_calls.h"

struct cache_row { /* one event as event_add_cache packs it */
    struct wp_meta meta;
    union wp_event event;
    int64_t json_bytes;
    bool whole; /* of the right types, so that a worker could have sent it */
};

static bool next_is_str(const struct wp_unpack *in) {
    unsigned type = in->at < in->end ? *in->at : 0;
    return (type & 0xe0) == 0xa0 || (type >= 0xd9 && type <= 0xdb);
}

static bool next_is_false(const struct wp_unpack *in) {
    return in->at < in->end && *in->at == 0xc2;
}

static int64_t read_number(struct wp_unpack *in, uint32_t *left) {
    if (*left == 0) return WP_ABSENT;
    --*left;
    bool absent = next_is_false(in);
    int64_t number = wp_unpack_int(in);
    return absent ? WP_ABSENT : number;
}

static struct cache_row read_row(struct wp_unpack *in) {
    struct cache_row row;
    memset(&row, 0, sizeof row);
    struct wp_cache_event *e = &row.event.cache;
    uint32_t fields = wp_unpack_array(in);
    struct wp_unpack end = *in;
    for (uint32_t i = 0; i < fields; i++) wp_unpack_skip(&end);
    row.whole = fields >= 8;
    row.meta.offset = wp_unpack_int(in);
    struct wp_str *const texts[] = {&row.meta.key, &row.meta.trace, &e->event_id, &e->op, &e->ns, &e->key};
    for (size_t i = 0; i < 6 && row.whole; i++) {
        row.whole = next_is_str(in);
        *texts[i] = wp_unpack_str(in);
    }
    if (row.whole) {
        uint32_t left = fields - 8;
        e->has_value = next_is_str(in);
        e->value = wp_unpack_str(in);
        e->ttl_seconds = read_number(in, &left);
        e->count = read_number(in, &left);
        row.json_bytes = read_number(in, &left);
    }
    *in = end;
    return row;
}

/* The last value that was packed is false. */
static void replace_last(struct wp_buf *column, int64_t number) {
    column->len--;
    wp_pack_int(column, number);
}

static void add_as_it_is(struct wp_columns *columns, const struct cache_row *row, struct wp_unpack from,
                         struct wp_unpack to) {
    wp_pack_int(wp_columns_value(columns, 0), row->meta.offset);
    wp_pack_int(wp_columns_value(columns, 1), 0);
    wp_pack_str(wp_columns_value(columns, 2), row->event.cache.key);
    wp_pack_int(wp_columns_value(columns, 3), 0);
    wp_buf_add(wp_columns_value(columns, 7), from.at, (size_t)(to.at - from.at));
}

void cache_columns_pack(struct wp_buf *out, const struct test_events *events) {
    struct wp_columns columns;
    struct wp_unpack in = wp_unpack(wp_buf_str(&events->packed));
    memset(&columns, 0, sizeof columns);
    wp_columns_begin(&columns, WP_CACHE_COLUMNS);
    for (uint32_t i = 0; i < events->count; i++) {
        struct wp_unpack from = in;
        struct cache_row row = read_row(&in);
        uint32_t sets = columns.counts[4];
        if (!row.whole) {
            add_as_it_is(&columns, &row, from, in);
            continue;
        }
        wp_add_cache(&columns, &row.meta, &row.event, NULL);
        if (columns.counts[4] > sets && row.json_bytes > 0 && row.event.cache.value.len < 1024)
            replace_last(&columns.columns[5], row.json_bytes);
    }
    wp_columns_end(&columns, out);
    wp_columns_done(&columns);
}

struct reading {
    const redisReply *reply;
    const struct test_events *events;
    json_t *records;
};

static bool wants(void *ctx, int64_t offset) {
    (void)ctx;
    (void)offset;
    return true;
}

/* A chunk may hold answers to events that were not sent this time: those have their offset alone. */
static bool own(void *ctx, int64_t offset, union wp_event *ret_event, struct wp_str *ret_key,
                struct wp_str *ret_trace) {
    const struct reading *reading = ctx;
    struct wp_unpack in = wp_unpack(wp_buf_str(&reading->events->packed));
    for (uint32_t i = 0; i < reading->events->count; i++) {
        struct cache_row row = read_row(&in);
        if (row.meta.offset != offset) continue;
        *ret_event = row.event;
        *ret_key = row.meta.key;
        *ret_trace = row.meta.trace;
        return true;
    }
    memset(ret_event, 0, sizeof *ret_event);
    *ret_key = *ret_trace = (struct wp_str){0};
    return true;
}

static bool value(void *ctx, size_t i, struct wp_str *ret) {
    const redisReply *reply = ((struct reading *)ctx)->reply;
    const redisReply *values = reply->type == REDIS_REPLY_ARRAY ? reply->element[1] : NULL;
    if (!values || i >= values->elements) return false;
    *ret = (struct wp_str){values->element[i]->str, values->element[i]->len};
    return true;
}

static json_t *text(struct wp_str text) {
    return json_stringn_nocheck(text.ptr ? text.ptr : "", text.len);
}

static json_t *number(int64_t number) {
    return number == WP_ABSENT ? json_false() : json_integer(number);
}

static void take(void *ctx, const struct wp_reply_record *record) {
    struct reading *reading = ctx;
    if (record->topic != WP_TOPIC_CACHE_RESULT) return;
    const struct wp_cache_result *r = record->fields;
    json_t *one = json_pack("[I i o o o o o o b o o o o]", (json_int_t)record->offset, 3, text(record->key),
                            text(record->trace), text(r->event_id), text(r->op), text(r->ns), text(r->key),
                            r->hit, r->has_value ? text(r->value) : json_false(), number(r->ttl_seconds),
                            text(r->reason), number(r->count));
    cr_assert(one);
    json_array_append_new(reading->records, one);
}

void cache_columns_read(json_t *records, const redisReply *reply, const struct test_events *events) {
    const redisReply *chunk = reply->type == REDIS_REPLY_ARRAY ? reply->element[0] : reply;
    struct reading reading = {reply, events, records};
    const struct wp_reply_sink sink = {&reading, wants, own, take, value};
    cr_assert(wp_cache_reply((struct wp_str){chunk->str, chunk->len}, &sink),
              "not a reply of this convention");
}
