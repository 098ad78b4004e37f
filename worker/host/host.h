/* The host side of a worker with host.name set: registers and beats, reads container-command as wake-up
 * calls, reads the desired state of its containers from Redis, drives its runtime towards it one step at a
 * time per container, and answers with container-event records. Reconciles at start and every
 * host.reconcile_interval seconds. One thread: the loop's. */
#ifndef WP_HOST_HOST_H
#define WP_HOST_HOST_H
#include "kafka/producer.h"
#include "host/runtime.h"
#include "store/link.h"
#include "wire/wire.h"

struct wp_host;

enum wp_err wp_host_new(struct wp_host **ret_host, uv_loop_t *loop, const struct wp_config *config,
                        struct wp_stats *stats, struct wp_link *link, struct wp_producer *producer,
                        struct wp_wire *wire, struct wp_error *error) WP_MUST_CHECK;
/* Called when Redis does not know this host although it has containers: what may be leased of them is to be
 * looked up before anything is done with them. */
void wp_host_on_forgotten(struct wp_host *host, void (*forgotten)(void *ctx), void *ctx);
/* The link came back (or is there for the first time), and the host's name is this worker's: register and
 * reconcile. Before the first time it touches no container and says nothing. */
void wp_host_link_ready(struct wp_host *host);
/* Begins a clean stop: takes no more commands, tells Redis, then says host_down for itself and ends the
 * containers, as host.on_exit has it all of them or those that are not ready. Then calls `stopped`. */
void wp_host_stop(struct wp_host *host, void (*stopped)(void *ctx), void *ctx);
/* Ends a stop that still waits for Redis' answer. */
void wp_host_leave(struct wp_host *host);
void wp_host_free(struct wp_host *host);

#endif
