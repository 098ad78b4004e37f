/* The structs of the hot topics as JSON objects. Pure; any thread. */
#include "core/base64.h"
#include "wire/events.h"
#include "wire/fields.h"
#include "wire/keys.h"
#include "wire/scan.h"
#include "wire/text.h"

/* ---- reading: an object, member by member ---- */

struct reading {
    struct scan in;
    const struct fields *fields;
    struct wp_arena *arena;
    void *event;
    struct wp_error *error;
    enum wp_err err;     /* the first error; later ones are not reported */
    uint64_t seen;       /* one bit per field; the highest is value_base64 */
    struct keys unknown; /* the other keys, by offset */
};

#define SEEN_BASE64 (UINT64_C(1) << 63)
#define LONGEST_QUOTED 64

#define FAIL(reading, ...)                                                                                   \
    do {                                                                                                     \
        if (!(reading)->err) (reading)->err = wp_fail((reading)->error, WP_ERR_DATA, __VA_ARGS__);           \
    } while (0)

/* Errors never quote the content of a claim. */
static void wrong(struct reading *r, const struct field *field, const char *expected,
                  const struct scan_value *value) {
    struct scan_words words;
    FAIL(r, "field %s must be %s, not %s", field->name, expected,
         field->kind == FIELD_MAP ? scan_kind_name(value->kind) : scan_describe(value, &words));
}

static void malformed(struct reading *r) {
    if (!r->err) r->err = scan_fail(&r->in, r->error);
}

static bool read_string(struct reading *r, const struct field *field, const struct scan_value *value,
                        struct wp_str *ret) {
    if (value->lone) {
        FAIL(r, "field %s must be UTF-8, not a string with a lone surrogate (%.6s at offset %zu)",
             field->name, value->lone, scan_offset(&r->in, value->lone));
        return false;
    }
    *ret = scan_string(value, r->arena);
    return true;
}

/* Reads a string as its UTF-8, and any other value as its JSON text. */
static bool read_text(struct reading *r, const struct field *field, const struct scan_value *value,
                      struct wp_str *ret) {
    if (value->kind == SCAN_STRING) return read_string(r, field, value, ret);
    *ret = value->text;
    return true;
}

static void read_base64(struct reading *r, const struct field *field, const struct scan_value *value) {
    struct wp_buf bytes = {0};
    struct wp_str text = {NULL, 0};
    if (value->kind == SCAN_STRING && !value->lone &&
        wp_base64_decode(&bytes, scan_string(value, r->arena))) {
        text = wp_arena_copy(r->arena, wp_buf_str(&bytes));
        *(struct wp_str *)field_place(field, r->event) = text;
        *(bool *)((char *)r->event + field->has_at) = true;
    } else {
        struct scan_words words;
        FAIL(r, "field %s_base64 must be base64 with padding, not %s", field->name,
             scan_describe(value, &words));
    }
    wp_buf_done(&bytes);
}

/* Keeps the map as its Avro datum. */
static void read_map(struct reading *r, const struct field *field, const struct scan_value *value) {
    struct wp_buf items = {0}, datum = {0};
    struct scan in = scan_inside(&r->in, value);
    struct scan_value key, item;
    struct wp_str text;
    int64_t count = 0;
    bool good = scan_open(&in, '{');
    if (!good) wrong(r, field, "an object", value);
    while (good && scan_member(&in, &key, &item)) {
        good = read_text(r, field, &item, &text);
        if (!good) break;
        count++;
        avro_write_bytes(&items, scan_string(&key, r->arena));
        avro_write_bytes(&items, text);
    }
    if (count > 0) avro_write_long(&datum, count);
    if (count > 0) wp_buf_add(&datum, items.data, items.len);
    avro_write_long(&datum, 0);
    if (good) *(struct wp_str *)field_place(field, r->event) = wp_arena_copy(r->arena, wp_buf_str(&datum));
    wp_buf_done(&items);
    wp_buf_done(&datum);
}

