/* Trace contexts: see trace_context.h. */
#include "core/trace_context.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int nibble(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; /* the specification allows lower case alone */
}

/* False: the characters are not 2 * count hexadecimal digits. */
static bool read_hex(const char *from, size_t count, unsigned char *ret) {
    for (size_t i = 0; i < count; i++) {
        int high = nibble(from[2 * i]), low = nibble(from[2 * i + 1]);
        if (high < 0 || low < 0) return false;
        ret[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

static void write_hex(const unsigned char *bytes, size_t count, char *ret) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < count; i++) {
        ret[2 * i] = digits[bytes[i] >> 4];
        ret[2 * i + 1] = digits[bytes[i] & 15];
    }
}

static bool is_zero(const unsigned char *bytes, size_t count) {
    unsigned char any = 0;
    for (size_t i = 0; i < count; i++) any |= bytes[i];
    return any == 0;
}

bool wp_traceparent_parse(struct wp_str text, struct wp_traceparent *ret) {
    unsigned char version, flags;
    const char *at = text.ptr;
    if (text.len < WP_TRACEPARENT_CHARS || at[2] != '-' || at[35] != '-' || at[52] != '-') return false;
    if (!read_hex(at, 1, &version) || version == 0xff) return false;
    /* Of a later version the first four fields are read; more may follow, behind another dash. */
    if (text.len > WP_TRACEPARENT_CHARS && (version == 0 || at[WP_TRACEPARENT_CHARS] != '-')) return false;
    if (!read_hex(at + 3, WP_TRACE_ID_BYTES, ret->trace) || !read_hex(at + 36, WP_SPAN_ID_BYTES, ret->span) ||
        !read_hex(at + 53, 1, &flags))
        return false;
    ret->sampled = flags & 1;
    return !is_zero(ret->trace, sizeof ret->trace) && !is_zero(ret->span, sizeof ret->span);
}

void wp_traceparent_format(const struct wp_traceparent *of, char ret[WP_TRACEPARENT_CHARS + 1]) {
    ret[0] = ret[1] = '0';
    ret[2] = '-';
    write_hex(of->trace, sizeof of->trace, ret + 3);
    ret[35] = '-';
    write_hex(of->span, sizeof of->span, ret + 36);
    memcpy(ret + 52, of->sampled ? "-01" : "-00", 4);
}

static bool is_printable(struct wp_str text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < ' ' || text.ptr[i] > '~') return false;
    return true;
}

bool wp_traceparent_may_travel(struct wp_str header) {
    return header.len > 0 && header.len <= WP_TRACEPARENT_MAX && is_printable(header) &&
           !memchr(header.ptr, ' ', header.len) && !memchr(header.ptr, ';', header.len);
}

bool wp_tracestate_may_travel(struct wp_str header) {
    return header.len > 0 && header.len <= WP_TRACESTATE_MAX && is_printable(header);
}

struct wp_str wp_trace_context_parent(struct wp_str text) {
    size_t len = 0;
    while (len < text.len && text.ptr[len] != ';' && text.ptr[len] != ' ') len++;
    return (struct wp_str){text.ptr, len};
}

struct wp_str wp_trace_context_state(struct wp_str text) {
    const char *space = text.len > 0 ? memchr(text.ptr, ' ', text.len) : NULL;
    if (!space) return WP_STR("");
    return (struct wp_str){space + 1, text.len - (size_t)(space + 1 - text.ptr)};
}

/* Reads the number behind a semicolon, and moves `at` behind it. */
static bool read_number(const char **at, int64_t *ret) {
    char *end;
    if (**at != ';') return false;
    *ret = strtoll(*at + 1, &end, 10);
    bool any = end > *at + 1;
    *at = end;
    return any;
}

bool wp_trace_context_parse(struct wp_str text, struct wp_trace_context *ret) {
    char numbers[80];
    int64_t partition;
    struct wp_str state = wp_trace_context_state(text);
    size_t len = text.len - state.len - (state.len > 0), begin = WP_TRACEPARENT_CHARS;
    if (len <= begin || text.ptr[begin] != ';' || len - begin >= sizeof numbers) return false;
    if (!wp_traceparent_parse((struct wp_str){text.ptr, begin}, &ret->own)) return false;
    memcpy(numbers, text.ptr + begin, len - begin);
    numbers[len - begin] = '\0';
    const char *at = numbers + 1 + (size_t)2 * WP_SPAN_ID_BYTES;
    if (len - begin < 1 + (size_t)2 * WP_SPAN_ID_BYTES ||
        !read_hex(numbers + 1, WP_SPAN_ID_BYTES, ret->parent) || !read_number(&at, &ret->start_us) ||
        !read_number(&at, &partition) || !read_number(&at, &ret->offset))
        return false;
    ret->partition = (int32_t)partition;
    ret->state = state;
    return *at == '\0';
}

size_t wp_trace_context_format(const struct wp_trace_context *of, char *ret) {
    char parent[2 * WP_SPAN_ID_BYTES + 1] = {0};
    wp_traceparent_format(&of->own, ret);
    write_hex(of->parent, sizeof of->parent, parent);
    size_t len = WP_TRACEPARENT_CHARS;
    len += (size_t)snprintf(ret + len, WP_TRACE_CONTEXT_MAX - len, ";%s;%" PRId64 ";%" PRId32 ";%" PRId64,
                            parent, of->start_us, of->partition, of->offset);
    if (of->state.len > 0 && len + 1 + of->state.len < WP_TRACE_CONTEXT_MAX)
        len += (size_t)snprintf(ret + len, WP_TRACE_CONTEXT_MAX - len, " %.*s", (int)of->state.len,
                                of->state.ptr);
    return len;
}
