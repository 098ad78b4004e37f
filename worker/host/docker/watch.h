/* Watches this host's containers at the engine: by its stream of events, and by its list after each gap of
 * the stream, at every reconcile and every few seconds. */
#ifndef WP_HOST_DOCKER_WATCH_H
#define WP_HOST_DOCKER_WATCH_H
#include "host/docker/table.h"

/* The engine's filters, escaped for a URL: {"label": [our prefix, that host], ...} selects the containers of
 * a host; events: with the kinds of events that are read. Owned by the caller. */
char *wp_docker_filters(const struct wp_config *config, const char *host, bool events);
void wp_docker_watch_open(struct wp_runtime *runtime); /* begins to read the events */
/* closed: as uv_close's, called twice, with the handle's data = runtime. */
void wp_docker_watch_close(struct wp_runtime *runtime, uv_close_cb closed);
/* Why the engine is unreachable, or has not answered for some five seconds; NULL: neither. */
const char *wp_docker_away(struct wp_runtime *runtime);
void wp_docker_list(struct wp_runtime *runtime, wp_runtime_listed listed, void (*done)(void *ctx, bool ok),
                    void *ctx);

#endif