static void read_long(struct reading *r, const struct field *field, const struct scan_value *value) {
    struct scan_words words;
    int64_t number = 0;
    if (value->kind != SCAN_NUMBER || value->fraction)
        wrong(r, field, "an integer", value);
    else if (!scan_long(value, &number) || number == WP_ABSENT) {
        if (!r->err) r->err = field_out_of_range(field, scan_describe(value, &words), r->error);
    } else
        *(int64_t *)field_place(field, r->event) = number;
}

static void read_double(struct reading *r, const struct field *field, const struct scan_value *value) {
    struct scan_words words;
    if (value->kind != SCAN_NUMBER) {
        wrong(r, field, "a number", value);
        return;
    }
    double number = scan_double(value);
    if (isfinite(number))
        *(double *)field_place(field, r->event) = number;
    else if (!r->err)
        r->err = field_out_of_range(field, scan_describe(value, &words), r->error);
}

static void read_value(struct reading *r, const struct field *field, const struct scan_value *value) {
    struct wp_str text;
    switch (field->kind) {
    case FIELD_STRING:
        if (value->kind != SCAN_STRING)
            wrong(r, field, "a string", value);
        else if (read_string(r, field, value, &text))
            *(struct wp_str *)field_place(field, r->event) = text;
        break;
    case FIELD_BYTES:
        if (r->seen & SEEN_BASE64 || !read_text(r, field, value, &text)) break;
        *(bool *)((char *)r->event + field->has_at) = true;
        *(struct wp_str *)field_place(field, r->event) = text;
        break;
    case FIELD_LONG:
        read_long(r, field, value);
        break;
    case FIELD_DOUBLE:
        read_double(r, field, value);
        break;
    case FIELD_MAP:
        read_map(r, field, value);
        break;
    default: /* no input has a record */
        wp_assert(field->kind == FIELD_BOOL);
        if (value->kind != SCAN_TRUE && value->kind != SCAN_FALSE)
            wrong(r, field, "true or false", value);
        else
            *(bool *)field_place(field, r->event) = value->kind == SCAN_TRUE;
        break;
    }
}

static void report_repeated(struct reading *r, struct wp_str name, size_t offset) {
    if (wp_str_is_id(name, LONGEST_QUOTED))
        FAIL(r, "the JSON has the key \"%.*s\" more than once: again at offset %zu", (int)name.len, name.ptr,
             offset);
    else
        FAIL(r, "the JSON has a key of %zu bytes more than once: again at offset %zu", name.len, offset);
}

/* False when the key occurred before: the field is cleared, because it is not known which value was meant. */
static bool is_first(struct reading *r, const struct key *key, const struct field *field, uint64_t bit) {
    bool first = !(r->seen & bit);
    r->seen |= bit;
    if (first) return true;
    report_repeated(r, key->name, key->at);
    fields_clear(&(struct fields){field, 1}, r->event);
    return false;
}

static void take_member(struct reading *r, const struct key *key, const struct scan_value *value) {
    for (size_t i = 0; i < r->fields->count; i++) {
        const struct field *field = &r->fields->list[i];
        if (wp_str_is(key->name, field->name)) {
            if (is_first(r, key, field, UINT64_C(1) << i) && !(field->optional && value->kind == SCAN_NULL))
                read_value(r, field, value);
            return;
        }
        if (field->kind == FIELD_BYTES && wp_str_is(key->name, "value_base64")) {
            if (is_first(r, key, field, SEEN_BASE64)) read_base64(r, field, value);
            return;
        }
    }
    keys_add(&r->unknown, key->name, key->at);
}

static void check_unknown(struct reading *r) {
    const struct key *again = keys_repeated(&r->unknown);
    if (again) report_repeated(r, again->name, again->at);
}

/* A byte order mark is an error (RFC 8259, 8.1). The text after it is still read, so that the request can be
 * answered. */
