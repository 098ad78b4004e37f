/* Logs what a container wrote last, before its removal, when it ended by itself (docker.log_lines). */
#ifndef WP_HOST_DOCKER_OUTPUT_H
#define WP_HOST_DOCKER_OUTPUT_H
#include "host/docker/table.h"

/* Sets runtime->last_look where it is needed; at the start, and when the configuration has changed. */
void wp_docker_output_configure(struct wp_runtime *runtime);
/* Calls `line` for each line of the engine's answer to a request for a container's logs, without its end:
 * frames of 8 bytes (the stream, and the length in the last four, big-endian) and text
 * (https://docs.docker.com/reference/api/engine/version/v1.41/#operation/ContainerAttach). A line may be
 * cut at the end of a frame. */
void wp_docker_output_lines(struct wp_str answer, void (*line)(void *ctx, struct wp_str text), void *ctx);

#endif
