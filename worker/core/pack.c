/* MessagePack: the writer uses the shortest encoding, the reader checks every length against what is left. No
 * I/O, no state; any thread. */
#include "core/pack.h"
#include <math.h>

#define DEPTH_MAX 16

/* ---- writer ---- */

/* One type byte, then the low `bytes` bytes of value, most significant first. */
static void put(struct wp_buf *out, unsigned type, uint64_t value, unsigned bytes) {
    unsigned char *at = (unsigned char *)wp_buf_reserve(out, 9);
    at[0] = (unsigned char)type;
    for (unsigned i = 0; i < bytes; i++) at[1 + i] = (unsigned char)(value >> (8 * (bytes - 1 - i)));
    out->len += 1 + bytes;
}

void wp_pack_array(struct wp_buf *out, uint32_t count) {
    if (count < 16)
        put(out, 0x90 | count, 0, 0);
    else if (count <= UINT16_MAX)
        put(out, 0xdc, count, 2);
    else
        put(out, 0xdd, count, 4);
}

void wp_pack_map(struct wp_buf *out, uint32_t count) {
    if (count < 16)
        put(out, 0x80 | count, 0, 0);
    else if (count <= UINT16_MAX)
        put(out, 0xde, count, 2);
    else
        put(out, 0xdf, count, 4);
}

void wp_pack_str(struct wp_buf *out, struct wp_str text) {
    wp_assert(text.len <= UINT32_MAX);
    if (text.len < 32)
        put(out, 0xa0 | (unsigned)text.len, 0, 0);
    else if (text.len <= UINT8_MAX)
        put(out, 0xd9, text.len, 1);
    else if (text.len <= UINT16_MAX)
        put(out, 0xda, text.len, 2);
    else
        put(out, 0xdb, text.len, 4);
    wp_buf_add(out, text.ptr, text.len);
}

static void pack_negative(struct wp_buf *out, int64_t value) {
    if (value >= -32)
        put(out, (unsigned)(value & 0xff), 0, 0);
    else if (value >= INT8_MIN)
        put(out, 0xd0, (uint64_t)value, 1);
    else if (value >= INT16_MIN)
        put(out, 0xd1, (uint64_t)value, 2);
    else if (value >= INT32_MIN)
        put(out, 0xd2, (uint64_t)value, 4);
    else
        put(out, 0xd3, (uint64_t)value, 8);
}

size_t wp_pack_open(struct wp_buf *out) {
    put(out, 0xdb, 0, 4);
    return out->len;
}

void wp_pack_close(struct wp_buf *out, size_t opened) {
    uint64_t len = out->len - opened;
    for (size_t i = 0; i < 4; i++) out->data[opened - 4 + i] = (char)(len >> (24 - 8 * i));
}

void wp_pack_int(struct wp_buf *out, int64_t value) {
    if (value < 0)
        pack_negative(out, value);
    else if (value < 128)
        put(out, (unsigned)value, 0, 0);
    else if (value <= UINT8_MAX)
        put(out, 0xcc, (uint64_t)value, 1);
    else if (value <= UINT16_MAX)
        put(out, 0xcd, (uint64_t)value, 2);
    else if (value <= UINT32_MAX)
        put(out, 0xce, (uint64_t)value, 4);
    else
        put(out, 0xcf, (uint64_t)value, 8);
}

void wp_pack_double(struct wp_buf *out, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    put(out, 0xcb, bits, 8);
}

void wp_pack_bool(struct wp_buf *out, bool value) {
    put(out, value ? 0xc3 : 0xc2, 0, 0);
}

/* ---- reader ---- */

enum kind { NOTHING, NIL, BOOL, INT, DOUBLE, STRING, ARRAY, MAP, EXT };

struct token { /* one value without its elements */
    enum kind kind;
    int64_t integer;
    double number;
    bool truth;
    uint32_t count; /* ARRAY, MAP */
    struct wp_str text;
};

