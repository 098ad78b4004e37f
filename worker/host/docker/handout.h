/* Verbs of a container that is ready: see struct wp_runtime_driver. */
#ifndef WP_HOST_DOCKER_HANDOUT_H
#define WP_HOST_DOCKER_HANDOUT_H
#include "host/docker/table.h"

void wp_docker_pause(struct wp_runtime *runtime, struct wp_str id);
void wp_docker_resume(struct wp_runtime *runtime, struct wp_str id);
void wp_docker_run(struct wp_runtime *runtime, struct wp_str id, const char *command);

#endif