static void skip_byte_order_mark(struct reading *r) {
    size_t left = (size_t)(r->in.end - r->in.begin);
    if (left >= 3 && memcmp(r->in.begin, "\xef\xbb\xbf", 3) == 0) {
        FAIL(r, "the JSON is malformed: it begins with a byte order mark (EF BB BF at offset 0); send it "
                "without");
        r->in.at += 3;
    } else if (left >= 2 &&
               (memcmp(r->in.begin, "\xff\xfe", 2) == 0 || memcmp(r->in.begin, "\xfe\xff", 2) == 0)) {
        FAIL(r,
             "the JSON is malformed: it begins with the byte order mark of UTF-16 (at offset 0); send UTF-8");
    }
}

static void read_members(struct reading *r) {
    struct scan_value name, value;
    skip_byte_order_mark(r);
    if (scan_open(&r->in, '{')) {
        while (scan_member(&r->in, &name, &value)) {
            struct key key = {scan_string(&name, r->arena), scan_offset(&r->in, name.text.ptr)};
            take_member(r, &key, &value);
        }
        check_unknown(r);
        if (!scan_ends(&r->in)) malformed(r);
    } else if (scan_value(&r->in, &value)) {
        FAIL(r, "the JSON must be one object, not %s", scan_kind_name(value.kind));
    } else {
        malformed(r);
    }
}

static bool may_be_missing(const struct field *field) {
    return field->optional || field->fallback;
}

enum wp_err fields_read_json(const struct fields *fields, struct wp_str text, struct wp_arena *arena,
                             void *event, struct wp_error *error) {
    struct reading r = {
        .in = scan_text(text), .fields = fields, .arena = arena, .event = event, .error = error};
    wp_assert(fields->count < 63);
    read_members(&r);
    for (size_t i = 0; i < fields->count && !r.err; i++) {
        if (!(r.seen & UINT64_C(1) << i) && !may_be_missing(&fields->list[i]))
            FAIL(&r, "field %s is missing", fields->list[i].name);
    }
    keys_done(&r.unknown);
    return r.err;
}

/* ---- writing ---- */

static void write_map(struct wp_buf *out, struct wp_str datum) {
    struct avro_map map = {.in = avro_reader(datum)};
    struct wp_str key, value;
    bool first = true;
    wp_buf_add_str(out, "{");
    while (avro_map_next(&map, &key, &value)) {
        if (!first) wp_buf_add_str(out, ",");
        first = false;
        text_string(out, key);
        wp_buf_add_str(out, ":");
        text_string(out, value);
    }
    wp_buf_add_str(out, "}");
}

static void write_one(const struct field *field, const void *value, struct wp_buf *out) {
    switch (field->kind) {
    case FIELD_STRING:
        text_string(out, *(const struct wp_str *)value);
        break;
    case FIELD_LONG:
        text_long(out, *(const int64_t *)value);
        break;
    case FIELD_DOUBLE: {
        double figure = *(const double *)value;
        text_double(out, isnan(figure) ? 0 : figure);
        break;
    }
    case FIELD_BOOL:
        wp_buf_add_str(out, *(const bool *)value ? "true" : "false");
        break;
    case FIELD_MAP:
        write_map(out, *(const struct wp_str *)value);
        break;
    default:
        fields_write_json(field->record, value, out);
        break;
    }
}

void fields_write_json(const struct fields *fields, const void *event, struct wp_buf *out) {
    bool first = true;
    wp_buf_add_str(out, "{");
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->list[i];
        const void *value = field_value(field, event);
        if (field_is_absent(field, event)) continue;
        if (field->kind == FIELD_BYTES) {
            text_bytes(out, &first, field->name, *(const struct wp_str *)value);
            continue;
        }
        text_name(out, &first, field->name);
        write_one(field, value, out);
    }
    wp_buf_add_str(out, "}");
}
