/* An Avro schema read from its JSON text: a tree of types, its Parsing Canonical Form and its CRC-64-AVRO
 * fingerprint (Avro specification 1.11). Immutable once parsed. */
#ifndef WP_WIRE_SCHEMA_H
#define WP_WIRE_SCHEMA_H
#include <stdint.h>
#include "core/arena.h"
#include "core/buf.h"
#include "core/err.h"
#include "wire/scan.h"

enum avro_type {
    TYPE_NULL,
    TYPE_BOOLEAN,
    TYPE_INT,
    TYPE_LONG,
    TYPE_FLOAT,
    TYPE_DOUBLE,
    TYPE_BYTES,
    TYPE_STRING,
    TYPE_RECORD,
    TYPE_ENUM,
    TYPE_FIXED,
    TYPE_ARRAY,
    TYPE_MAP,
    TYPE_UNION,
};

struct type;
struct type_field {
    const char *name;
    struct type *type;
    bool has_fallback;
    struct scan_value fallback; /* the default, as it is written */
};
struct type {
    enum avro_type kind;
    const char *name; /* record, enum, fixed: the full name */
    size_t count;     /* fields, symbols or branches; bytes of a fixed */
    union {
        struct type_field *fields; /* record */
        const char **symbols;      /* enum */
        struct type **branches;    /* union */
        struct type *items;        /* array, map */
    };
    bool visited; /* while the schema is read */
};

struct schema {
    struct wp_arena arena; /* owns the tree, and the text that the defaults point into */
    struct type *type;
    struct wp_str canonical; /* the Parsing Canonical Form, NUL-terminated */
    uint64_t fingerprint;
};

/* name: the file name, for errors. After an error there is nothing to free. */
enum wp_err schema_parse(struct schema *ret_schema, const char *name, struct wp_str text,
                         struct wp_error *error) WP_MUST_CHECK;
void schema_done(struct schema *schema);

/* The primitive type of that name; TYPE_RECORD when there is none. */
enum avro_type schema_primitive(const char *word);
const char *schema_kind_name(enum avro_type kind);
const struct type_field *schema_field(const struct type *record, const char *name); /* NULL: there is none */
uint64_t schema_crc64(struct wp_str bytes);

#endif
