/* Datums of any schema: checks their bounds, writes them as JSON, makes them from JSON. The slow path. */
#ifndef WP_WIRE_DATUM_H
#define WP_WIRE_DATUM_H
#include "wire/schema.h"

/* WP_ERR_DATA unless `datum` is exactly one value of the schema, so that avro-c can read it safely. The
 * depth, and the length of arrays whose items take no bytes, are limited. */
enum wp_err datum_check(const struct type *type, struct wp_str datum, struct wp_error *error) WP_MUST_CHECK;

/* Appends the datum as compact JSON. Checks it first. Null fields are left out; bytes that are not UTF-8
 * become NAME_base64. */
enum wp_err datum_to_json(const struct type *type, struct wp_str datum, struct wp_buf *out,
                          struct wp_error *error) WP_MUST_CHECK;

/* Appends the datum that the value at `in` describes. Fields that are missing take their default; unknown
 * ones are ignored. A field of bytes, and a value in a map of strings, gets a string's UTF-8, or the JSON
 * text of any other value. On an error `out` is unchanged. */
enum wp_err datum_from_json(const struct type *type, struct scan *in, struct wp_buf *out,
                            struct wp_error *error) WP_MUST_CHECK;

#endif
