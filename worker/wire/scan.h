/* Reads a JSON text (RFC 8259) in place: finds where values begin and end, and checks all of the text.
 * Numbers and strings are decoded only when asked for, so that an integer of a thousand digits in an unused
 * field is no error, and a value can be copied byte by byte. Never reads outside the text; does not allocate;
 * nesting is limited. Pure; any thread. */
#ifndef WP_WIRE_SCAN_H
#define WP_WIRE_SCAN_H
#include <stdint.h>
#include "core/arena.h"
#include "core/buf.h"

#define SCAN_DEEPEST 2048 /* maximum depth of nested arrays and objects */

struct scan { /* a place in a text */
    const char *begin, *at, *end;
    const char *why; /* what is malformed at `at`; NULL: nothing so far */
    bool began;      /* the object or array opened last is past its first member or item */
};

enum scan_kind { SCAN_NULL, SCAN_FALSE, SCAN_TRUE, SCAN_NUMBER, SCAN_STRING, SCAN_ARRAY, SCAN_OBJECT };

struct scan_value {
    enum scan_kind kind;
    struct wp_str text; /* borrowed from the message: a string with its quotes, an object with its braces */
    bool fraction;      /* of a number: it has a point or an exponent */
    bool escaped;       /* of a string: it has an escape, so scan_string makes a copy */
    const char *lone;   /* of a string: where its first lone surrogate (as \ud800) is written; NULL: none */
};

struct scan scan_text(struct wp_str text);
/* A scan of one value that was read before (empty for a zeroed one). Offsets count from the whole text. */
struct scan scan_inside(const struct scan *outer, const struct scan_value *value);

/* Reads the next whole value. False: malformed; in->why says what is wrong, and in->at where. */
bool scan_value(struct scan *in, struct scan_value *ret_value);
/* Steps into the next value, an object ('{') or array ('['). False: the next value is of another kind. */
bool scan_open(struct scan *in, char brace);
/* Reads the next member of the object, or item of the array, that was opened. False at its end, and when
 * in->why is set. */
bool scan_member(struct scan *in, struct scan_value *ret_key, struct scan_value *ret_value);
bool scan_item(struct scan *in, struct scan_value *ret_value);
/* True when only white space follows; else sets in->why. */
bool scan_ends(struct scan *in);

/* The characters of a string, which must have no lone surrogate: borrowed from the text, or decoded into the
 * arena. */
struct wp_str scan_string(const struct scan_value *value, struct wp_arena *arena);
/* The value of a number without fraction. False: it does not fit 64 bits. */
bool scan_long(const struct scan_value *value, int64_t *ret_long);
double scan_double(const struct scan_value *value); /* infinite when it is too large */

size_t scan_offset(const struct scan *in, const char *at); /* bytes before it in the whole text */
/* Fails with in->why, and its line, column and offset. */
enum wp_err scan_fail(const struct scan *in, struct wp_error *error);
const char *scan_kind_name(enum scan_kind kind);
/* Describes a value for an error: a number as it is written, a short string in quotes, else its kind and
 * length. Valid until the next call with the same buffer. */
struct scan_words {
    char text[96];
};
const char *scan_describe(const struct scan_value *value, struct scan_words *words);

/* Appends the value's text without white space outside of strings, as one line. */
void scan_compact(struct wp_str text, struct wp_buf *out);

#endif
