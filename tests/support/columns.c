/* Owns how rows become columns and columns records, for tests. */
#include "support/columns.h"
#include <criterion/criterion.h>
#include <math.h>
#include "pool/pool_calls.h"
#include "pool/pool_reply.h"
#include "predictor/usage_calls.h"
#include "support/cache_columns.h"

struct acquire_row { /* one event as event_add packs it */
    struct wp_meta meta;
    union wp_event event;
    struct wp_str keys;
    bool plain; /* it asks for nothing but a container */
};

static bool next_is_str(const struct wp_unpack *in) {
    unsigned type = in->at < in->end ? *in->at : 0;
    return (type & 0xe0) == 0xa0 || (type >= 0xd9 && type <= 0xdb);
}

static bool next_is_false(const struct wp_unpack *in) {
    return in->at < in->end && *in->at == 0xc2;
}

static struct acquire_row read_acquire(struct wp_unpack *in) {
    struct acquire_row row;
    memset(&row, 0, sizeof row);
    struct wp_acquire *a = &row.event.acquire;
    a->timeout_ms = a->lease_ms = WP_ABSENT;
    a->cpu_percent = a->memory_mb = NAN;
    uint32_t fields = wp_unpack_array(in);
    struct wp_unpack end = *in;
    for (uint32_t i = 0; i < fields; i++) wp_unpack_skip(&end);
    row.meta.offset = wp_unpack_int(in);
    row.meta.age_us = wp_unpack_int(in);
    row.meta.record_age_ms = wp_unpack_int(in);
    row.keys = wp_unpack_str(in);
    row.plain = fields == 14;
    struct wp_str *const texts[] = {&a->request_id, &a->agent_id, &a->philosophy, &a->tenant};
    for (size_t i = 0; i < 4; i++) {
        row.plain = row.plain && next_is_str(in);
        *texts[i] = wp_unpack_str(in);
    }
    for (int i = 0; i < 4 && row.plain; i++) {
        row.plain = next_is_false(in);
        wp_unpack_skip(in);
    }
    for (int i = 0; i < 2 && row.plain; i++) row.plain = wp_unpack_str(in).len == 0; /* invalid, claim */
    struct wp_unpack keys = wp_unpack(row.keys);
    row.meta.key = wp_unpack_str(&keys);
    row.meta.trace = wp_unpack_str(&keys);
    *in = end;
    return row;
}

static void add_value(struct wp_columns *columns, unsigned column, struct wp_unpack from) {
    struct wp_unpack end = from;
    wp_unpack_skip(&end);
    wp_buf_add(wp_columns_value(columns, column), from.at, (size_t)(end.at - from.at));
}

/* A row stands in the last column, and as far as they are needed its values in theirs. */
static void add_row(struct wp_columns *columns, struct wp_unpack row, const int *fields, unsigned count) {
    add_value(columns, count - 1, row);
    for (unsigned i = 0; i + 2 < count; i++) {
        struct wp_unpack value = row;
        (void)wp_unpack_array(&value);
        for (int k = 0; k < fields[i]; k++) wp_unpack_skip(&value);
        if (fields[i] < 0)
            wp_pack_int(wp_columns_value(columns, i), 0);
        else
            add_value(columns, i, value);
    }
}

static void pack_acquires(struct wp_columns *columns, const struct test_events *events) {
    static const int fields[] = {0, 4, -1, 1, 2, 5, 3};
    struct wp_unpack in = wp_unpack(wp_buf_str(&events->packed));
    for (uint32_t i = 0; i < events->count; i++) {
        struct wp_unpack start = in;
        struct acquire_row row = read_acquire(&in);
        if (row.plain)
            wp_add_acquire(columns, &row.meta, &row.event, NULL);
        else
            add_row(columns, start, fields, WP_ACQUIRE_COLUMNS);
    }
}

static void pack_releases(struct wp_columns *columns, const struct test_events *events) {
    static const int fields[] = {0, 1, -1, 3};
    struct wp_unpack in = wp_unpack(wp_buf_str(&events->packed));
    for (uint32_t i = 0; i < events->count; i++) {
        struct wp_unpack start = in, row = in;
        struct wp_meta meta = {0};
        union wp_event event;
        memset(&event, 0, sizeof event);
        wp_unpack_skip(&in);
        (void)wp_unpack_array(&row);
        meta.offset = wp_unpack_int(&row);
        bool is_event = next_is_str(&row);
        event.release.request_id = wp_unpack_str(&row);
        event.release.philosophy = wp_unpack_str(&row);
        event.release.container_id = wp_unpack_str(&row);
        event.release.reuse = wp_unpack_bool(&row);
        if (is_event)
            wp_add_release(columns, &meta, &event, NULL);
        else
            add_row(columns, start, fields, WP_RELEASE_COLUMNS);
    }
}

