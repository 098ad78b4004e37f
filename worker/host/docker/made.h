/* What each container was made of: its image, with a digest, and its definition; and whether that is still
 * what would be made now. Calls images.c, table.c. */
#ifndef WP_HOST_DOCKER_MADE_H
#define WP_HOST_DOCKER_MADE_H
#include "host/docker/table.h"

void wp_docker_made_open(struct wp_runtime *runtime);
/* The configuration has changed: compares each container with it, and reports those that are outdated. */
void wp_docker_made_configure(struct wp_runtime *runtime);
/* Notes what the engine says of a container that was inspected; only the first time. */
void wp_docker_made_note(struct docker_container *container, const json_t *inspected);
/* Calls `next` when the digest of its image is known, at once or after a step of the container's. */
void wp_docker_made_find(struct docker_container *container,
                         void (*next)(struct docker_container *container));
/* Reports that a ready container is outdated, if it is; once. */
void wp_docker_made_check(struct docker_container *container);
/* Why it is not what would be made now; NULL: it is. */
const char *wp_docker_made_outdated(const struct docker_container *container);

#endif
