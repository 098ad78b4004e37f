/* One pull of an image by the engine, from its request to its end: credentials, progress, and the registry's
 * own words when it fails. When an image is pulled, and how often that is tried, images.c decides. */
#ifndef WP_HOST_DOCKER_PULL_H
#define WP_HOST_DOCKER_PULL_H
#include "host/docker/table.h"

struct docker_pull;

/* why: NULL when the engine has the image now; else why it was not pulled, and how to mend that, two
 * sentences without their stops. The pull is freed when it returns. */
typedef void (*wp_docker_pull_over)(void *ctx, const char *why, const char *mend);

/* Begins to pull; `over` comes later, never from inside. image: borrowed until then. bytes: grows with what
 * is downloaded. NULL: it was not begun, and *error says why: the credentials cannot be read. */
struct docker_pull *wp_docker_pull_begin(struct wp_runtime *runtime, const char *image, uint64_t *bytes,
                                         wp_docker_pull_over over, void *ctx, struct wp_error *error);
/* Of what is known to be downloaded; layers that have not begun are not counted. -1: nothing has begun. */
int wp_docker_pull_percent(const struct docker_pull *pull);

#endif
