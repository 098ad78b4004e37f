/* Runs a program inside a container of the docker driver. */
#ifndef WP_HOST_DOCKER_EXEC_H
#define WP_HOST_DOCKER_EXEC_H
#include "host/docker/table.h"

/* Calls `over` when the program has ended. code: its exit status; -1 when it could not be run or did not end
 * within docker.timeout_ms, with the reason in `why`. */
void wp_docker_exec(struct docker_container *container, const char *const argv[],
                    void (*over)(struct docker_container *container, int code, const char *why));

#endif