struct wp_unpack wp_unpack(struct wp_str bytes) {
    const unsigned char *at = (const unsigned char *)bytes.ptr;
    return (struct wp_unpack){.at = at, .end = at ? at + bytes.len : at};
}

static size_t left(const struct wp_unpack *in) {
    return (size_t)(in->end - in->at);
}

bool wp_unpack_nil(struct wp_unpack *in) {
    bool nil = !in->failed && left(in) > 0 && *in->at == 0xc0;
    if (nil) in->at++;
    return nil;
}

static uint64_t take(struct wp_unpack *in, unsigned bytes) {
    if (in->failed || left(in) < bytes) {
        in->failed = true;
        return 0;
    }
    uint64_t value = 0;
    for (unsigned i = 0; i < bytes; i++) value = (value << 8) | *in->at++;
    return value;
}

static struct token take_text(struct wp_unpack *in, enum kind kind, uint64_t len) {
    if (in->failed || left(in) < len) {
        in->failed = true;
        return (struct token){0};
    }
    struct token token = {.kind = kind, .text = {(const char *)in->at, (size_t)len}};
    in->at += len;
    return token;
}

/* Refuses a count that the bytes left cannot hold (an element takes at least one byte), so that callers may
 * allocate by it. */
static struct token take_count(struct wp_unpack *in, enum kind kind, uint64_t count) {
    uint64_t least = kind == MAP ? count * 2 : count;
    if (in->failed || left(in) < least) {
        in->failed = true;
        return (struct token){0};
    }
    return (struct token){.kind = kind, .count = (uint32_t)count};
}

static struct token take_unsigned(struct wp_unpack *in, unsigned bytes) {
    uint64_t value = take(in, bytes);
    if (value > INT64_MAX) in->failed = true;
    return (struct token){.kind = INT, .integer = (int64_t)value};
}

static struct token take_signed(struct wp_unpack *in, unsigned bytes) {
    unsigned shift = 64 - 8 * bytes;
    uint64_t value = take(in, bytes) << shift;
    return (struct token){.kind = INT, .integer = (int64_t)value >> shift};
}

static struct token take_float(struct wp_unpack *in) {
    uint32_t bits = (uint32_t)take(in, 4);
    float value;
    memcpy(&value, &bits, sizeof(value));
    return (struct token){.kind = DOUBLE, .number = (double)value};
}

static struct token take_double(struct wp_unpack *in) {
    uint64_t bits = take(in, 8);
    double value;
    memcpy(&value, &bits, sizeof(value));
    return (struct token){.kind = DOUBLE, .number = value};
}

/* An extension's type byte counts with its payload. */
static struct token take_tagged(struct wp_unpack *in, unsigned type) {
    switch (type) {
    case 0xc0:
        return (struct token){.kind = NIL};
    case 0xc2:
        return (struct token){.kind = BOOL};
    case 0xc3:
        return (struct token){.kind = BOOL, .truth = true};
    case 0xc4:
    case 0xd9:
        return take_text(in, STRING, take(in, 1));
    case 0xc5:
    case 0xda:
        return take_text(in, STRING, take(in, 2));
    case 0xc6:
    case 0xdb:
        return take_text(in, STRING, take(in, 4));
    case 0xc7:
        return take_text(in, EXT, take(in, 1) + 1);
    case 0xc8:
        return take_text(in, EXT, take(in, 2) + 1);
    case 0xc9:
        return take_text(in, EXT, take(in, 4) + 1);
    case 0xca:
        return take_float(in);
    case 0xcb:
        return take_double(in);
    case 0xcc:
        return take_unsigned(in, 1);
    case 0xcd:
        return take_unsigned(in, 2);
    case 0xce:
        return take_unsigned(in, 4);
    case 0xcf:
        return take_unsigned(in, 8);
    case 0xd0:
        return take_signed(in, 1);
    case 0xd1:
        return take_signed(in, 2);
    case 0xd2:
        return take_signed(in, 4);
    case 0xd3:
        return take_signed(in, 8);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
        return take_text(in, EXT, (1u << (type - 0xd4)) + 1);
    case 0xdc:
        return take_count(in, ARRAY, take(in, 2));
    case 0xdd:
        return take_count(in, ARRAY, take(in, 4));
    case 0xde:
        return take_count(in, MAP, take(in, 2));
    case 0xdf:
        return take_count(in, MAP, take(in, 4));
    default:
        in->failed = true;
        return (struct token){0};
    }
}

