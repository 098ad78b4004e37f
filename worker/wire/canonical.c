/* The Parsing Canonical Form of a schema and its CRC-64-AVRO fingerprint, as the Avro specification 1.11 has
 * them. Any thread. */
#include <inttypes.h>
#include "core/buf.h"
#include "wire/schema.h"

static void write_text(struct wp_buf *out, const char *text) {
    wp_buf_add(out, "\"", 1);
    wp_buf_add_str(out, text);
    wp_buf_add(out, "\"", 1);
}

static void write_fields(const struct type *type, struct wp_buf *out) {
    wp_buf_add_str(out, ",\"fields\":[");
    for (size_t i = 0; i < type->count; i++) {
        wp_buf_add_str(out, i ? ",{\"name\":" : "{\"name\":");
        write_text(out, type->fields[i].name);
        wp_buf_add_str(out, ",\"type\":");
        schema_write_canonical(type->fields[i].type, out);
        wp_buf_add_str(out, "}");
    }
    wp_buf_add_str(out, "]}");
}

static void write_symbols(const struct type *type, struct wp_buf *out) {
    wp_buf_add_str(out, ",\"symbols\":[");
    for (size_t i = 0; i < type->count; i++) {
        if (i) wp_buf_add_str(out, ",");
        write_text(out, type->symbols[i]);
    }
    wp_buf_add_str(out, "]}");
}

/* A named type is written out once; later it is its name. */
static void write_named(struct type *type, struct wp_buf *out) {
    if (type->visited) {
        write_text(out, type->name);
        return;
    }
    type->visited = true;
    wp_buf_add_str(out, "{\"name\":");
    write_text(out, type->name);
    wp_buf_printf(out, ",\"type\":\"%s\"", schema_kind_name(type->kind));
    if (type->kind == TYPE_RECORD)
        write_fields(type, out);
    else if (type->kind == TYPE_ENUM)
        write_symbols(type, out);
    else
        wp_buf_printf(out, ",\"size\":%zu}", type->count);
}

void schema_write_canonical(struct type *type, struct wp_buf *out) {
    switch (type->kind) {
    case TYPE_RECORD:
    case TYPE_ENUM:
    case TYPE_FIXED:
        write_named(type, out);
        return;
    case TYPE_ARRAY:
    case TYPE_MAP:
        wp_buf_add_str(out, type->kind == TYPE_ARRAY ? "{\"type\":\"array\",\"items\":"
                                                     : "{\"type\":\"map\",\"values\":");
        schema_write_canonical(type->items, out);
        wp_buf_add_str(out, "}");
        return;
    case TYPE_UNION:
        for (size_t i = 0; i < type->count; i++) {
            wp_buf_add_str(out, i ? "," : "[");
            schema_write_canonical(type->branches[i], out);
        }
        wp_buf_add_str(out, "]");
        return;
    default:
        write_text(out, schema_kind_name(type->kind));
    }
}

#define EMPTY UINT64_C(0xc15d213aa4d7a795)

uint64_t schema_crc64(struct wp_str bytes) {
    uint64_t crc = EMPTY;
    for (size_t i = 0; i < bytes.len; i++) {
        crc ^= (unsigned char)bytes.ptr[i];
        for (int bit = 0; bit < 8; bit++) crc = (crc >> 1) ^ (EMPTY & -(crc & 1));
    }
    return crc;
}
