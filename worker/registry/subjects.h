/* The subjects of a registry under which the schemas of topics are, and their ids. One thread: the loop's. */
#ifndef WP_REGISTRY_SUBJECTS_H
#define WP_REGISTRY_SUBJECTS_H
#include "registry/client.h"
#include "registry/handler.h"
#include "wire/wire.h"

/* The subject's name by wire.registry.subject; owned by the caller. */
char *subject_name(const struct wp_config *config, const struct wp_wire *wire, enum wp_topic topic);
/* {"schema": ...} with the topic's current schema; owned by the caller. */
char *subject_body(enum wp_topic topic);

struct subjects;
struct subjects *subjects_new(uv_loop_t *loop, const struct wp_config *config, struct wp_stats *stats,
                              struct wp_wire *wire, struct registry_client *client);
void subjects_find(struct subjects *subjects, unsigned topics, const struct wp_registry_handler *handler,
                   void *ctx);
/* Call after registry_client_free. NULL is fine. */
void subjects_free(struct subjects *subjects);

#endif
