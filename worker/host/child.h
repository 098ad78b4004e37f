/* Starts a container's process: fork, a group of its own, limits, clean signals and descriptors, exec of
 * /bin/sh -c. Only async-signal-safe calls between fork and exec. The status pipe tells how that went: see
 * wp_child_status. */
#ifndef WP_HOST_CHILD_H
#define WP_HOST_CHILD_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/err.h"

#define WP_CHILD_READY_FD 3 /* WARMPOOL_READY_FD; goes nowhere when nobody waits for a line */

struct wp_child_spec {
    const char *command; /* of /bin/sh -c */
    char **environment;  /* NULL-terminated */
    uint64_t data_bytes; /* limit of its writable private memory (RLIMIT_DATA); 0 = none */
    bool notify;         /* it says by a line that it is ready */
    int keeper_fd;
};

/* *ret_status_fd: non-blocking, close-on-exec, owned by the caller. */
enum wp_err wp_child_start(pid_t *ret_pid, int *ret_status_fd, const struct wp_child_spec *spec,
                           struct wp_error *error) WP_MUST_CHECK;

enum wp_child_status {
    WP_CHILD_SILENT, /* nothing new */
    WP_CHILD_RUNS,   /* its program runs (not with notify) */
    WP_CHILD_LINE,   /* it wrote a line */
    WP_CHILD_CLOSED, /* notify: it closed the descriptor without a line */
    WP_CHILD_FAILED, /* its program could not be run: *ret_errno */
};
enum wp_child_status wp_child_status(int status_fd, bool notify, int *ret_errno);

/* True once the process has ended; it stays a zombie, so its number and its group's stay its own until it is
 * reaped. */
bool wp_child_ended(pid_t pid);

#endif
