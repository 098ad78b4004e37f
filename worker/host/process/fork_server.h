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

/* To be called on a thread that lives as long as the worker. command: for /bin/sh -c, copied. */
enum wp_err wp_fork_server_start(struct wp_fork_server *ret_server, const char *command,
                                 struct wp_error *error) WP_MUST_CHECK;

struct wp_child {
    pid_t shim;    /* the worker's child: ends after all processes of the container */
    pid_t program; /* the shim's child, and its process group */
    int status_fd; /* our end of the status pipe: non-blocking, close-on-exec, owned by the caller */
};

/* Blocks while two processes are forked. The shim is the caller's child, which the caller reaps. Runs the
 * command of wp_fork_server_start, not that of the spec. */
enum wp_err wp_fork_server_make(const struct wp_fork_server *server, const struct wp_child_spec *spec,
                                struct wp_child *ret_child, struct wp_error *error) WP_MUST_CHECK;
/* True when the fork server was killed: it is reaped, and the caller starts another one. The shims live on.
 */
bool wp_fork_server_ended(struct wp_fork_server *server);
/* Ends it and waits for that. Does nothing when it is not running. */
void wp_fork_server_stop(struct wp_fork_server *server);

#endif
