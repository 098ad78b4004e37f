/* A table of the fields of each topic's struct, in the order of its schema. It serves reading and writing,
 * Avro and JSON. */
#ifndef WP_WIRE_FIELDS_H
#define WP_WIRE_FIELDS_H
#include "core/arena.h"
#include "wire/avro.h"
#include "wire/topics.h"

enum field_kind {
    FIELD_STRING,
    FIELD_BYTES,
    FIELD_LONG,
    FIELD_DOUBLE,
    FIELD_BOOL,
    FIELD_RECORD,
    FIELD_MAP, /* of strings, only in inputs: kept as its Avro datum (avro_map_next) */
};

/* The maximum of each number in an input; the minimum is 0. */
#define FIELD_MAX_TIMEOUT_MS INT64_C(86400000)    /* a day */
#define FIELD_MAX_LEASE_MS INT64_C(2678400000)    /* 31 days */
#define FIELD_MAX_TTL_SECONDS INT64_C(3153600000) /* 100 years */
#define FIELD_MAX_ENTRIES INT64_C(1000000000)     /* of the cache */
#define FIELD_MAX_CONTAINERS INT64_C(1000000)     /* of a pool */
#define FIELD_MAX_FIGURE INT64_C(10000000)        /* percent, MiB, seconds, milliseconds */

struct fields;
struct field {
    const char *name;
    enum field_kind kind;
    bool optional; /* ["null", kind]; absent is null */
    bool fallback; /* a bool's value when JSON or an older schema does not have it */
    size_t at;     /* offset in the struct */
    size_t has_at; /* bytes, optional records: of the bool that says whether there is a value */
    int64_t max;   /* of a number in an input; the minimum is 0 */
    const struct fields *record;
};
struct fields {
    const struct field *list;
    size_t count;
};

extern const struct fields topic_fields[WP_TOPICS]; /* none for metrics and dead-letter */

/* Sets every field to absent, or to its default. */
void fields_clear(const struct fields *fields, void *event);

/* The error of a number that is not 0 to field->max; seen: as it was written. */
enum wp_err field_out_of_range(const struct field *field, const char *seen, struct wp_error *error);

/* Reads the datum at *in into the struct, which the caller has cleared. Strings are borrowed. Returns NULL,
 * or the name of the malformed field (in->why says what is wrong). */
const char *fields_read_avro(const struct fields *fields, struct avro_reader *in, void *event);
void fields_write_avro(const struct fields *fields, const void *event, struct wp_buf *out);

/* Reads the text, one JSON object, into an input's struct, which the caller has cleared. Strings are borrowed
 * from the text, or from the arena when they had escapes. After an error it reads on and sets the fields that
 * can be read; a field that occurs twice stays cleared. */
enum wp_err fields_read_json(const struct fields *fields, struct wp_str text, struct wp_arena *arena,
                             void *event, struct wp_error *error) WP_MUST_CHECK;
void fields_write_json(const struct fields *fields, const void *event, struct wp_buf *out);

static inline void *field_place(const struct field *field, void *event) {
    return (char *)event + field->at;
}
static inline const void *field_value(const struct field *field, const void *event) {
    return (const char *)event + field->at;
}
bool field_is_absent(const struct field *field, const void *event); /* false unless it is optional */

#endif
