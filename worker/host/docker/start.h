/* Starts containers: from the queue until they are ready. */
#ifndef WP_HOST_DOCKER_START_H
#define WP_HOST_DOCKER_START_H
#include "host/docker/table.h"

void wp_docker_start_open(struct wp_runtime *runtime);
void wp_docker_start_close(struct wp_runtime *runtime, uv_close_cb closed);
/* Queues a container that is not in the table, to be made once there is room. */
void wp_docker_start(struct wp_runtime *runtime, const struct wp_container_spec *spec);
void wp_docker_start_queued(struct wp_runtime *runtime);  /* starts as many as may be made at once */
void wp_docker_probe(struct docker_container *container); /* probes a running one until it is ready */

#endif
