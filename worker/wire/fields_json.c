/* The structs of the hot topics as JSON objects. Pure; any thread. */
#include "wire/events.h"
#include "wire/fields.h"
#include "wire/text.h"

static enum wp_err wrong(struct wp_error *error, const char *name, const char *expected) {
    return wp_fail(error, WP_ERR_DATA, "field %s must be %s", name, expected);
}

static struct wp_str copy_string(struct wp_arena *arena, const json_t *json) {
    return wp_arena_copy(arena, (struct wp_str){json_string_value(json), json_string_length(json)});
}

/* A string is its UTF-8, any other value its text. */
static struct wp_str copy_bytes(struct wp_arena *arena, const json_t *json) {
    if (json_is_string(json)) return copy_string(arena, json);
    struct wp_buf text = {0};
    text_json(&text, json);
    struct wp_str bytes = wp_arena_copy(arena, wp_buf_str(&text));
    wp_buf_done(&text);
    return bytes;
}

static enum wp_err read_base64(const struct field *field, const json_t *json, struct wp_arena *arena,
                               void *event, struct wp_error *error) {
    struct wp_buf bytes = {0};
    struct wp_str text = {json_string_value(json), json_string_length(json)};
    bool valid = json_is_string(json) && base64_decode(&bytes, text);
    if (valid) {
        *(struct wp_str *)field_place(field, event) = wp_arena_copy(arena, wp_buf_str(&bytes));
        *(bool *)((char *)event + field->has_at) = true;
    }
    wp_buf_done(&bytes);
    return valid ? WP_OK : wrong(error, "value_base64", "base64 with padding");
}

/* As its Avro datum; false: a value is no string. */
static bool copy_map(struct wp_arena *arena, const json_t *json, struct wp_str *ret_map) {
    struct wp_buf datum = {0};
    const char *key;
    const json_t *value;
    bool strings = json_is_object(json);
    if (strings && json_object_size(json) > 0) avro_write_long(&datum, (int64_t)json_object_size(json));
    json_object_foreach((json_t *)json, key, value) {
        strings = strings && json_is_string(value);
        avro_write_bytes(&datum, wp_str(key));
        avro_write_bytes(&datum, (struct wp_str){json_string_value(value), json_string_length(value)});
    }
    avro_write_long(&datum, 0);
    *ret_map = wp_arena_copy(arena, wp_buf_str(&datum));
    wp_buf_done(&datum);
    return strings;
}

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

static enum wp_err read_one(const struct field *field, const json_t *json, struct wp_arena *arena,
                            void *event, struct wp_error *error) {
    void *place = field_place(field, event);
    switch (field->kind) {
    case FIELD_STRING:
        if (!json_is_string(json)) return wrong(error, field->name, "a string");
        *(struct wp_str *)place = copy_string(arena, json);
        return WP_OK;
    case FIELD_BYTES:
        *(bool *)((char *)event + field->has_at) = true;
        *(struct wp_str *)place = copy_bytes(arena, json);
        return WP_OK;
    case FIELD_LONG:
        if (!json_is_integer(json)) return wrong(error, field->name, "an integer");
        *(int64_t *)place = json_integer_value(json);
        if (field->optional && *(int64_t *)place == WP_ABSENT)
            ++*(int64_t *)place; /* out of range, not absent */
        return WP_OK;
    case FIELD_DOUBLE:
        if (!json_is_number(json)) return wrong(error, field->name, "a number");
        *(double *)place = json_number_value(json);
        return WP_OK;
    case FIELD_MAP: {
        struct wp_str map;
        if (!copy_map(arena, json, &map)) return wrong(error, field->name, "an object of strings");
        *(struct wp_str *)place = map;
        return WP_OK;
    }
    default: /* no input has a record */
        wp_assert(field->kind == FIELD_BOOL);
        if (!json_is_boolean(json)) return wrong(error, field->name, "true or false");
        *(bool *)place = json_is_true(json);
        return WP_OK;
    }
}

static bool may_be_missing(const struct field *field) {
    return field->optional || field->fallback;
}

enum wp_err fields_read_json(const struct fields *fields, const json_t *json, struct wp_arena *arena,
                             void *event, struct wp_error *error) {
    enum wp_err first = WP_OK;
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->list[i];
        struct wp_error *say = first ? NULL : error;
        enum wp_err err = WP_OK;
        const json_t *value = json_object_get(json, field->name);
        const json_t *base64 = field->kind == FIELD_BYTES ? json_object_get(json, "value_base64") : NULL;
        if (base64)
            err = read_base64(field, base64, arena, event, say);
        else if (value && !(field->optional && json_is_null(value)))
            err = read_one(field, value, arena, event, say);
        else if (!may_be_missing(field))
            err = wp_fail(say, WP_ERR_DATA, "field %s is missing", field->name);
        if (!first) first = err;
    }
    return first;
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
