/* The schema registry (wire.registry.url): looks up the schema ids that messages in the Confluent format
 * have, and the ids of the schemas that this program writes. wire/ decodes with what is found; while an id is
 * looked up, decoding returns WP_ERR_AGAIN, and its partition waits. Requests are asynchronous, and an id has
 * one at a time, however many ask for it. One thread: the loop's. docs/schema-registry.md says what users
 * see. */
#ifndef WP_REGISTRY_REGISTRY_H
#define WP_REGISTRY_REGISTRY_H
#include <uv.h>
#include "core/stats.h"
#include "registry/handler.h"
#include "wire/wire.h"

struct wp_registry;

/* Borrows all. Decoding with this wire asks it from now on. */
struct wp_registry *wp_registry_new(uv_loop_t *loop, const struct wp_config *config, struct wp_stats *stats,
                                    struct wp_wire *wire);
/* Drops requests under way. Run the loop once more afterwards. NULL is fine. */
void wp_registry_free(struct wp_registry *registry);

/* True while an id that messages have is being looked up. */
bool wp_registry_is_asking(const struct wp_registry *registry);

/* Finds the ids of the schemas of these topics (bits 1 << enum wp_topic) that cannot be written yet:
 * registers them, or looks them up (wire.registry.register). Tries again, and says why in
 * stats->registry_not_ready, while the registry does not answer. Calls one function of the handler, once,
 * from the loop. To be called once. */
void wp_registry_find_write_ids(struct wp_registry *registry, unsigned topics,
                                const struct wp_registry_handler *handler, void *ctx);

#endif
