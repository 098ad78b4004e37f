/* A datum of any schema as JSON text, and back. Pure; any thread. */
#include <math.h>
#include <stdlib.h>
#include "core/base64.h"
#include "core/buf.h"
#include "wire/avro.h"
#include "wire/datum.h"
#include "wire/keys.h"
#include "wire/text.h"

/* ---- to JSON; the datum has been checked ---- */

static void emit(struct avro_reader *in, const struct type *type, struct wp_buf *out);

/* The type of the value at hand: of a union, its branch. */
static const struct type *resolve(struct avro_reader *in, const struct type *type) {
    return type->kind == TYPE_UNION ? type->branches[avro_read_branch(in, type->count)] : type;
}

static void emit_record(struct avro_reader *in, const struct type *type, struct wp_buf *out) {
    bool first = true;
    wp_buf_add_str(out, "{");
    for (size_t i = 0; i < type->count; i++) {
        const struct type *value = resolve(in, type->fields[i].type);
        if (value->kind == TYPE_NULL) continue;
        if (value->kind == TYPE_BYTES) {
            text_bytes(out, &first, type->fields[i].name, avro_read_bytes(in));
        } else if (value->kind == TYPE_FIXED) {
            text_bytes(out, &first, type->fields[i].name, avro_read_fixed(in, value->count));
        } else {
            text_name(out, &first, type->fields[i].name);
            emit(in, value, out);
        }
    }
    wp_buf_add_str(out, "}");
}

static void emit_items(struct avro_reader *in, const struct type *type, struct wp_buf *out) {
    bool first = true, map = type->kind == TYPE_MAP;
    uint64_t count;
    wp_buf_add_str(out, map ? "{" : "[");
    while ((count = avro_read_block(in)) > 0) {
        for (; count > 0; count--) {
            if (!first) wp_buf_add_str(out, ",");
            first = false;
            if (map) {
                text_string(out, avro_read_bytes(in));
                wp_buf_add_str(out, ":");
            }
            emit(in, resolve(in, type->items), out);
        }
    }
    wp_buf_add_str(out, map ? "}" : "]");
}

static void emit(struct avro_reader *in, const struct type *type, struct wp_buf *out) {
    switch (type->kind) {
    case TYPE_NULL:
        wp_buf_add_str(out, "null");
        break;
    case TYPE_BOOLEAN:
        wp_buf_add_str(out, avro_read_bool(in) ? "true" : "false");
        break;
    case TYPE_INT:
    case TYPE_LONG:
        text_long(out, avro_read_long(in));
        break;
    case TYPE_FLOAT:
        text_double(out, (double)avro_read_float(in));
        break;
    case TYPE_DOUBLE:
        text_double(out, avro_read_double(in));
        break;
    case TYPE_BYTES:
    case TYPE_STRING:
        text_string(out, avro_read_bytes(in));
        break;
    case TYPE_FIXED:
        text_string(out, avro_read_fixed(in, type->count));
        break;
    case TYPE_ENUM:
        text_string(out, wp_str(type->symbols[avro_read_branch(in, type->count)]));
        break;
    case TYPE_RECORD:
        emit_record(in, type, out);
        break;
    case TYPE_ARRAY:
    case TYPE_MAP:
        emit_items(in, type, out);
        break;
    case TYPE_UNION: /* a union holds none */
        emit(in, resolve(in, type), out);
        break;
    }
}

enum wp_err datum_to_json(const struct type *type, struct wp_str datum, struct wp_buf *out,
                          struct wp_error *error) {
    enum wp_err err = datum_check(type, datum, error);
    if (err) return err;
    struct avro_reader in = avro_reader(datum);
    emit(&in, type, out);
    wp_assert(!in.why);
    return WP_OK;
}

/* ---- from JSON ---- */

struct maker {
    struct wp_buf *out;
    struct wp_error *error;
    struct wp_arena arena; /* of strings that had escapes */
    struct scan in;        /* the text; a default's is the schema's */
};

static enum wp_err make(struct maker *maker, const char *name, const struct type *type,
                        const struct scan_value *json);

static enum wp_err wrong(const struct maker *maker, const char *name, const char *expected,
                         const struct scan_value *json) {
    struct scan_words words;
    return wp_fail(maker->error, WP_ERR_DATA, "field %s must be %s, not %s", name, expected,
                   scan_describe(json, &words));
}

static enum wp_err make_text(struct maker *maker, const char *name, const struct scan_value *json) {
    if (json->kind != SCAN_STRING) {
        avro_write_bytes(maker->out, json->text);
        return WP_OK;
    }
    if (json->lone)
        return wp_fail(maker->error, WP_ERR_DATA,
                       "field %s must be UTF-8, not a string with a lone surrogate (%.6s)", name, json->lone);
    avro_write_bytes(maker->out, scan_string(json, &maker->arena));
    return WP_OK;
}

