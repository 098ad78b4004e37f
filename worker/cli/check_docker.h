/* The part of `warmpool check` that looks at a Docker engine. */
#ifndef WP_CLI_CHECK_DOCKER_H
#define WP_CLI_CHECK_DOCKER_H
#include "cli/check_line.h"

/* The definitions, the engine's answer, and whether it has every image. Changes nothing in it. */
void wp_check_docker(struct wp_check *check);

#endif
