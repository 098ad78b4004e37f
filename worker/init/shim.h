/* What the `process` runtime and its shims (shim.c) have in common. A shim is this program as the parent
 * process of one container:
 *
 *   worker
 *      +---- shim           the worker's child; reaps all processes of its container
 *              +- program   in a process group of its own; its descendants in whatever session
 *
 * A shim ends after its program and all of the program's descendants, with the program's exit status or
 * signal. SIGTERM is passed on to the program's group; WP_SHIM_KILL, or the end of the worker, kills
 * everything below the shim.
 *
 * The status pipe tells the worker, one after the other: the program's process id, as a pid_t; with `notify`
 * what the program writes to WARMPOOL_READY_FD; struct wp_shim_failure when the program cannot be run.
 * Without notify the pipe closes when the program runs. */
#ifndef WP_INIT_SHIM_H
#define WP_INIT_SHIM_H
#include <signal.h>
#include <sys/types.h>

/* usage: init --shim WORKER BYTES READY COMMAND      its environment and its status pipe are the program's
 * WORKER: the process that it belongs to; BYTES: limit of writable private memory (RLIMIT_DATA), 0 = none;
 * READY: "notify", or anything else; COMMAND: of /bin/sh -c */
#define WP_SHIM_WORD "--shim"
#define WP_SHIM_NOTIFY "notify"
#define WP_SHIM_STATUS_FD                                                                                    \
    3 /* the status pipe's number; with notify the program has it as WARMPOOL_READY_FD */
#define WP_SHIM_KILL SIGUSR1 /* asks a shim to kill all its descendants */

struct wp_shim_failure {
    char nul;              /* the program would have written text */
    char why[sizeof(int)]; /* errno */
};

/* arguments: WORKER BYTES READY COMMAND, and NULL. */
_Noreturn void wp_shim_run(char *const *arguments);

#endif
