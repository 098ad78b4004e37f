/* A datum of any schema as JSON text, and back. Pure; any thread. */
#include <math.h>
#include "core/buf.h"
#include "wire/avro.h"
#include "wire/datum.h"
#include "wire/text.h"

/* ---- to JSON: of a datum that was checked ---- */

static void emit(struct avro_reader *in, const struct type *type, struct wp_buf *out);

/* What a field holds: a union's branch instead of the union. */
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
};

static enum wp_err make(const struct maker *maker, const char *name, const struct type *type,
                        const json_t *json);

static enum wp_err wrong(const struct maker *maker, const char *name, const char *expected) {
    return wp_fail(maker->error, WP_ERR_DATA, "field %s must be %s", name, expected);
}

/* bytes: NAME_base64 when there, else NAME: a string is its UTF-8, another value its text. */
static void make_bytes(struct wp_buf *out, const json_t *json) {
    if (json_is_string(json)) {
        avro_write_bytes(out, (struct wp_str){json_string_value(json), json_string_length(json)});
        return;
    }
    struct wp_buf text = {0};
    text_json(&text, json);
    avro_write_bytes(out, wp_buf_str(&text));
    wp_buf_done(&text);
}

static const json_t *base64_of(const json_t *object, const char *name, const struct type *type) {
    bool bytes = type->kind == TYPE_BYTES;
    for (size_t i = 0; type->kind == TYPE_UNION && i < type->count; i++)
        if (type->branches[i]->kind == TYPE_BYTES) bytes = true;
    if (!bytes) return NULL;
    struct wp_buf key = {0};
    wp_buf_printf(&key, "%s_base64", name);
    wp_buf_add(&key, "", 1);
    const json_t *value = json_object_get(object, key.data);
    wp_buf_done(&key);
    return value;
}

static enum wp_err make_base64(const struct maker *maker, const char *name, const struct type *type,
                               const json_t *json) {
    struct wp_buf bytes = {0};
    struct wp_str text = {json_string_value(json), json_string_length(json)};
    bool valid = json_is_string(json) && base64_decode(&bytes, text);
    for (size_t i = 0; type->kind == TYPE_UNION && i < type->count; i++)
        if (type->branches[i]->kind == TYPE_BYTES) avro_write_long(maker->out, (int64_t)i);
    if (valid) avro_write_bytes(maker->out, wp_buf_str(&bytes));
    wp_buf_done(&bytes);
    return valid ? WP_OK
                 : wp_fail(maker->error, WP_ERR_DATA, "field %s_base64 must be base64 with padding", name);
}

static enum wp_err make_record(const struct maker *maker, const char *name, const struct type *type,
                               const json_t *json) {
    if (!json_is_object(json)) return wrong(maker, name, "an object");
    for (size_t i = 0; i < type->count; i++) {
        const struct type_field *field = &type->fields[i];
        const json_t *value = json_object_get(json, field->name);
        const json_t *base64 = base64_of(json, field->name, field->type);
        if (!value) value = field->fallback;
        if (!value && !base64) return wp_fail(maker->error, WP_ERR_DATA, "field %s is missing", field->name);
        enum wp_err err = base64 ? make_base64(maker, field->name, field->type, base64)
                                 : make(maker, field->name, field->type, value);
        if (err) return err;
    }
    return WP_OK;
}

static enum wp_err make_array(const struct maker *maker, const char *name, const struct type *type,
                              const json_t *json) {
    if (!json_is_array(json)) return wrong(maker, name, "an array");
    size_t count = json_array_size(json);
    if (count > 0) avro_write_long(maker->out, (int64_t)count);
    for (size_t i = 0; i < count; i++) {
        enum wp_err err = make(maker, name, type->items, json_array_get(json, i));
        if (err) return err;
    }
    avro_write_long(maker->out, 0);
    return WP_OK;
}

