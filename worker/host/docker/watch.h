/* What the engine says of this host's containers: its events, and its list after each gap of them and at
 * every reconcile. */
#ifndef WP_HOST_DOCKER_WATCH_H
#define WP_HOST_DOCKER_WATCH_H
#include "host/docker/table.h"

char *wp_docker_filters(const struct wp_config *config, bool events); /* our labels, for a URL; owned */
void wp_docker_watch(struct wp_runtime *runtime);
void wp_docker_list(struct wp_runtime *runtime, wp_runtime_listed listed, void (*done)(void *ctx, bool ok),
                    void *ctx);
void wp_docker_forget_strangers(struct wp_runtime *runtime);

#endif
