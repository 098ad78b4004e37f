/* What the engine says of this host's containers: its events, and its list after each gap of them and at
 * every reconcile. */
#ifndef WP_HOST_DOCKER_WATCH_H
#define WP_HOST_DOCKER_WATCH_H
#include "host/docker/table.h"

void wp_docker_watch_open(struct wp_runtime *runtime); /* the events are read from now on */
/* closed: as uv_close's, with the handle's data = runtime. */
void wp_docker_watch_close(struct wp_runtime *runtime, uv_close_cb closed);
bool wp_docker_away(struct wp_runtime *runtime); /* the engine does not answer */
void wp_docker_list(struct wp_runtime *runtime, wp_runtime_listed listed, void (*done)(void *ctx, bool ok),
                    void *ctx);

#endif
