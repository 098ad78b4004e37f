/* The digest of an image, as the engine says it. Pure. */
#ifndef WP_HOST_DOCKER_DIGEST_H
#define WP_HOST_DOCKER_DIGEST_H
#include <jansson.h>

#define WP_DIGEST_SIZE 96

/* Finds the digest ("sha256:...") by which the registry in the name has the image; else that of another
 * registry, or "". inspected: the engine's answer about the image; may be NULL. */
void wp_docker_digest(const json_t *inspected, const char *name, char ret[WP_DIGEST_SIZE]);

#endif
