/* Starts a container's program: the keeper forks, the new process gets a group of its own, limits, clean
 * signals and descriptors, and runs /bin/sh -c. The status pipe tells how that went: see wp_child_status. */
#ifndef WP_HOST_CHILD_H
#define WP_HOST_CHILD_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "core/str.h"
#include "host/process/keeper.h"

#define WP_CHILD_READY_FD 3 /* WARMPOOL_READY_FD; goes nowhere when nobody waits for a line */

struct wp_child_spec {
    struct wp_str variables; /* "NAME=value\0NAME=value\0": its environment */
    uint64_t data_bytes;     /* limit of its writable private memory (RLIMIT_DATA); 0 = none */
    bool notify;             /* it says by a line that it is ready */
};

struct wp_child {
    pid_t guard;   /* our child: gone when nothing of the container is left (host/keeper.h) */
    pid_t program; /* the guard's child, and number of its group */
    int status_fd; /* non-blocking, close-on-exec, owned by the caller */
};

enum wp_err wp_child_start(struct wp_child *ret_child, const struct wp_keeper *keeper,
                           const struct wp_child_spec *spec, struct wp_error *error) WP_MUST_CHECK;
struct guard;
_Noreturn void wp_child_become(const struct guard *guard); /* the rest of the way, in the new process */

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
