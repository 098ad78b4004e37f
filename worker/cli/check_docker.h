/* The part of `warmpool check` that checks a Docker engine. */
#ifndef WP_CLI_CHECK_DOCKER_H
#define WP_CLI_CHECK_DOCKER_H
#include "cli/check_line.h"

/* Checks the container definitions, that the engine answers, and that it has every image. Changes nothing. */
void wp_check_docker(struct wp_check *check);

#endif
