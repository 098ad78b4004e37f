/* The verbs pause, resume, run and clean of struct wp_runtime_driver, for a container that is ready. */
#ifndef WP_HOST_DOCKER_BIND_H
#define WP_HOST_DOCKER_BIND_H
#include "host/docker/table.h"

void wp_docker_pause(struct wp_runtime *runtime, struct wp_str id);
void wp_docker_resume(struct wp_runtime *runtime, struct wp_str id);
void wp_docker_run(struct wp_runtime *runtime, struct wp_str id, const char *command);
void wp_docker_clean(struct wp_runtime *runtime, struct wp_str id);

#endif