/* The union's branch that is bytes; type->count when there is none. */
static size_t bytes_branch(const struct type *type) {
    size_t i = 0;
    while (i < type->count && type->branches[i]->kind != TYPE_BYTES) i++;
    return i;
}

static bool takes_base64(const struct type *type) {
    return type->kind == TYPE_BYTES || (type->kind == TYPE_UNION && bytes_branch(type) < type->count);
}

static enum wp_err make_base64(struct maker *maker, const char *name, const struct type *type,
                               const struct scan_value *json) {
    struct wp_buf bytes = {0};
    bool valid = json->kind == SCAN_STRING && !json->lone &&
                 wp_base64_decode(&bytes, scan_string(json, &maker->arena));
    if (type->kind == TYPE_UNION) avro_write_long(maker->out, (int64_t)bytes_branch(type));
    if (valid) avro_write_bytes(maker->out, wp_buf_str(&bytes));
    wp_buf_done(&bytes);
    return valid ? WP_OK
                 : wp_fail(maker->error, WP_ERR_DATA, "field %s_base64 must be base64 with padding", name);
}

struct given { /* what the JSON has for a field; text.ptr NULL: nothing */
    struct scan_value plain, base64;
};

static bool is_base64_of(struct wp_str key, const char *name) {
    size_t length = strlen(name);
    return key.len == length + 7 && memcmp(key.ptr, name, length) == 0 &&
           memcmp(key.ptr + length, "_base64", 7) == 0;
}

static void give(const struct type *type, struct given *given, struct wp_str key,
                 const struct scan_value *value) {
    for (size_t i = 0; i < type->count; i++) {
        const struct type_field *field = &type->fields[i];
        if (wp_str_is(key, field->name)) given[i].plain = *value;
        if (is_base64_of(key, field->name) && takes_base64(field->type)) given[i].base64 = *value;
    }
}

static enum wp_err read_members(struct maker *maker, const struct type *type, const struct scan_value *json,
                                struct given *given) {
    struct scan in = scan_inside(&maker->in, json);
    struct scan_value key, value;
    struct keys keys = {0};
    scan_open(&in, '{');
    while (scan_member(&in, &key, &value)) {
        struct wp_str name = scan_string(&key, &maker->arena);
        keys_add(&keys, name, scan_offset(&in, key.text.ptr));
        give(type, given, name, &value);
    }
    const struct key *again = keys_repeated(&keys);
    enum wp_err err = WP_OK;
    if (again)
        err = wp_fail(maker->error, WP_ERR_DATA,
                      "the JSON has the key \"%.*s\" more than once: again at offset %zu",
                      again->name.len < 64 ? (int)again->name.len : 64, again->name.ptr, again->at);
    keys_done(&keys);
    return err;
}

static enum wp_err make_field(struct maker *maker, const struct type_field *field,
                              const struct given *given) {
    if (given->base64.text.ptr) return make_base64(maker, field->name, field->type, &given->base64);
    if (given->plain.text.ptr) return make(maker, field->name, field->type, &given->plain);
    if (field->has_fallback) return make(maker, field->name, field->type, &field->fallback);
    return wp_fail(maker->error, WP_ERR_DATA, "field %s is missing", field->name);
}

static enum wp_err make_record(struct maker *maker, const char *name, const struct type *type,
                               const struct scan_value *json) {
    if (json->kind != SCAN_OBJECT) return wrong(maker, name, "an object", json);
    struct given *given = wp_calloc(type->count ? type->count : 1, sizeof *given);
    enum wp_err err = read_members(maker, type, json, given);
    for (size_t i = 0; i < type->count && !err; i++) err = make_field(maker, &type->fields[i], &given[i]);
    free(given);
    return err;
}

static enum wp_err make_array(struct maker *maker, const char *name, const struct type *type,
                              const struct scan_value *json) {
    struct scan in = scan_inside(&maker->in, json), counted = in;
    struct scan_value item;
    int64_t count = 0;
    enum wp_err err = WP_OK;
    for (scan_open(&counted, '['); scan_item(&counted, &item);) count++;
    if (count > 0) avro_write_long(maker->out, count);
    for (scan_open(&in, '['); !err && scan_item(&in, &item);) err = make(maker, name, type->items, &item);
    avro_write_long(maker->out, 0);
    return err;
}

static enum wp_err make_map(struct maker *maker, const char *name, const struct type *type,
                            const struct scan_value *json) {
    struct scan in = scan_inside(&maker->in, json), counted = in;
    struct scan_value key, value;
    int64_t count = 0;
    enum wp_err err = WP_OK;
    for (scan_open(&counted, '{'); scan_member(&counted, &key, &value);) count++;
    if (count > 0) avro_write_long(maker->out, count);
    for (scan_open(&in, '{'); !err && scan_member(&in, &key, &value);) {
        avro_write_bytes(maker->out, scan_string(&key, &maker->arena));
        bool text = type->items->kind == TYPE_STRING;
        err = text ? make_text(maker, name, &value) : make(maker, name, type->items, &value);
    }
    avro_write_long(maker->out, 0);
    return err;
}

