/* A small process beside the worker that makes the containers. It is forked while the worker is small and
 * holds nothing, so each container costs little memory, whatever the worker holds later.
 *
 *   worker -- keeper        asked through a socket; it ends when that closes
 *      |
 *      +---- guard          one a container: a child of the worker (not of the keeper), and the reaper of all
 *              |            that its container leaves behind
 *              +- program   in a process group of its own, and its descendants in whatever session
 *
 * A guard ends when its program has, in the same way, and after all of its descendants. SIGTERM is for the
 * program's group; WP_GUARD_KILL, or the end of the worker, kills everything below the guard. */
#ifndef WP_HOST_KEEPER_H
#define WP_HOST_KEEPER_H
#include <stdbool.h>
#include <sys/types.h>
#include "core/err.h"
#include "host/process/child.h"

struct wp_keeper {
    pid_t pid; /* 0: none */
    int fd;    /* the worker's end of the socket, close-on-exec */
};

/* To be called on the thread that lives as long as the worker. command: of /bin/sh -c, copied. */
enum wp_err wp_keeper_start(struct wp_keeper *ret_keeper, const char *command,
                            struct wp_error *error) WP_MUST_CHECK;

struct wp_child {
    pid_t guard;   /* our child: gone when nothing of the container is left */
    pid_t program; /* the guard's child, and number of its group */
    int status_fd; /* our end of the status pipe: non-blocking, close-on-exec, owned by the caller */
};

/* Blocks for the moment that two forks take. The guard is the caller's child, to be reaped by it. The command
 * is the keeper's: that of the spec is not used. */
enum wp_err wp_keeper_make(const struct wp_keeper *keeper, const struct wp_child_spec *spec,
                           struct wp_child *ret_child, struct wp_error *error) WP_MUST_CHECK;
/* True when the keeper has ended by itself (it was killed): reaped, and another one is to be started. The
 * guards live on. */
bool wp_keeper_ended(struct wp_keeper *keeper);
/* Waits for its end. Fine on one that is not started. */
void wp_keeper_stop(struct wp_keeper *keeper);

#endif
