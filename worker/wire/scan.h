/* A JSON text (RFC 8259), read in place: it finds where values begin and end, and checks all of the text on
 * the way. Numbers and strings stay as they are written until they are asked for, so that an integer of a
 * thousand digits in a place that nobody reads does no harm, and a value can be passed on as the bytes that
 * were sent. Never reads outside the text; takes no memory; nesting is limited. Pure; any thread. */
#ifndef WP_WIRE_SCAN_H
#define WP_WIRE_SCAN_H
#include <stdint.h>
#include "core/arena.h"
#include "core/buf.h"

#define SCAN_DEEPEST 2048 /* arrays and objects in each other */

struct scan { /* a place in a text */
    const char *begin, *at, *end;
    const char *why; /* what is malformed at `at`; NULL while all is well */
    bool began;      /* a member or an item was read of what was opened last */
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
/* Inside a value that was read before (or, of a zeroed one, nothing): offsets stay those of the whole text.
 */
struct scan scan_inside(const struct scan *outer, const struct scan_value *value);

/* The next value, whole. False: malformed, in->why says how, and in->at where. */
bool scan_value(struct scan *in, struct scan_value *ret_value);
/* Steps into the object or array that comes next. False: something else comes. */
bool scan_open(struct scan *in, char brace);
/* The next member of the object, or item of the array, that was opened. False: there is none more (then it
 * is closed), or in->why. */
bool scan_member(struct scan *in, struct scan_value *ret_key, struct scan_value *ret_value);
bool scan_item(struct scan *in, struct scan_value *ret_value);
/* Whether nothing but white space follows; if not, in->why says so. */
bool scan_ends(struct scan *in);

/* The characters of a string without lone surrogates: borrowed from the text, or decoded into the arena. */
struct wp_str scan_string(const struct scan_value *value, struct wp_arena *arena);
/* A number without fraction. False: it has more than 64 bits. */
bool scan_long(const struct scan_value *value, int64_t *ret_long);
double scan_double(const struct scan_value *value); /* infinite when it is too large */

size_t scan_offset(const struct scan *in, const char *at); /* bytes before it in the whole text */
/* What in->why says, with line, column and offset. */
enum wp_err scan_fail(const struct scan *in, struct wp_error *error);
const char *scan_kind_name(enum scan_kind kind);
/* What a value is, for an error: a number as it is written, a short string in quotes, else its kind and
 * length. Valid until the next call with the same buffer. */
struct scan_words {
    char text[96];
};
const char *scan_describe(const struct scan_value *value, struct scan_words *words);

/* Appends the text of a value without the white space between its parts: one line. */
void scan_compact(struct wp_str text, struct wp_buf *out);

#endif
