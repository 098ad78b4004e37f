/* The fork server: a small process beside the worker that starts the containers' processes. It is forked
 * while the worker is small, so that a container does not cost a copy of what the worker holds later.
 *
 *   worker -- fork server   takes requests from a socket; ends when the socket closes
 *      |
 *      +---- shim           one for each container: a child of the worker (not of the fork server); reaps all
 *              |            processes of its container
 *              +- program   in a process group of its own; its descendants in whatever session
 *
 * A shim ends after its program and all of the program's descendants, with the program's exit status or
 * signal. SIGTERM is passed on to the program's group; WP_SHIM_KILL, or the end of the worker, kills
 * everything below the shim. */
#ifndef WP_HOST_FORK_SERVER_H
#define WP_HOST_FORK_SERVER_H
#include <stdbool.h>
#include <sys/types.h>
#include "core/err.h"
#include "host/process/child.h"

struct wp_fork_server {
    pid_t pid; /* 0: none */
    int fd;    /* the worker's end of the socket, close-on-exec */
};

/* To be called on the thread that lives as long as the worker. command: of /bin/sh -c, copied. */
enum wp_err wp_fork_server_start(struct wp_fork_server *ret_server, const char *command,
                                 struct wp_error *error) WP_MUST_CHECK;

struct wp_child {
    pid_t shim;    /* our child: gone when nothing of the container is left */
    pid_t program; /* the shim's child, and number of its group */
    int status_fd; /* our end of the status pipe: non-blocking, close-on-exec, owned by the caller */
};

/* Blocks for the moment that two forks take. The shim is the caller's child, to be reaped by it. The command
 * is the fork server's: that of the spec is not used. */
enum wp_err wp_fork_server_make(const struct wp_fork_server *server, const struct wp_child_spec *spec,
                                struct wp_child *ret_child, struct wp_error *error) WP_MUST_CHECK;
/* True when the fork server has ended by itself (it was killed): reaped, and another one is to be started.
 * The shims live on. */
bool wp_fork_server_ended(struct wp_fork_server *server);
/* Waits for its end. Fine on one that is not started. */
void wp_fork_server_stop(struct wp_fork_server *server);

#endif