static struct token next(struct wp_unpack *in) {
    unsigned type = (unsigned)take(in, 1);
    struct token token;
    if (in->failed) return (struct token){0};
    if (type < 0x80)
        token = (struct token){.kind = INT, .integer = type};
    else if (type < 0x90)
        token = take_count(in, MAP, type & 0x0f);
    else if (type < 0xa0)
        token = take_count(in, ARRAY, type & 0x0f);
    else if (type < 0xc0)
        token = take_text(in, STRING, type & 0x1f);
    else if (type >= 0xe0)
        token = (struct token){.kind = INT, .integer = (int64_t)type - 256};
    else
        token = take_tagged(in, type);
    return in->failed ? (struct token){0} : token;
}

static bool is_nothing(const struct token *token) {
    return token->kind == NIL || (token->kind == BOOL && !token->truth);
}

/* An empty Lua table is packed as an empty array, whichever of the two it was meant to be. */
static uint32_t unpack_count(struct wp_unpack *in, enum kind wanted) {
    struct token token = next(in);
    bool fits = token.kind == wanted || ((token.kind == ARRAY || token.kind == MAP) && token.count == 0);
    if (!fits) in->failed = true;
    return in->failed ? 0 : token.count;
}

uint32_t wp_unpack_array(struct wp_unpack *in) {
    return unpack_count(in, ARRAY);
}
uint32_t wp_unpack_map(struct wp_unpack *in) {
    return unpack_count(in, MAP);
}

struct wp_str wp_unpack_str(struct wp_unpack *in) {
    struct token token = next(in);
    if (token.kind == STRING) return token.text;
    if (!is_nothing(&token)) in->failed = true;
    return (struct wp_str){0};
}

/* 2^63 as a double is exact, so this keeps out what int64_t cannot hold, infinities and NaN included. */
static bool is_integral(double number) {
    return number >= -9223372036854775808.0 && number < 9223372036854775808.0 && trunc(number) == number;
}

int64_t wp_unpack_int(struct wp_unpack *in) {
    struct token token = next(in);
    if (token.kind == INT) return token.integer;
    if (token.kind == DOUBLE && is_integral(token.number)) return (int64_t)token.number;
    if (!is_nothing(&token)) in->failed = true;
    return 0;
}

double wp_unpack_double(struct wp_unpack *in) {
    struct token token = next(in);
    if (token.kind == DOUBLE) return token.number;
    if (token.kind == INT) return (double)token.integer;
    if (!is_nothing(&token)) in->failed = true;
    return 0.0;
}

bool wp_unpack_bool(struct wp_unpack *in) {
    struct token token = next(in);
    if (token.kind != BOOL && token.kind != NIL) in->failed = true;
    return token.truth;
}

static void skip(struct wp_unpack *in, unsigned depth) {
    struct token token = next(in);
    if (token.kind != ARRAY && token.kind != MAP) return;
    if (depth == 0) {
        in->failed = true;
        return;
    }
    uint64_t values = token.kind == MAP ? (uint64_t)token.count * 2 : token.count;
    for (uint64_t i = 0; i < values && !in->failed; i++) skip(in, depth - 1);
}

void wp_unpack_skip(struct wp_unpack *in) {
    skip(in, DEPTH_MAX);
}

bool wp_unpack_at_end(const struct wp_unpack *in) {
    return !in->failed && in->at == in->end;
}
