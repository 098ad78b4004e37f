/* The way of a container from the queue until it is ready. */
#ifndef WP_HOST_DOCKER_START_H
#define WP_HOST_DOCKER_START_H
#include "host/docker/table.h"

void wp_docker_start_queued(struct wp_runtime *runtime); /* as many as may be made at once */
void wp_docker_probe(struct container *container);       /* it runs: until it is ready */

#endif
