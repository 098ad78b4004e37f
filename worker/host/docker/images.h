/* Knows which images the engine lacks, so that a host can tell Redis of which philosophies it can make
 * containers. */
#ifndef WP_HOST_DOCKER_IMAGES_H
#define WP_HOST_DOCKER_IMAGES_H
#include "host/docker/table.h"

void wp_docker_images_open(struct wp_runtime *runtime);
void wp_docker_images_close(struct wp_runtime *runtime);
void wp_docker_images_look(struct wp_runtime *runtime); /* asks the engine */
void wp_docker_image_missing(struct wp_runtime *runtime, const char *philosophy);
bool wp_docker_can_make(struct wp_runtime *runtime, const char *philosophy);

#endif
