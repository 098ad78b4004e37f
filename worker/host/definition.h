/* What the containers of a philosophy are made of: docker.NAME, or docker.NAME.PHILOSOPHY where it is set.
 * Configuration alone decides; nothing comes from an event. */
#ifndef WP_HOST_DEFINITION_H
#define WP_HOST_DEFINITION_H
#include <jansson.h>
#include "host/runtime.h"

#define WP_LABEL_PREFIX "io.warmpool.prefix" /* the deployment: its prefixes in Redis and Kafka */
#define WP_LABEL_HOST "io.warmpool.host"
#define WP_LABEL_POOL "io.warmpool.pool"
#define WP_LABEL_KEY "io.warmpool.key"               /* tells its init from others: host/init_link.h */
#define WP_LABEL_DEFINITION "io.warmpool.definition" /* the fingerprint of the container's definition */

enum wp_pull { WP_PULL_NEVER, WP_PULL_MISSING, WP_PULL_ALWAYS };
enum wp_ready { WP_READY_RUNNING, WP_READY_HEALTHY, WP_READY_FILE, WP_READY_TCP, WP_READY_HTTP };

/* Checks the definitions of all philosophies. WP_ERR_CONFIG: a value cannot be used; the error names it. */
enum wp_err wp_definition_check(const struct wp_config *config, struct wp_error *error) WP_MUST_CHECK;

const char *wp_definition_image(const struct wp_config *config, const char *philosophy);
const char *wp_definition_command(const struct wp_config *config, const char *philosophy);
/* When the image is pulled: as that philosophy says, of those that have it, which wants most. */
enum wp_pull wp_definition_pull(const struct wp_config *config, const char *image);
/* When a container counts as ready; *ret_path: of WP_READY_FILE, or the port of WP_READY_TCP ("80"), or what
 * follows the address in the URL of WP_READY_HTTP ("80/healthz"). */
enum wp_ready wp_definition_ready(const struct wp_config *config, const char *philosophy,
                                  const char **ret_path);
/* The value of WP_LABEL_PREFIX. Owned by the caller. */
char *wp_definition_owner(const struct wp_config *config);
/* A fingerprint of what the configuration says of the philosophy's containers, in hexadecimal. Without their
 * image, which is compared by its id, and without limits that follow predictions. */
#define WP_FINGERPRINT_SIZE 17
void wp_definition_fingerprint(const struct wp_config *config, const char *philosophy,
                               char ret[WP_FINGERPRINT_SIZE]);
/* The body of POST /containers/create: the definition, the limits, labels, and the hardening that every
 * container has. claims: the path of the host's folder of its containers' own folders, on the engine's
 * machine, empty without one. Owned by the caller. */
json_t *wp_definition_body(const struct wp_config *config, const struct wp_container_spec *spec,
                           const char *claims);

#endif
