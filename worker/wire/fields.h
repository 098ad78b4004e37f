/* One description of each topic's struct — field, kind, place, in the order of its schema — serves Avro and
 * JSON, both ways. */
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

/* The largest of each number in an input; the smallest is 0. */
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
    bool fallback; /* a bool's default, when missing from JSON or from an older schema */
    size_t at;     /* offset in the struct */
    size_t has_at; /* bytes, optional records: of the bool that says whether there is a value */
    int64_t max;   /* of a number in an input: it is 0 to this */
    const struct fields *record;
};
struct fields {
    const struct field *list;
    size_t count;
};

extern const struct fields topic_fields[WP_TOPICS]; /* none for metrics and dead-letter */

/* Absent and default values everywhere. */
void fields_clear(const struct fields *fields, void *event);

/* The error of a number that is not 0 to field->max; seen: as it was written. */
enum wp_err field_out_of_range(const struct field *field, const char *seen, struct wp_error *error);

/* The datum from *in into the struct. Strings borrow. Clear first. Returns the field in which it is malformed
 * (then in->why says how), or NULL. */
const char *fields_read_avro(const struct fields *fields, struct avro_reader *in, void *event);
void fields_write_avro(const struct fields *fields, const void *event, struct wp_buf *out);

/* Of an input: the fields of the one object that the text is. Strings borrow from the text, or from the arena
 * where they had to be decoded. Reads on after an error, so that as much as can be read is there; of a field
 * that is there twice nothing is. Clear first. */
enum wp_err fields_read_json(const struct fields *fields, struct wp_str text, struct wp_arena *arena,
                             void *event, struct wp_error *error) WP_MUST_CHECK;
void fields_write_json(const struct fields *fields, const void *event, struct wp_buf *out);

static inline void *field_place(const struct field *field, void *event) {
    return (char *)event + field->at;
}
static inline const void *field_value(const struct field *field, const void *event) {
    return (const char *)event + field->at;
}
bool field_is_absent(const struct field *field, const void *event); /* and optional */

#endif
