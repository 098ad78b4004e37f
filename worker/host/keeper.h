/* A small process beside the worker that outlives it by a moment: it knows the process groups of all
 * containers and kills them when the worker is gone, however it went. It learns of the worker's end by the
 * end of a pipe that only the worker (and, for the instant before it runs its program, a new child) holds
 * open for writing. */
#ifndef WP_HOST_KEEPER_H
#define WP_HOST_KEEPER_H
#include <stdbool.h>
#include <sys/types.h>
#include "core/err.h"

struct wp_keeper {
    pid_t pid; /* 0: none */
    int fd;    /* the pipe's writing end, close-on-exec */
};

enum wp_err wp_keeper_start(struct wp_keeper *ret_keeper, struct wp_error *error) WP_MUST_CHECK;
/* Async-signal-safe: called by the new child itself, before it runs its program. False: the keeper is gone.
 */
bool wp_keeper_add(int fd, pid_t group);
/* To be called before the group's leader is reaped, while its number cannot be given to another process. */
void wp_keeper_remove(int fd, pid_t group);
/* True when the keeper has ended by itself (it was killed): reaped, and another one is to be started. */
bool wp_keeper_ended(struct wp_keeper *keeper);
/* Lets it kill what it still knows, and waits for it. Fine on one that is not started. */
void wp_keeper_stop(struct wp_keeper *keeper);

#endif
