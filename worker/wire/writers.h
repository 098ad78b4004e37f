/* The schemas that messages may be written with: the embedded current ones, the further ones of wire.schemas,
 * and the table of Confluent ids. Loaded once, then only read, except for the scratch space of avro-c in an
 * evolved writer. */
#ifndef WP_WIRE_WRITERS_H
#define WP_WIRE_WRITERS_H
#include "wire/topics.h"
#include "wire/evolved.h"
#include "wire/schema.h"

struct writer {
    enum wp_topic topic;
    char *file; /* owned; relative to wire.schemas, or the embedded file's name */
    struct schema schema;
    struct evolved *evolved; /* owned; NULL for a current schema, which fields.h reads */
};

struct confluent_id {
    uint32_t id;
    struct writer *writer; /* borrowed */
};

struct writers {
    struct writer current[WP_TOPICS]; /* none for dead-letter */
    struct writer **further;          /* owned */
    size_t further_count;
    struct confluent_id *ids; /* owned, in the order of the setting */
    size_t id_count;
};

enum wp_err writers_load(struct writers *writers, const struct wp_config *config,
                         struct wp_error *error) WP_MUST_CHECK;
void writers_done(struct writers *writers); /* also after a failed load */

/* A writer from the text of its schema, a record. *ret_owned: it is new, and its caller frees it; else the
 * schema is one that is loaded. The topic is WP_TOPICS when no topic has a record of that name. name: for
 * errors. */
enum wp_err writers_make(struct writers *writers, const char *name, struct wp_str text,
                         struct writer **ret_writer, bool *ret_owned, struct wp_error *error) WP_MUST_CHECK;
void writer_free(struct writer *writer); /* one that writers_make made; NULL is fine */

struct writer *writers_by_fingerprint(struct writers *writers, enum wp_topic topic, uint64_t fingerprint);
struct writer *writers_by_id(struct writers *writers, uint32_t id);
/* The id that the topic's current schema is written with; NULL: the setting has none. */
const struct confluent_id *writers_id_of(const struct writers *writers, enum wp_topic topic);

/* The id of the topic's current schema, from a registry. An id that is there already stays as it is. */
void writers_add_id(struct writers *writers, uint32_t id, enum wp_topic topic);

#endif
