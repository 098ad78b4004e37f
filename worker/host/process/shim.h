/* What a shim does: starts its container's program, passes on what the worker asks, and leaves nothing of it
 * behind. Runs in the shim's process; calls the kernel only. */
#ifndef WP_HOST_SHIM_H
#define WP_HOST_SHIM_H
#include <signal.h>
#include <sys/types.h>
#include "host/process/child.h"

#define WP_SHIM_KILL SIGUSR1 /* to a shim: kill everything below */

/* All signals are blocked. Becomes the reaper of its descendants; 0 or less with *ret_errno: no program. Ends
 * when `worker`, its parent, does. status_fd: borrowed, the program's end of the status pipe. */
pid_t wp_shim_start(pid_t worker, const struct wp_child_spec *spec, int status_fd, int *ret_errno);
/* Ends as the program did, when nothing of it is left. */
_Noreturn void wp_shim_watch(pid_t program);

#endif