/* ret_bad: it is no number, which no worker sends. */
static double read_figure(struct wp_unpack *in, bool *ret_bad) {
    bool absent = next_is_false(in);
    if (next_is_str(in)) *ret_bad = absent = true;
    if (*ret_bad) {
        wp_unpack_skip(in);
        return NAN;
    }
    double value = wp_unpack_double(in);
    return absent ? NAN : value;
}

static void pack_usages(struct wp_columns *columns, const struct test_events *events) {
    enum { SAMPLES = 4 };
    struct wp_unpack in = wp_unpack(wp_buf_str(&events->packed));
    for (uint32_t i = 0; i < events->count; i++) {
        struct wp_meta meta = {0};
        union wp_event event;
        bool bad = false;
        size_t from = columns->columns[SAMPLES].len;
        memset(&event, 0, sizeof event);
        uint32_t fields = wp_unpack_array(&in);
        bool cut = fields < 7;
        meta.offset = wp_unpack_int(&in);
        event.usage.record_id = fields > 1 ? wp_unpack_str(&in) : WP_STR("");
        event.usage.agent_id = fields > 2 ? wp_unpack_str(&in) : WP_STR("");
        event.usage.philosophy = fields > 3 ? wp_unpack_str(&in) : WP_STR("");
        double *const figures[] = {&event.usage.cpu_percent, &event.usage.memory_usage_mb,
                                   &event.usage.execution_time};
        for (uint32_t k = 4; k < fields; k++) *figures[k - 4] = read_figure(&in, &bad);
        bad = bad || cut;
        wp_add_usage(columns, &meta, &event, NULL);
        if (!bad) continue;
        columns->columns[SAMPLES].len = from;
        wp_pack_str(&columns->columns[SAMPLES], WP_STR("x"));
    }
}

void columns_pack(struct wp_buf *out, const char *function, const struct test_events *events) {
    struct wp_columns columns = {0};
    if (strcmp(function, "acquire") == 0) {
        wp_columns_begin(&columns, WP_ACQUIRE_COLUMNS);
        pack_acquires(&columns, events);
    } else if (strcmp(function, "release") == 0) {
        wp_columns_begin(&columns, WP_RELEASE_COLUMNS);
        pack_releases(&columns, events);
    } else if (strcmp(function, "usage") == 0) {
        wp_columns_begin(&columns, WP_USAGE_COLUMNS);
        pack_usages(&columns, events);
    } else if (strcmp(function, "cache") == 0) {
        cache_columns_pack(out, events);
        return;
    } else {
        wp_pack_array(out, events->count);
        if (events->count > 0) wp_buf_add(out, events->packed.data, events->packed.len);
        return;
    }
    wp_columns_end(&columns, out);
    wp_columns_done(&columns);
}

/* ---- answers ---- */

struct reading {
    const struct test_events *events;
    json_t *records, *runs, *predictions;
    struct acquire_row row; /* found last */
};

static bool is_of_columns(void *ctx, int64_t offset) {
    const struct reading *reading = ctx;
    for (size_t i = 0; i + 2 < json_array_size(reading->runs); i += 3) {
        int64_t count = json_integer_value(json_array_get(reading->runs, i));
        int64_t first = json_integer_value(json_array_get(reading->runs, i + 1));
        if (offset >= first && offset < first + count) return true;
    }
    return false;
}

static bool find_own(void *ctx, int64_t offset, union wp_event *ret_event, struct wp_str *ret_key,
                     struct wp_str *ret_trace) {
    struct reading *reading = ctx;
    struct wp_unpack in = wp_unpack(wp_buf_str(&reading->events->packed));
    for (uint32_t i = 0; i < reading->events->count; i++) {
        reading->row = read_acquire(&in);
        if (reading->row.meta.offset != offset) continue;
        *ret_event = reading->row.event;
        *ret_key = reading->row.meta.key;
        *ret_trace = reading->row.meta.trace;
        return true;
    }
    cr_assert_fail("an answer to offset %lld, which was not sent", (long long)offset);
    return false;
}

