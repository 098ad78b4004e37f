/* What a piece of text may contain: names, ids, UTF-8. Pure functions; any thread. */
#include "core/str.h"
#include <stdint.h>

#define NAME_MAX_BYTES 64

static bool is_name_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.' || c == '-';
}

bool wp_str_is_name(struct wp_str text) {
    if (text.len == 0 || text.len > NAME_MAX_BYTES) return false;
    for (size_t i = 0; i < text.len; i++) {
        if (!is_name_byte(text.ptr[i])) return false;
    }
    return true;
}

/* Decodes one character; returns its length in bytes, or 0 when it is malformed, overlong, a surrogate or cut
 * off. */
static size_t decode(const unsigned char *at, size_t left, uint32_t *ret_char) {
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (at[0] < 0x80) {
        *ret_char = at[0];
        return 1;
    }
    size_t length = (at[0] & 0xe0) == 0xc0 ? 2 : (at[0] & 0xf0) == 0xe0 ? 3 : (at[0] & 0xf8) == 0xf0 ? 4 : 0;
    if (length == 0 || length > left) return 0;
    uint32_t value = at[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80) return 0;
        value = (value << 6) | (at[i] & 0x3fu);
    }
    if (value < smallest[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return 0;
    *ret_char = value;
    return length;
}

static bool is_text(struct wp_str text, bool allow_control) {
    for (size_t i = 0; i < text.len;) {
        uint32_t c = (unsigned char)text.ptr[i];
        size_t length = 1;
        if (c >= 0x80) length = decode((const unsigned char *)text.ptr + i, text.len - i, &c);
        if (length == 0) return false;
        if (!allow_control && (c < 0x20 || (c >= 0x7f && c <= 0x9f))) return false;
        i += length;
    }
    return true;
}

bool wp_str_is_id(struct wp_str text, size_t max) {
    return text.len > 0 && text.len <= max && is_text(text, false);
}

bool wp_str_is_utf8(struct wp_str text) {
    return is_text(text, true);
}

size_t wp_str_char(struct wp_str text) {
    uint32_t c;
    return text.len > 0 ? decode((const unsigned char *)text.ptr, text.len, &c) : 0;
}

unsigned wp_str_hash(struct wp_str text) {
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < text.len; i++) {
        hash ^= (unsigned char)text.ptr[i];
        hash *= 16777619u;
    }
    return hash;
}

uint64_t wp_str_hash64(struct wp_str text) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < text.len; i++) hash = (hash ^ (unsigned char)text.ptr[i]) * 0x100000001b3u;
    return hash;
}

void wp_str_cut(char *text) {
    size_t length = strlen(text), back = 1;
    while (back < 4 && back < length && ((unsigned char)text[length - back] & 0xc0) == 0x80) back++;
    if (length > 0 && wp_str_char((struct wp_str){text + length - back, back}) == 0)
        text[length - back] = '\0';
}
