/* Turns a fresh process into a container's program: a process group of its own, limits, default signals,
 * clean descriptors, then /bin/sh -c. The status pipe reports how that went (wp_child_status). Called by
 * shim.c in the new process and by process.c in the worker; does not fork. */
#ifndef WP_HOST_CHILD_H
#define WP_HOST_CHILD_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/str.h"

#define WP_CHILD_READY_FD 3 /* WARMPOOL_READY_FD; /dev/null unless `notify` */

struct wp_child_spec {       /* of a container's program; all borrowed */
    const char *command;     /* of /bin/sh -c */
    struct wp_str variables; /* "NAME=value\0NAME=value\0": its environment */
    uint64_t data_bytes;     /* limit of its writable private memory (RLIMIT_DATA); 0 = none */
    bool notify;             /* it writes a line to WARMPOOL_READY_FD when it is ready */
};

/* Turns the calling process into the program; pipe_fd: its end of the status pipe. Makes system calls only,
 * as a fork of a process with threads must. */
_Noreturn void wp_child_become(const struct wp_child_spec *spec, int pipe_fd);

enum wp_child_status {
    WP_CHILD_SILENT, /* nothing yet */
    WP_CHILD_RUNS,   /* without notify: its program runs */
    WP_CHILD_LINE,   /* with notify: it wrote a line */
    WP_CHILD_CLOSED, /* with notify: it closed the descriptor without a line */
    WP_CHILD_FAILED, /* its program could not be run: *ret_errno */
};
enum wp_child_status wp_child_status(int status_fd, bool notify, int *ret_errno);

/* True once the process has ended. It is not reaped, so its number is not given to another process. */
bool wp_child_ended(pid_t pid);

#endif
