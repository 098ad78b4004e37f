/* A shim's work: starts its container's program, passes on the worker's signals, and leaves no process of the
 * container behind. Runs in the shim's process; makes system calls only. */
#ifndef WP_HOST_SHIM_H
#define WP_HOST_SHIM_H
#include <signal.h>
#include <sys/types.h>
#include "host/process/child.h"

#define WP_SHIM_KILL SIGUSR1 /* asks a shim to kill all its descendants */

/* Makes the calling process the shim: the reaper of its descendants, which gets WP_SHIM_KILL when `worker`,
 * its parent, ends. All its signals are blocked. Returns the program's process id; 0 or less with *ret_errno:
 * there is none. status_fd: borrowed, the program's end of the status pipe. */
pid_t wp_shim_start(pid_t worker, const struct wp_child_spec *spec, int status_fd, int *ret_errno);
/* Ends with the program's exit status or signal, once no descendant is left. */
_Noreturn void wp_shim_watch(pid_t program);

#endif
