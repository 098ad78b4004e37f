/* What a schema registry has said of schema ids: the schema that an id names, or why messages with it cannot
 * be read. Filled from outside (wp_wire_learn, wp_wire_refuse), read while messages are decoded. Bounded: the
 * entry that was used longest ago goes first, but no schema that was used within IDS_IN_USE_US, because
 * messages that were read with it are read again when their answer comes. One thread. */
#ifndef WP_WIRE_IDS_H
#define WP_WIRE_IDS_H
#include <uthash.h>
#include "wire/writers.h"

#define IDS_IN_USE_US (INT64_C(30) * 60 * 1000000)
#define IDS_REFUSED_MAX 1000
#define IDS_BYTES_MAX ((size_t)16 << 20) /* of the texts of all schemas */

struct schema_id {
    uint32_t id;
    char *refused;         /* owned; why messages with it cannot be read; NULL: they can be */
    int64_t until_us;      /* refused: to be asked for again from then on; INT64_MAX: never */
    struct writer *writer; /* NULL: the messages are JSON. Its topic is WP_TOPICS when its name says none */
    bool owned;            /* the writer */
    unsigned readable;     /* bits of topics whose fields this writer is known to have */
    size_t bytes;          /* of the schema's text */
    int64_t used_us;
    UT_hash_handle hh;
};

struct ids {
    struct schema_id *table;
    struct schema_id *last; /* that was found; NULL: none */
    size_t schemas, refused, bytes;
};

/* NULL: not known, or it is time to ask again. */
struct schema_id *ids_find(struct ids *ids, uint32_t id, int64_t now_us);
/* Adds an Avro schema that was read from `text`. WP_ERR_DATA: it cannot be used; the error says why. */
enum wp_err ids_add_avro(struct ids *ids, struct writers *writers, uint32_t id, struct wp_str text,
                         size_t max, int64_t now_us, struct wp_error *error) WP_MUST_CHECK;
/* Adds an id whose messages are JSON. The same error. */
enum wp_err ids_add_json(struct ids *ids, uint32_t id, size_t max, int64_t now_us,
                         struct wp_error *error) WP_MUST_CHECK;
void ids_refuse(struct ids *ids, uint32_t id, const char *why, int64_t until_us, int64_t now_us);
void ids_done(struct ids *ids);

#endif