static enum wp_err make_map(const struct maker *maker, const char *name, const struct type *type,
                            const json_t *json) {
    if (!json_is_object(json)) return wrong(maker, name, "an object");
    if (json_object_size(json) > 0) avro_write_long(maker->out, (int64_t)json_object_size(json));
    json_t *object = (json_t *)json; /* jansson's iterators take no const */
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
        avro_write_bytes(maker->out, wp_str(json_object_iter_key(at)));
        enum wp_err err = make(maker, name, type->items, json_object_iter_value(at));
        if (err) return err;
    }
    avro_write_long(maker->out, 0);
    return WP_OK;
}

static bool fits(const struct type *type, const json_t *json) {
    switch (type->kind) {
    case TYPE_NULL:
        return json_is_null(json);
    case TYPE_BOOLEAN:
        return json_is_boolean(json);
    case TYPE_INT:
    case TYPE_LONG:
        return json_is_integer(json);
    case TYPE_FLOAT:
    case TYPE_DOUBLE:
        return json_is_number(json);
    case TYPE_STRING:
    case TYPE_ENUM:
    case TYPE_FIXED:
        return json_is_string(json);
    case TYPE_ARRAY:
        return json_is_array(json);
    case TYPE_RECORD:
    case TYPE_MAP:
        return json_is_object(json);
    default:
        return !json_is_null(json); /* bytes take any value */
    }
}

static enum wp_err make_union(const struct maker *maker, const char *name, const struct type *type,
                              const json_t *json) {
    for (size_t i = 0; i < type->count; i++) {
        if (!fits(type->branches[i], json)) continue;
        avro_write_long(maker->out, (int64_t)i);
        return make(maker, name, type->branches[i], json);
    }
    return wrong(maker, name, schema_kind_name(type->branches[type->count - 1]->kind));
}

static enum wp_err make_enum(const struct maker *maker, const char *name, const struct type *type,
                             const json_t *json) {
    for (size_t i = 0; i < type->count; i++) {
        if (strcmp(type->symbols[i], json_string_value(json)) != 0) continue;
        avro_write_long(maker->out, (int64_t)i);
        return WP_OK;
    }
    return wrong(maker, name, "a symbol of its enum");
}

static enum wp_err make(const struct maker *maker, const char *name, const struct type *type,
                        const json_t *json) {
    if (type->kind == TYPE_UNION) return make_union(maker, name, type, json);
    if (!fits(type, json)) return wrong(maker, name, schema_kind_name(type->kind));
    switch (type->kind) {
    case TYPE_BOOLEAN:
        avro_write_bool(maker->out, json_is_true(json));
        return WP_OK;
    case TYPE_INT:
        if (json_integer_value(json) < INT32_MIN || json_integer_value(json) > INT32_MAX)
            return wrong(maker, name, "an int of 32 bits");
        avro_write_long(maker->out, json_integer_value(json));
        return WP_OK;
    case TYPE_LONG:
        avro_write_long(maker->out, json_integer_value(json));
        return WP_OK;
    case TYPE_FLOAT:
        avro_write_float(maker->out, (float)json_number_value(json));
        return WP_OK;
    case TYPE_DOUBLE:
        avro_write_double(maker->out, json_number_value(json));
        return WP_OK;
    case TYPE_BYTES:
        make_bytes(maker->out, json);
        return WP_OK;
    case TYPE_STRING:
        avro_write_bytes(maker->out, (struct wp_str){json_string_value(json), json_string_length(json)});
        return WP_OK;
    case TYPE_FIXED:
        if (json_string_length(json) != type->count) return wrong(maker, name, "as long as its schema says");
        wp_buf_add(maker->out, json_string_value(json), type->count);
        return WP_OK;
    case TYPE_ENUM:
        return make_enum(maker, name, type, json);
    case TYPE_ARRAY:
        return make_array(maker, name, type, json);
    case TYPE_MAP:
        return make_map(maker, name, type, json);
    case TYPE_RECORD:
        return make_record(maker, name, type, json);
    default:
        return WP_OK; /* null takes no byte */
    }
}

enum wp_err datum_from_json(const struct type *type, const json_t *json, struct wp_buf *out,
                            struct wp_error *error) {
    struct maker maker = {.out = out, .error = error};
    size_t before = out->len;
    enum wp_err err = make(&maker, "(the whole message)", type, json);
    if (err) out->len = before;
    return err;
}