static json_t *text(struct wp_str value) {
    return json_stringn_nocheck(value.ptr ? value.ptr : "", value.len);
}

/* As Redis packs it: whole ones as integers. */
static json_t *number(double value) {
    return value == floor(value) ? json_integer((json_int_t)value) : json_real(value);
}

/* An assignment does not say all of it. */
static json_t *prediction_of(const struct reading *reading, struct wp_str philosophy) {
    json_t *one;
    size_t i;
    json_array_foreach(reading->predictions, i,
                       one) if (wp_str_is(philosophy, json_string_value(json_array_get(one, 0)))) return one;
    cr_assert_fail("no prediction");
    return NULL;
}

static json_int_t us(double ms) {
    return (json_int_t)(ms * 1000 + 0.5);
}

/* As a record of kind 1. */
static void take(void *ctx, const struct wp_reply_record *record) {
    struct reading *reading = ctx;
    if (record->topic != WP_TOPIC_ASSIGNMENT || !is_of_columns(ctx, record->offset)) return;
    const struct wp_assignment *a = record->fields;
    json_t *one =
        json_pack("[I i o o o o o o [o o] o o o o o b I I I I O o i o b b]", (json_int_t)record->offset, 1,
                  text(a->agent_id), text(reading->row.event.acquire.tenant), text(a->philosophy),
                  text(a->container_id), text(a->host), text(a->address), number(a->limits.cpu_percent),
                  number(a->limits.memory_mb), text(a->image), text(record->key), text(record->trace),
                  text(a->request_id), text(a->status), a->warm_start, us(a->startup_time_ms), us(a->wait_ms),
                  (json_int_t)a->lease_epoch, (json_int_t)a->lease_expires_at,
                  prediction_of(reading, a->philosophy), text(a->reason), 0, text(a->tier), 0, 0);
    cr_assert(one);
    json_array_append_new(reading->records, one);
}

/* One that is not among the records from that one on yet. */
static void add_new(json_t *records, size_t from, json_t *record) {
    for (size_t i = from; i < json_array_size(records); i++)
        if (json_equal(json_array_get(json_array_get(records, i), 0), json_array_get(record, 0))) return;
    json_array_append(records, record);
}

/* Records of columns come last in a chunk: where they belong, by the offsets. */
static void sort_by_offset(json_t *records, size_t from) {
    for (size_t i = from + 1; i < json_array_size(records); i++) {
        json_t *one = json_incref(json_array_get(records, i));
        int64_t offset = json_integer_value(json_array_get(one, 0));
        size_t at = i;
        while (at > from && json_integer_value(json_array_get(json_array_get(records, at - 1), 0)) > offset)
            at--;
        json_array_remove(records, i);
        json_array_insert_new(records, at, one);
    }
}

void columns_read(json_t *records, const redisReply *reply, const struct test_events *events) {
    const redisReply *first = reply->type == REDIS_REPLY_ARRAY ? reply->element[0] : reply;
    struct wp_str chunk = {first->str, first->len};
    bool of_cache = false;
    json_t *all = calls_unpack_all(chunk.ptr, chunk.len), *list = json_array_get(all, 0);
    json_t *offsets = json_array_get(list, 0);
    size_t from = json_array_size(records);
    cr_assert_eq(json_array_size(offsets) + 1, json_array_size(list));
    for (size_t k = 1; k < json_array_size(list); k++) {
        json_t *record = json_array_get(list, k);
        of_cache = of_cache || json_integer_value(json_array_get(record, 0)) == 8;
        if (json_integer_value(json_array_get(record, 0)) == 8) continue;
        if (json_integer_value(json_array_get(record, 0)) == 7) {
            struct reading reading = {.events = events,
                                      .records = records,
                                      .runs = json_array_get(record, 2),
                                      .predictions = json_array_get(record, 8)};
            const struct wp_reply_sink sink = {&reading, is_of_columns, find_own, take, NULL};
            cr_assert(wp_pool_reply(chunk, &sink), "not a reply of this convention");
            continue;
        }
        json_array_insert(record, 0, json_array_get(offsets, k - 1));
        json_array_append(records, record);
    }
    if (of_cache) {
        json_t *rows = json_array();
        cache_columns_read(rows, reply, events);
        for (size_t k = 0; k < json_array_size(rows); k++) add_new(records, from, json_array_get(rows, k));
        json_decref(rows);
    }
    sort_by_offset(records, from);
    json_decref(all);
}
