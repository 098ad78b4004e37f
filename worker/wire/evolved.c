/* Evolved messages by avro-c. Its resolved reader and writer fail on fields with defaults, so the fields are
 * mapped here. */
#include "wire/evolved.h"
#include <avro.h>
#include <stdlib.h>
#include "wire/avro.h"
#include "wire/datum.h"
#include "wire/events.h"

struct evolved {
    const struct type *type; /* borrowed from the schema */
    avro_schema_t schema;
    avro_value_iface_t *iface;
    avro_reader_t reader;
};

/* avro-c reads the canonical form: full names, without defaults and docs, some of which it cannot read. */
enum wp_err evolved_new(struct evolved **ret_evolved, const struct schema *schema, const char *file,
                        struct wp_error *error) {
    struct evolved *evolved = wp_calloc(1, sizeof *evolved);
    evolved->type = schema->type;
    if (avro_schema_from_json_length(schema->canonical.ptr, schema->canonical.len, &evolved->schema) ||
        !(evolved->iface = avro_generic_class_from_schema(evolved->schema)) ||
        !(evolved->reader = avro_reader_memory("", 0))) {
        evolved_free(evolved);
        return wp_fail(error, WP_ERR_CONFIG, "schema %s: %s", file, avro_strerror());
    }
    *ret_evolved = evolved;
    return WP_OK;
}

void evolved_free(struct evolved *evolved) {
    if (!evolved) return;
    if (evolved->reader) avro_reader_free(evolved->reader);
    if (evolved->iface) avro_value_iface_decref(evolved->iface);
    if (evolved->schema) avro_schema_decref(evolved->schema);
    free(evolved);
}

static bool read_text(avro_value_t *value, struct wp_arena *arena, struct wp_str *ret_text) {
    const void *bytes = NULL;
    const char *text = NULL;
    size_t size = 0;
    if (avro_value_get_type(value) == AVRO_STRING) {
        if (avro_value_get_string(value, &text, &size) || size == 0) return false;
        *ret_text = wp_arena_copy(arena, (struct wp_str){text, size - 1}); /* size counts the NUL */
        return true;
    }
    if (avro_value_get_type(value) != AVRO_BYTES || avro_value_get_bytes(value, &bytes, &size)) return false;
    *ret_text = wp_arena_copy(arena, (struct wp_str){bytes, size});
    return true;
}

static bool read_long(avro_value_t *value, int64_t *ret_long) {
    int32_t narrow;
    if (avro_value_get_type(value) == AVRO_INT64) return avro_value_get_long(value, ret_long) == 0;
    if (avro_value_get_type(value) != AVRO_INT32 || avro_value_get_int(value, &narrow)) return false;
    *ret_long = narrow;
    return true;
}

static bool read_double(avro_value_t *value, double *ret_double) {
    float narrow;
    int64_t whole;
    if (avro_value_get_type(value) == AVRO_DOUBLE) return avro_value_get_double(value, ret_double) == 0;
    if (avro_value_get_type(value) == AVRO_FLOAT && avro_value_get_float(value, &narrow) == 0) {
        *ret_double = (double)narrow;
        return true;
    }
    if (!read_long(value, &whole)) return false;
    *ret_double = (double)whole;
    return true;
}

static bool read_bool(avro_value_t *value, bool *ret_bool) {
    int truth;
    if (avro_value_get_type(value) != AVRO_BOOLEAN || avro_value_get_boolean(value, &truth)) return false;
    *ret_bool = truth != 0;
    return true;
}

static bool read_map(avro_value_t *value, struct wp_arena *arena, struct wp_str *ret_map) {
    struct wp_buf datum = {0};
    size_t count = 0;
    bool strings = avro_value_get_type(value) == AVRO_MAP && avro_value_get_size(value, &count) == 0;
    if (count > 0) avro_write_long(&datum, (int64_t)count);
    for (size_t i = 0; i < count && strings; i++) {
        avro_value_t item;
        const char *key;
        struct wp_str text;
        strings = avro_value_get_by_index(value, i, &item, &key) == 0 && read_text(&item, arena, &text);
        if (!strings) break;
        avro_write_bytes(&datum, wp_str(key));
        avro_write_bytes(&datum, text);
    }
    avro_write_long(&datum, 0);
    if (strings) *ret_map = wp_arena_copy(arena, wp_buf_str(&datum));
    wp_buf_done(&datum);
    return strings;
}

