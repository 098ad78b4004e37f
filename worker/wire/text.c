/* Writes pieces of JSON text. Pure; any thread. */
#include "wire/text.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "core/base64.h"

static void put(struct wp_buf *out, char c) {
    wp_buf_add(out, &c, 1);
}

static void put_escaped(struct wp_buf *out, unsigned char c) {
    switch (c) {
    case '"':
    case '\\':
        put(out, '\\');
        put(out, (char)c);
        break;
    case '\n':
        wp_buf_add_str(out, "\\n");
        break;
    case '\r':
        wp_buf_add_str(out, "\\r");
        break;
    case '\t':
        wp_buf_add_str(out, "\\t");
        break;
    default:
        wp_buf_printf(out, "\\u%04x", (unsigned)c);
    }
}

void text_string(struct wp_buf *out, struct wp_str text) {
    bool utf8 = wp_str_is_utf8(text);
    size_t plain = 0; /* start of the bytes that need no escape and are not written yet */
    put(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool broken = c >= 0x80 && !utf8;
        if (c >= 0x20 && c != '"' && c != '\\' && !broken) continue;
        wp_buf_add(out, text.ptr + plain, i - plain);
        plain = i + 1;
        if (broken)
            wp_buf_add_str(out, "\xef\xbf\xbd");
        else
            put_escaped(out, c);
    }
    if (plain < text.len) wp_buf_add(out, text.ptr + plain, text.len - plain);
    put(out, '"');
}

void text_long(struct wp_buf *out, int64_t value) {
    wp_buf_printf(out, "%" PRId64, value);
}

void text_double(struct wp_buf *out, double value) {
    char digits[40];
    if (!isfinite(value)) {
        wp_buf_add_str(out, "null");
        return;
    }
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value) break; /* NOLINT: exact equality is meant */
    }
    wp_buf_add_str(out, digits);
    if (!strpbrk(digits, ".e")) wp_buf_add_str(out, ".0");
}

void text_name(struct wp_buf *out, bool *first, const char *name) {
    if (!*first) put(out, ',');
    *first = false;
    text_string(out, wp_str(name));
    put(out, ':');
}

void text_bytes(struct wp_buf *out, bool *first, const char *name, struct wp_str bytes) {
    if (wp_str_is_utf8(bytes)) {
        text_name(out, first, name);
        text_string(out, bytes);
        return;
    }
    wp_buf_add_str(out, *first ? "\"" : ",\"");
    *first = false;
    wp_buf_add_str(out, name);
    wp_buf_add_str(out, "_base64\":\"");
    wp_base64_encode(out, bytes);
    put(out, '"');
}

static void text_object(struct wp_buf *out, const json_t *json) {
    bool first = true;
    json_t *object = (json_t *)json; /* jansson's iterators take no const */
    put(out, '{');
    for (void *at = json_object_iter(object); at; at = json_object_iter_next(object, at)) {
        text_name(out, &first, json_object_iter_key(at));
        text_json(out, json_object_iter_value(at));
    }
    put(out, '}');
}

static void text_array(struct wp_buf *out, const json_t *json) {
    put(out, '[');
    for (size_t i = 0; i < json_array_size(json); i++) {
        if (i > 0) put(out, ',');
        text_json(out, json_array_get(json, i));
    }
    put(out, ']');
}

void text_json(struct wp_buf *out, const json_t *json) {
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        text_object(out, json);
        break;
    case JSON_ARRAY:
        text_array(out, json);
        break;
    case JSON_STRING:
        text_string(out, (struct wp_str){json_string_value(json), json_string_length(json)});
        break;
    case JSON_INTEGER:
        text_long(out, json_integer_value(json));
        break;
    case JSON_REAL:
        text_double(out, json_real_value(json));
        break;
    default:
        wp_buf_add_str(out, json_is_true(json) ? "true" : json_is_false(json) ? "false" : "null");
    }
}

bool text_json_line(const json_t *json) {
    struct wp_buf line = {0};
    text_json(&line, json);
    put(&line, '\n');
    bool written = fwrite(line.data, 1, line.len, stdout) == line.len && fflush(stdout) == 0;
    wp_buf_done(&line);
    return written;
}
