/* Any datum of any schema: walked with bounds checks, turned into JSON text, made from JSON. The slow path.
 */
#ifndef WP_WIRE_DATUM_H
#define WP_WIRE_DATUM_H
#include "wire/schema.h"

/* WP_ERR_DATA unless `datum` is one whole value of the schema and nothing more: what avro-c may then read
 * without harm. Depth, and what arrays of nothing can claim, are limited. */
enum wp_err datum_check(const struct type *type, struct wp_str datum, struct wp_error *error) WP_MUST_CHECK;

/* Appends the datum as compact JSON. Checks it first. Null fields are left out; bytes that are no UTF-8
 * become NAME_base64. */
enum wp_err datum_to_json(const struct type *type, struct wp_str datum, struct wp_buf *out,
                          struct wp_error *error) WP_MUST_CHECK;

/* Appends the datum that the value at `in` describes. Fields that are missing take their default; unknown
 * ones are ignored. Bytes are a string's UTF-8, or the text of another value as it is written; so are the
 * values of a map of strings. `out` is as it was when this fails. */
enum wp_err datum_from_json(const struct type *type, struct scan *in, struct wp_buf *out,
                            struct wp_error *error) WP_MUST_CHECK;

#endif
