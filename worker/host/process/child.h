/* Starts a container's shim and program (init/shim.h), and reads the status pipe, which tells how that went.
 * One thread: the loop's. No state. */
#ifndef WP_HOST_CHILD_H
#define WP_HOST_CHILD_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/err.h"
#include "core/str.h"

struct wp_child_spec {       /* of a container's program; all borrowed */
    int init_fd;             /* wp_init_program_open's */
    const char *command;     /* of /bin/sh -c */
    struct wp_str variables; /* "NAME=value\0NAME=value\0": its environment */
    uint64_t data_bytes;     /* limit of its writable private memory (RLIMIT_DATA); 0 = none */
    bool notify;             /* it writes a line to WARMPOOL_READY_FD when it is ready */
};

struct wp_child {
    pid_t shim;    /* the worker's child, which the caller reaps: ends after all processes of the container */
    pid_t program; /* the shim's child, and its process group; 0 until wp_child_status has read it */
    int status_fd; /* our end of the status pipe: non-blocking, close-on-exec, owned by the caller */
};

/* To be called on a thread that lives as long as the worker: its end ends the shim. Blocks until the shim is
 * executed; shares the worker's memory until then, so that its size costs nothing. */
enum wp_err wp_child_start(const struct wp_child_spec *spec, struct wp_child *ret_child,
                           struct wp_error *error) WP_MUST_CHECK;

enum wp_child_status {
    WP_CHILD_SILENT, /* nothing yet */
    WP_CHILD_RUNS,   /* without notify: its program runs */
    WP_CHILD_LINE,   /* with notify: it wrote a line */
    WP_CHILD_CLOSED, /* with notify: it closed the descriptor without a line; or the shim has been killed */
    WP_CHILD_FAILED, /* its program could not be run: *ret_errno */
};
enum wp_child_status wp_child_status(struct wp_child *child, bool notify, int *ret_errno);

/* True once the process has ended. It is not reaped, so its number is not given to another process. */
bool wp_child_ended(pid_t pid);
/* Waits for that. False: the deadline came first. */
bool wp_child_wait(pid_t pid, int64_t deadline_us);

#endif
