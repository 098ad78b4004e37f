/* Reads JSON text in place. Pure; any thread. */
#include "wire/scan.h"
#include <stdio.h>
#include <stdlib.h>

struct nesting { /* one bit per level: 1 an object, 0 an array */
    unsigned depth;
    unsigned char objects[SCAN_DEEPEST / 8];
};

struct scan scan_text(struct wp_str text) {
    const char *begin = text.ptr ? text.ptr : "";
    return (struct scan){.begin = begin, .at = begin, .end = begin + text.len};
}

struct scan scan_inside(const struct scan *outer, const struct scan_value *value) {
    const char *at = value->text.ptr ? value->text.ptr : outer->end; /* a zeroed value: an empty scan */
    return (struct scan){.begin = outer->begin, .at = at, .end = at + value->text.len};
}

static bool bad(struct scan *in, const char *at, const char *why) {
    if (in->why) return false;
    in->at = at;
    in->why = why;
    return false;
}

static bool ends_early(struct scan *in) {
    return bad(in, in->end, "it ends in the middle");
}

static bool is_space(char c) {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Skips white space. False at the end of the text. */
static bool skip_space(struct scan *in) {
    while (in->at < in->end && is_space(*in->at)) in->at++;
    return in->at < in->end;
}

/* ---- strings ---- */

#define EACH(byte) (UINT64_C(0x0101010101010101) * (byte))
#define HAS_ZERO(word) (((word)-EACH(1)) & ~(word)&EACH(0x80))

static bool is_plain(char c) {
    return (signed char)c >= 0x20 && c != '"' && c != '\\';
}

/* Skips plain characters, eight bytes at a time: ASCII without control characters, quote and backslash. */
static const char *skip_plain(const char *at, const char *end) {
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        uint64_t special = HAS_ZERO(word ^ EACH('"')) | HAS_ZERO(word ^ EACH('\\'));
        special |= (word | (word - EACH(0x20))) & EACH(0x80);
        if (special) break;
    }
    while (at < end && is_plain(*at)) at++;
    return at;
}