static bool is_integer(const struct scan_value *json, int64_t min, int64_t max) {
    int64_t number;
    return json->kind == SCAN_NUMBER && !json->fraction && scan_long(json, &number) && number >= min &&
           number <= max;
}

static bool fits(const struct type *type, const struct scan_value *json) {
    switch (type->kind) {
    case TYPE_NULL:
        return json->kind == SCAN_NULL;
    case TYPE_BOOLEAN:
        return json->kind == SCAN_TRUE || json->kind == SCAN_FALSE;
    case TYPE_INT:
        return is_integer(json, INT32_MIN, INT32_MAX);
    case TYPE_LONG:
        return is_integer(json, INT64_MIN, INT64_MAX);
    case TYPE_FLOAT:
    case TYPE_DOUBLE:
        return json->kind == SCAN_NUMBER && isfinite(scan_double(json));
    case TYPE_STRING:
    case TYPE_ENUM:
    case TYPE_FIXED:
        return json->kind == SCAN_STRING;
    case TYPE_ARRAY:
        return json->kind == SCAN_ARRAY;
    case TYPE_RECORD:
    case TYPE_MAP:
        return json->kind == SCAN_OBJECT;
    default:
        return json->kind != SCAN_NULL; /* bytes take any value */
    }
}

static enum wp_err make_union(struct maker *maker, const char *name, const struct type *type,
                              const struct scan_value *json) {
    for (size_t i = 0; i < type->count; i++) {
        if (!fits(type->branches[i], json)) continue;
        avro_write_long(maker->out, (int64_t)i);
        return make(maker, name, type->branches[i], json);
    }
    return wrong(maker, name, schema_kind_name(type->branches[type->count - 1]->kind), json);
}

static enum wp_err make_enum(struct maker *maker, const char *name, const struct type *type,
                             const struct scan_value *json) {
    for (size_t i = 0; i < type->count && !json->lone; i++) {
        if (!wp_str_is(scan_string(json, &maker->arena), type->symbols[i])) continue;
        avro_write_long(maker->out, (int64_t)i);
        return WP_OK;
    }
    return wrong(maker, name, "a symbol of its enum", json);
}

static enum wp_err make_fixed(struct maker *maker, const char *name, const struct type *type,
                              const struct scan_value *json) {
    struct wp_str text = {NULL, 0};
    if (!json->lone) text = scan_string(json, &maker->arena);
    if (json->lone || text.len != type->count) return wrong(maker, name, "as long as its schema says", json);
    wp_buf_add(maker->out, text.ptr, text.len);
    return WP_OK;
}

static void make_plain(struct maker *maker, const struct type *type, const struct scan_value *json) {
    int64_t number = 0;
    switch (type->kind) {
    case TYPE_BOOLEAN:
        avro_write_bool(maker->out, json->kind == SCAN_TRUE);
        break;
    case TYPE_INT:
    case TYPE_LONG:
        if (scan_long(json, &number)) avro_write_long(maker->out, number); /* it fits */
        break;
    case TYPE_FLOAT:
        avro_write_float(maker->out, (float)scan_double(json));
        break;
    case TYPE_DOUBLE:
        avro_write_double(maker->out, scan_double(json));
        break;
    default:
        break; /* null takes no byte */
    }
}

static enum wp_err make(struct maker *maker, const char *name, const struct type *type,
                        const struct scan_value *json) {
    if (type->kind == TYPE_UNION) return make_union(maker, name, type, json);
    if (!fits(type, json)) return wrong(maker, name, schema_kind_name(type->kind), json);
    switch (type->kind) {
    case TYPE_BYTES:
    case TYPE_STRING:
        return make_text(maker, name, json);
    case TYPE_FIXED:
        return make_fixed(maker, name, type, json);
    case TYPE_ENUM:
        return make_enum(maker, name, type, json);
    case TYPE_ARRAY:
        return make_array(maker, name, type, json);
    case TYPE_MAP:
        return make_map(maker, name, type, json);
    case TYPE_RECORD:
        return make_record(maker, name, type, json);
    default:
        make_plain(maker, type, json);
        return WP_OK;
    }
}

enum wp_err datum_from_json(const struct type *type, struct scan *in, struct wp_buf *out,
                            struct wp_error *error) {
    struct maker maker = {.out = out, .error = error, .in = *in};
    struct scan_value json;
    size_t before = out->len;
    enum wp_err err = scan_value(in, &json) && scan_ends(in)
                          ? make(&maker, "(the whole message)", type, &json)
                          : scan_fail(in, error);
    if (err) out->len = before;
    wp_arena_done(&maker.arena);
    return err;
}
