/* The codec of programs that read and write records without a loop: they wait for the schema registry where a
 * worker goes on. It blocks; one thread. */
#ifndef WP_REGISTRY_SCHEMAS_H
#define WP_REGISTRY_SCHEMAS_H
#include "registry/registry.h"

struct wp_schemas {               /* zero-initialised is closed */
    struct wp_wire *wire;         /* owned; for everything that needs no registry */
    struct wp_registry *registry; /* owned; NULL: none is configured */
    struct wp_stats *stats;       /* owned; where the registry says what is wrong */
    uv_loop_t loop;               /* of the registry alone */
};

/* Makes the codec, and finds the ids of the topics (bits 1 << enum wp_topic) that are to be written. */
enum wp_err wp_schemas_open(struct wp_schemas *schemas, const struct wp_config *config, unsigned topics,
                            struct wp_error *error) WP_MUST_CHECK;
/* As wp_wire_decode_json, but waits for a schema; WP_ERR_DATA when the registry is away, or does not give it
 * in time. */
enum wp_err wp_schemas_decode(struct wp_schemas *schemas, enum wp_topic topic, struct wp_str bytes,
                              struct wp_buf *out_json, struct wp_error *error) WP_MUST_CHECK;
/* The topics that a worker writes, as bits. */
unsigned wp_schemas_of_worker(void);
void wp_schemas_close(struct wp_schemas *schemas);

#endif
