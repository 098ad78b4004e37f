/* Writes pieces of JSON text, and base64. Pure; any thread. */
#include "wire/text.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

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
    size_t plain = 0; /* where the run of bytes that need no escape began */
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
        if (strtod(digits, NULL) == value) break; /* NOLINT: the very same number is meant */
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
    base64_encode(out, bytes);
    put(out, '"');
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct wp_buf *out, struct wp_str bytes) {
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t group = (uint32_t)(unsigned char)bytes.ptr[i] << 16;
        if (left > 1) group |= (uint32_t)(unsigned char)bytes.ptr[i + 1] << 8;
        if (left > 2) group |= (unsigned char)bytes.ptr[i + 2];
        put(out, alphabet[group >> 18]);
        put(out, alphabet[(group >> 12) & 63]);
        put(out, left > 1 ? alphabet[(group >> 6) & 63] : '=');
        put(out, left > 2 ? alphabet[group & 63] : '=');
    }
}

static int digit_of(char c) {
    const char *at = c ? strchr(alphabet, c) : NULL;
    return at ? (int)(at - alphabet) : -1;
}

bool base64_decode(struct wp_buf *out, struct wp_str text) {
    if (text.len % 4 != 0) return false;
    for (size_t i = 0; i < text.len; i += 4) {
        const char *at = text.ptr + i;
        size_t digits = 4;
        if (i + 4 == text.len && at[3] == '=') digits = at[2] == '=' ? 2 : 3;
        uint32_t group = 0;
        for (size_t k = 0; k < 4; k++) {
            int digit = k < digits ? digit_of(at[k]) : 0;
            if (digit < 0) return false;
            group = (group << 6) | (uint32_t)digit;
        }
        const char bytes[] = {(char)(group >> 16), (char)(group >> 8), (char)group};
        wp_buf_add(out, bytes, digits - 1);
    }
    return true;
}
