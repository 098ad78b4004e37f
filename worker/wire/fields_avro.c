/* The structs of the hot topics as Avro datums, without malloc and without a walk over the schema. Pure; any
 * thread. */
#include "wire/events.h"
#include "wire/fields.h"

static void read_one(const struct field *field, struct avro_reader *in, void *event) {
    void *place = field_place(field, event);
    if (field->optional && avro_read_branch(in, 2) == 0) return;
    switch (field->kind) {
    case FIELD_STRING:
        *(struct wp_str *)place = avro_read_bytes(in);
        break;
    case FIELD_BYTES:
        *(struct wp_str *)place = avro_read_bytes(in);
        *(bool *)((char *)event + field->has_at) = true;
        break;
    case FIELD_LONG:
        *(int64_t *)place = avro_read_long(in);
        if (field->optional && *(int64_t *)place == WP_ABSENT)
            ++*(int64_t *)place; /* out of range, not absent */
        break;
    case FIELD_DOUBLE:
        *(double *)place = avro_read_double(in);
        if (field->optional && isnan(*(double *)place)) avro_bad(in, "a figure is not a number");
        break;
    case FIELD_BOOL:
        *(bool *)place = avro_read_bool(in);
        break;
    case FIELD_RECORD:
        if (field->optional) *(bool *)((char *)event + field->has_at) = true;
        fields_read_avro(field->record, in, place);
        break;
    case FIELD_MAP:
        *(struct wp_str *)place = avro_read_map(in);
        break;
    }
}

/* Fields that cannot be read stay cleared. */
const char *fields_read_avro(const struct fields *fields, struct avro_reader *in, void *event) {
    size_t i = 0;
    while (i < fields->count && !in->why) read_one(&fields->list[i++], in, event);
    return in->why && i > 0 ? fields->list[i - 1].name : NULL;
}

static void write_one(const struct field *field, const void *event, struct wp_buf *out) {
    const void *value = field_value(field, event);
    switch (field->kind) {
    case FIELD_STRING:
    case FIELD_BYTES:
        avro_write_bytes(out, *(const struct wp_str *)value);
        break;
    case FIELD_LONG:
        avro_write_long(out, *(const int64_t *)value);
        break;
    case FIELD_DOUBLE: {
        double figure = *(const double *)value;
        avro_write_double(out, isnan(figure) ? 0 : figure);
        break;
    }
    case FIELD_BOOL:
        avro_write_bool(out, *(const bool *)value);
        break;
    case FIELD_RECORD:
        fields_write_avro(field->record, value, out);
        break;
    case FIELD_MAP:
        wp_buf_add(out, ((const struct wp_str *)value)->ptr, ((const struct wp_str *)value)->len);
        break;
    }
}

void fields_write_avro(const struct fields *fields, const void *event, struct wp_buf *out) {
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->list[i];
        if (field->optional) {
            bool absent = field_is_absent(field, event);
            avro_write_long(out, absent ? 0 : 1);
            if (absent) continue;
        }
        write_one(field, event, out);
    }
}
