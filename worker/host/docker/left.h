/* Containers at the engine that another host has left there: those with our owner's labels and the name of
 * that host. None of them is in this host's table. */
#ifndef WP_HOST_DOCKER_LEFT_H
#define WP_HOST_DOCKER_LEFT_H
#include "host/docker/table.h"

/* As wp_runtime_driver's left and remove_left. */
void wp_docker_left(struct wp_runtime *runtime, const char *host, wp_runtime_left left,
                    void (*done)(void *ctx, bool ok), void *ctx);
void wp_docker_remove_left(struct wp_runtime *runtime, struct wp_str id, void (*done)(void *ctx, bool ok),
                           void *ctx);

#endif
