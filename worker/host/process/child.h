/* The way from a fresh process to a container's program: a process group of its own, limits, clean signals
 * and descriptors, then /bin/sh -c. The status pipe tells how that went: see wp_child_status. Knows nothing
 * of who forks: shim.c and fork_server.c call it. */
#ifndef WP_HOST_CHILD_H
#define WP_HOST_CHILD_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/str.h"

#define WP_CHILD_READY_FD 3 /* WARMPOOL_READY_FD; goes nowhere when nobody waits for a line */

struct wp_child_spec {       /* of a container's program; all borrowed */
    const char *command;     /* of /bin/sh -c */
    struct wp_str variables; /* "NAME=value\0NAME=value\0": its environment */
    uint64_t data_bytes;     /* limit of its writable private memory (RLIMIT_DATA); 0 = none */
    bool notify;             /* it says by a line that it is ready */
};

/* Turns the calling process into the program; pipe_fd: its end of the status pipe. Calls the kernel only, as
 * the fork of a process with threads has to. */
_Noreturn void wp_child_become(const struct wp_child_spec *spec, int pipe_fd);

enum wp_child_status {
    WP_CHILD_SILENT, /* nothing new */
    WP_CHILD_RUNS,   /* its program runs (not with notify) */
    WP_CHILD_LINE,   /* it wrote a line */
    WP_CHILD_CLOSED, /* notify: it closed the descriptor without a line */
    WP_CHILD_FAILED, /* its program could not be run: *ret_errno */
};
enum wp_child_status wp_child_status(int status_fd, bool notify, int *ret_errno);

/* True once the process has ended; it stays a zombie, so its number stays its own until it is reaped. */
bool wp_child_ended(pid_t pid);

#endif