static int hex_digit(char c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The value of the four digits after \u; -1 when it is no such escape. */
static int32_t unit_at(const char *at, const char *end) {
    int32_t unit = 0;
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u') return -1;
    for (int i = 2; i < 6; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0) return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

static bool is_high(int32_t unit) {
    return unit >= 0xd800 && unit <= 0xdbff;
}

static bool is_low(int32_t unit) {
    return unit >= 0xdc00 && unit <= 0xdfff;
}

/* The length of the escape at `at`, of a surrogate pair with both halves; 0: it is not an escape. */
static size_t escape_length(const char *at, const char *end, bool *ret_lone) {
    *ret_lone = false;
    if (end - at < 2) return 0;
    if (at[1] != 'u') return strchr("\"\\/bfnrt", at[1]) && at[1] ? 2 : 0;
    int32_t unit = unit_at(at, end);
    if (unit < 0) return 0;
    if (is_high(unit) && is_low(unit_at(at + 6, end))) return 12;
    *ret_lone = is_high(unit) || is_low(unit);
    return 6;
}

static bool read_escape(struct scan *in, struct scan_value *value) {
    bool lone;
    size_t length = escape_length(in->at, in->end, &lone);
    if (length == 0) {
        if (in->end - in->at < 6 && !memchr(in->at, '"', (size_t)(in->end - in->at))) return ends_early(in);
        return bad(in, in->at, "a backslash begins no escape that JSON has");
    }
    if (lone && !value->lone) value->lone = in->at;
    value->escaped = true;
    in->at += length;
    return true;
}

/* Reads an escape or a character that is not plain. False at the closing quote, and on an error. */
static bool read_special(struct scan *in, struct scan_value *value) {
    unsigned char c = (unsigned char)*in->at;
    if (c == '\\') return read_escape(in, value);
    if (c == '"') return false;
    if (c < 0x20) return bad(in, in->at, "a string has a control character that is not escaped");
    size_t length = 1;
    if (c >= 0x80) length = wp_str_char((struct wp_str){in->at, (size_t)(in->end - in->at)});
    if (length == 0) return bad(in, in->at, "a byte is no UTF-8");
    in->at += length;
    return true;
}

/* in->at is the opening quote. */
static bool read_string(struct scan *in, struct scan_value *value) {
    const char *begin = in->at++;
    value->kind = SCAN_STRING;
    do {
        in->at = skip_plain(in->at, in->end);
        if (in->at == in->end) return ends_early(in);
    } while (read_special(in, value));
    if (in->why) return false;
    in->at++;
    value->text = (struct wp_str){begin, (size_t)(in->at - begin)};
    return true;
}

static char *put_char(char *out, int32_t c) {
    if (c < 0x80) {
        *out++ = (char)c;
        return out;
    }
    if (c < 0x800) {
        *out++ = (char)(0xc0 | (c >> 6));
    } else {
        if (c < 0x10000) {
            *out++ = (char)(0xe0 | (c >> 12));
        } else {
            *out++ = (char)(0xf0 | (c >> 18));
            *out++ = (char)(0x80 | ((c >> 12) & 0x3f));
        }
        *out++ = (char)(0x80 | ((c >> 6) & 0x3f));
    }
    *out++ = (char)(0x80 | (c & 0x3f));
    return out;
}

/* Decodes the escape at *at and moves *at past it. */
static int32_t decode_escape(const char **at, const char *end) {
    static const char letters[] = "bfnrt", meant[] = "\b\f\n\r\t";
    const char *letter = strchr(letters, (*at)[1]);
    int32_t c = letter ? meant[letter - letters] : (*at)[1];
    if ((*at)[1] != 'u') {
        *at += 2;
        return c;
    }
    c = unit_at(*at, end);
    *at += 6;
    if (!is_high(c)) return c;
    c = 0x10000 + ((c - 0xd800) << 10) + (unit_at(*at, end) - 0xdc00);
    *at += 6;
    return c;
}

struct wp_str scan_string(const struct scan_value *value, struct wp_arena *arena) {
    struct wp_str inside = {value->text.ptr + 1, value->text.len - 2};
    wp_assert(value->kind == SCAN_STRING && !value->lone);
    if (!value->escaped) return inside;
    char *copy = wp_arena_alloc(arena, inside.len), *out = copy; /* large enough: an escape is longer */
    const char *at = inside.ptr, *end = at + inside.len;
    while (at < end) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        size_t plain = (size_t)((escape ? escape : end) - at);
        memcpy(out, at, plain);
        out += plain;
        at += plain;
        if (escape) out = put_char(out, decode_escape(&at, end));
    }
    return (struct wp_str){copy, (size_t)(out - copy)};
}

/* ---- numbers and words ---- */

static bool read_digits(struct scan *in) {
    const char *begin = in->at;
    while (in->at < in->end && is_digit(*in->at)) in->at++;
    if (in->at > begin) return true;
    return in->at == in->end ? ends_early(in) : bad(in, in->at, "a digit is missing in a number");
}

static bool next_is(const struct scan *in, char c) {
    return in->at < in->end && *in->at == c;
}

static bool read_number(struct scan *in, struct scan_value *value) {
    const char *begin = in->at;
    value->kind = SCAN_NUMBER;
    if (*in->at == '-') in->at++;
    const char *first = in->at;
    if (!read_digits(in)) return false;
    if (*first == '0' && in->at > first + 1) return bad(in, first, "a number begins with 0");
    if (next_is(in, '.')) {
        value->fraction = true;
        in->at++;
        if (!read_digits(in)) return false;
    }
    if (next_is(in, 'e') || next_is(in, 'E')) {
        value->fraction = true;
        in->at++;
        if (next_is(in, '+') || next_is(in, '-')) in->at++;
        if (!read_digits(in)) return false;
    }
    value->text = (struct wp_str){begin, (size_t)(in->at - begin)};
    return true;
}

bool scan_long(const struct scan_value *value, int64_t *ret_long) {
    const char *at = value->text.ptr, *end = at + value->text.len;
    bool negative = *at == '-';
    uint64_t number = 0, most = negative ? UINT64_C(1) << 63 : INT64_MAX;
    for (at += negative; at < end; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (number > (most - digit) / 10) return false;
        number = number * 10 + digit;
    }
    *ret_long = (int64_t)(negative ? 0 - number : number);
    return true;
}

double scan_double(const struct scan_value *value) {
    char digits[64];
    if (value->text.len < sizeof digits) {
        memcpy(digits, value->text.ptr, value->text.len);
        digits[value->text.len] = '\0';
        return strtod(digits, NULL);
    }
    char *copy = wp_strndup(value->text);
    double number = strtod(copy, NULL);
    free(copy);
    return number;
}

static bool read_word(struct scan *in, struct scan_value *value) {
    static const char *const words[] = {"null", "false", "true"};
    for (size_t i = 0; i < 3; i++) {
        size_t length = strlen(words[i]), left = (size_t)(in->end - in->at);
        if (memcmp(in->at, words[i], length < left ? length : left) != 0) continue;
        if (left < length) return ends_early(in);
        value->kind = (enum scan_kind)(SCAN_NULL + i);
        value->text = (struct wp_str){in->at, length};
        in->at += length;
        return true;
    }
    bool mark = in->at == in->begin && in->end - in->at >= 3 && memcmp(in->at, "\xef\xbb\xbf", 3) == 0;
    return bad(in, in->at, mark ? "it begins with a byte order mark (EF BB BF)" : "no value begins here");
}

static bool read_scalar(struct scan *in, struct scan_value *value) {
    if (*in->at == '"') return read_string(in, value);
    if (*in->at == '-' || is_digit(*in->at)) return read_number(in, value);
    return read_word(in, value);
}

/* ---- objects and arrays ---- */

static bool in_object(const struct nesting *nesting) {
    unsigned level = nesting->depth - 1;
    return nesting->objects[level / 8] & (1u << (level % 8));
}

static bool step_in(struct scan *in, struct nesting *nesting) {
    if (nesting->depth == SCAN_DEEPEST) return bad(in, in->at, "it is nested more than 2048 deep");
    unsigned char bit = (unsigned char)(1u << (nesting->depth % 8)),
                  *byte = &nesting->objects[nesting->depth / 8];
    if (nesting->depth % 8 == 0) *byte = 0;
    *byte = *in->at == '{' ? *byte | bit : *byte & (unsigned char)~bit;
    nesting->depth++;
    in->at++;
    return true;
}

static bool read_key(struct scan *in, struct scan_value *key) {
    *key = (struct scan_value){0};
    if (!skip_space(in)) return ends_early(in);
    if (*in->at != '"') return bad(in, in->at, "a key in quotes is missing");
    if (!read_string(in, key)) return false;
    if (key->lone) return bad(in, key->lone, "a key has a lone surrogate");
    if (!skip_space(in)) return ends_early(in);
    if (*in->at != ':') return bad(in, in->at, "a colon is missing behind a key");
    in->at++;
    return true;
}

/* After a value: reads the comma (and the next key) before the next value, or the ends of objects and arrays.
 * True: in->at is the next value, or all levels are closed. */
static bool skip_to_value(struct scan *in, struct nesting *nesting) {
    struct scan_value key;
    while (nesting->depth > 0) {
        bool object = in_object(nesting);
        if (!skip_space(in)) return ends_early(in);
        if (*in->at == ',') {
            in->at++;
            return !object || read_key(in, &key);
        }
        if (*in->at != (object ? '}' : ']'))
            return bad(in, in->at, "a comma or an end is missing behind a value");
        in->at++;
        nesting->depth--;
    }
    return true;
}

/* At an opening brace or bracket: moves to the first value inside. Of an empty one, moves on to the next
 * value as skip_to_value does. */
static bool enter_value(struct scan *in, struct nesting *nesting) {
    struct scan_value key;
    if (!step_in(in, nesting)) return false;
    if (!skip_space(in)) return ends_early(in);
    bool object = in_object(nesting);
    if (*in->at != (object ? '}' : ']')) return !object || read_key(in, &key);
    in->at++;
    nesting->depth--;
    return skip_to_value(in, nesting);
}

static bool read_nested(struct scan *in, struct scan_value *value) {
    struct nesting nesting; /* the bits are set as levels are entered */
    const char *begin = in->at;
    nesting.depth = 0;
    value->kind = *begin == '{' ? SCAN_OBJECT : SCAN_ARRAY;
    if (!enter_value(in, &nesting)) return false;
    while (nesting.depth > 0) {
        struct scan_value inside = {0};
        if (!skip_space(in)) return ends_early(in);
        if (*in->at == '{' || *in->at == '[') {
            if (!enter_value(in, &nesting)) return false;
        } else if (!read_scalar(in, &inside) || !skip_to_value(in, &nesting)) {
            return false;
        }
    }
    value->text = (struct wp_str){begin, (size_t)(in->at - begin)};
    return true;
}

bool scan_value(struct scan *in, struct scan_value *ret_value) {
    *ret_value = (struct scan_value){0};
    if (in->why) return false;
    if (!skip_space(in)) return ends_early(in);
    bool nested = *in->at == '{' || *in->at == '[';
    return nested ? read_nested(in, ret_value) : read_scalar(in, ret_value);
}

bool scan_open(struct scan *in, char brace) {
    if (in->why || !skip_space(in) || *in->at != brace) return false;
    in->at++;
    in->began = false;
    return true;
}

/* Moves to the next member or item of the object or array that was opened. False at its end. */
static bool step(struct scan *in, char end) {
    if (in->why) return false;
    if (!skip_space(in)) return ends_early(in);
    if (*in->at == end) {
        in->at++;
        return false;
    }
    if (in->began && *in->at != ',') return bad(in, in->at, "a comma or an end is missing behind a value");
    if (in->began) in->at++;
    in->began = true;
    return true;
}

bool scan_member(struct scan *in, struct scan_value *ret_key, struct scan_value *ret_value) {
    return step(in, '}') && read_key(in, ret_key) && scan_value(in, ret_value);
}

bool scan_item(struct scan *in, struct scan_value *ret_value) {
    return step(in, ']') && scan_value(in, ret_value);
}

bool scan_ends(struct scan *in) {
    if (in->why) return false;
    return !skip_space(in) || bad(in, in->at, "something follows its end");
}

/* ---- descriptions for errors ---- */

size_t scan_offset(const struct scan *in, const char *at) {
    return (size_t)(at - in->begin);
}

enum wp_err scan_fail(const struct scan *in, struct wp_error *error) {
    size_t line = 1;
    const char *start = in->begin;
    for (const char *at = in->begin; at < in->at; at++) {
        if (*at != '\n') continue;
        line++;
        start = at + 1;
    }
    return wp_fail(error, WP_ERR_DATA, "the JSON is malformed at line %zu, column %zu (offset %zu): %s", line,
                   (size_t)(in->at - start) + 1, scan_offset(in, in->at), in->why);
}

#define LONGEST_QUOTE 64

const char *scan_kind_name(enum scan_kind kind) {
    static const char *const names[] = {
        [SCAN_NULL] = "null",       [SCAN_FALSE] = "false",     [SCAN_TRUE] = "true",
        [SCAN_NUMBER] = "a number", [SCAN_STRING] = "a string", [SCAN_ARRAY] = "an array",
        [SCAN_OBJECT] = "an object"};
    return names[kind];
}

const char *scan_describe(const struct scan_value *value, struct scan_words *words) {
    const char *kind = scan_kind_name(value->kind);
    if (value->kind == SCAN_ARRAY || value->kind == SCAN_OBJECT) return kind;
    if (value->text.len <= LONGEST_QUOTE)
        snprintf(words->text, sizeof words->text, "%.*s", (int)value->text.len, value->text.ptr);
    else
        snprintf(words->text, sizeof words->text, "%s of %zu bytes", kind, value->text.len);
    return words->text;
}

void scan_compact(struct wp_str text, struct wp_buf *out) {
    const char *at = text.ptr, *end = at + text.len;
    while (at < end) {
        const char *begin = at;
        while (at < end && !is_space(*at) && *at != '"') at++;
        if (at < end && *at == '"') { /* a string goes on to the next quote that is not escaped */
            for (at++; at < end && *at != '"'; at++) at += *at == '\\';
            at += at < end;
        }
        if (at > end) at = end;
        wp_buf_add(out, begin, (size_t)(at - begin));
        while (at < end && is_space(*at)) at++;
    }
}
