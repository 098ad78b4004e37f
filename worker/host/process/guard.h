/* What a guard does: starts its container's program, passes on what the worker asks, and leaves nothing of it
 * behind. Runs in the guard's process; calls the kernel only. */
#ifndef WP_HOST_GUARD_H
#define WP_HOST_GUARD_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct guard {
    pid_t worker;
    const char *command;
    char *variables; /* "NAME=value\0..." */
    size_t variables_len;
    uint64_t data_bytes;
    bool notify;
    int status_fd;
};

/* All signals are blocked. Becomes the reaper of its descendants; 0 or less with *ret_errno: no program. */
pid_t guard_start(const struct guard *guard, int *ret_errno);
/* Ends as the program did, when nothing of it is left. */
_Noreturn void guard_watch(pid_t program);

#endif
