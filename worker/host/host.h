/* The host side of a worker with host.name set. Registers the host in Redis by heartbeats, reads what Redis
 * wants of its containers (when a container-command says so, at start, and every host.reconcile_interval
 * seconds), drives the runtime towards that one step at a time for each container, and publishes
 * container-event records. One thread: the loop's. */
#ifndef WP_HOST_HOST_H
#define WP_HOST_HOST_H
#include "kafka/producer.h"
#include "host/runtime.h"
#include "store/link.h"
#include "trace/exporter.h"
#include "wire/wire.h"

struct wp_host;

enum wp_err wp_host_new(struct wp_host **ret_host, uv_loop_t *loop, const struct wp_config *config,
                        struct wp_stats *stats, struct wp_link *link, struct wp_producer *producer,
                        struct wp_wire *wire, struct wp_error *error) WP_MUST_CHECK;
/* Whether a host could run with this configuration. WP_ERR_CONFIG: the error says what and how to mend it. */
enum wp_err wp_host_check(const struct wp_config *config, struct wp_error *error) WP_MUST_CHECK;
/* The configuration that was given to wp_host_new has changed in place: its timers, its next heartbeat and
 * the runtime follow. */
void wp_host_configure(struct wp_host *host);
/* Sets a callback for the case that Redis does not know this host although it has containers: Redis has lost
 * its data, and leases must be recovered before anything is done with the containers. */
void wp_host_on_forgotten(struct wp_host *host, void (*forgotten)(void *ctx), void *ctx);
/* Has the starts of containers traced. Borrowed; NULL: no. */
void wp_host_trace(struct wp_host *host, struct wp_exporter *exporter);
/* To be called each time that the link is ready and this worker holds the host's name: registers and
 * reconciles. Before the first call no container is touched and nothing is published. */
void wp_host_link_ready(struct wp_host *host);
/* Begins a clean stop: takes no more commands, tells Redis by a last heartbeat, then publishes host_down and
 * destroys containers: all, or only those that are not ready (host.on_exit). Then calls `stopped`. */
void wp_host_stop(struct wp_host *host, void (*stopped)(void *ctx), void *ctx);
/* Goes on with a stop without waiting for Redis' answer. */
void wp_host_leave(struct wp_host *host);
void wp_host_free(struct wp_host *host);

#endif