static bool map_value(const struct field *field, avro_value_t *value, struct wp_arena *arena, void *event) {
    void *place = field_place(field, event);
    switch (field->kind) {
    case FIELD_STRING:
        return read_text(value, arena, place);
    case FIELD_BYTES:
        return *(bool *)((char *)event + field->has_at) = read_text(value, arena, place);
    case FIELD_LONG:
        return read_long(value, place) && !(field->optional && *(int64_t *)place == WP_ABSENT);
    case FIELD_DOUBLE:
        return read_double(value, place) && !(field->optional && isnan(*(double *)place));
    case FIELD_MAP:
        return read_map(value, arena, place);
    default: /* no input has a record */
        wp_assert(field->kind == FIELD_BOOL);
        return read_bool(value, place);
    }
}

static const char *const expected_types[] = {
    [FIELD_STRING] = "string or bytes", [FIELD_BYTES] = "bytes or string", [FIELD_LONG] = "long or int",
    [FIELD_DOUBLE] = "a number",        [FIELD_BOOL] = "boolean",          [FIELD_MAP] = "a map of strings"};

static enum wp_err wrong(const struct field *field, const avro_value_t *value, struct wp_error *error) {
    return wp_fail(error, WP_ERR_DATA,
                   "field %s must be %s in the writer's schema and have a value that is in its range, not %s",
                   field->name, expected_types[field->kind],
                   avro_schema_type_name(avro_value_get_schema(value)));
}

static enum wp_err map_record(const struct fields *fields, avro_value_t *record, struct wp_arena *arena,
                              void *event, struct wp_error *error) {
    enum wp_err first = WP_OK;
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->list[i];
        avro_value_t value, branch = {0};
        bool there = avro_value_get_by_name(record, field->name, &value, NULL) == 0;
        if (there && avro_value_get_type(&value) == AVRO_UNION) {
            there = avro_value_get_current_branch(&value, &branch) == 0;
            value = branch;
        }
        if (there && avro_value_get_type(&value) != AVRO_NULL) {
            if (!map_value(field, &value, arena, event) && !first) first = wrong(field, &value, error);
        } else if (!field->optional && !field->fallback && !first) {
            first = wp_fail(error, WP_ERR_DATA, "field %s is missing", field->name);
        }
    }
    return first;
}

enum wp_err evolved_read(struct evolved *evolved, const struct fields *fields, struct wp_str datum,
                         struct wp_arena *arena, void *event, struct wp_error *error) {
    enum wp_err err = datum_check(evolved->type, datum, error);
    if (err) return err;
    avro_value_t record; /* made for each datum: a kept one would keep the memory of a large datum */
    if (avro_generic_value_new(evolved->iface, &record))
        return wp_fail(error, WP_ERR_NOMEM, "out of memory: %s", avro_strerror());
    avro_reader_memory_set_source(evolved->reader, datum.ptr, (int64_t)datum.len);
    if (avro_value_read(evolved->reader, &record))
        err = wp_fail(error, WP_ERR_DATA, "the Avro datum cannot be read: %s", avro_strerror());
    else
        err = map_record(fields, &record, arena, event, error);
    avro_value_decref(&record);
    return err;
}

/* ---- does the schema fit? ---- */

static bool fits(const struct field *field, const struct type *type) {
    switch (type->kind) {
    case TYPE_UNION:
        for (size_t i = 0; i < type->count; i++)
            if (fits(field, type->branches[i])) return true;
        return false;
    case TYPE_STRING:
    case TYPE_BYTES:
        return field->kind == FIELD_STRING || field->kind == FIELD_BYTES;
    case TYPE_INT:
    case TYPE_LONG:
        return field->kind == FIELD_LONG || field->kind == FIELD_DOUBLE;
    case TYPE_FLOAT:
    case TYPE_DOUBLE:
        return field->kind == FIELD_DOUBLE;
    case TYPE_BOOLEAN:
        return field->kind == FIELD_BOOL;
    case TYPE_MAP:
        return field->kind == FIELD_MAP &&
               (type->items->kind == TYPE_STRING || type->items->kind == TYPE_BYTES);
    case TYPE_NULL:
        return field->optional;
    default:
        return false;
    }
}

enum wp_err evolved_check(const struct type *type, const struct fields *fields, struct wp_error *error) {
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->list[i];
        const struct type_field *given = schema_field(type, field->name);
        if (!given && !field->optional && !field->fallback)
            return wp_fail(error, WP_ERR_DATA, "it has no field %s", field->name);
        if (given && !fits(field, given->type))
            return wp_fail(error, WP_ERR_DATA, "its field %s must be %s, not %s", field->name,
                           expected_types[field->kind], schema_kind_name(given->type->kind));
    }
    return WP_OK;
}
