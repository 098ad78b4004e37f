/* Both ends of the status pipe: wp_child_become runs in the new process and makes system calls only, the rest
 * runs on the loop's thread. No state.
 *
 * The pipe's write end is open twice. The close-on-exec copy closes when the program runs, and carries a NUL
 * byte and errno when it cannot be run. With notify the other copy is the program's WARMPOOL_READY_FD, to
 * which it writes a line of text. */
#include "host/process/child.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATUS_FD 4 /* the status pipe's number in the child */
#define VARIABLES_MAX 64
/* In one call, all that a pipe holds: one that is written to without end has no end. */
#define READS_MAX 256
#define SCRATCH_FD 5 /* from this number on the child uses descriptors for a while, and closes all */

struct failure { /* what the child writes when it cannot run its program */
    char nul;
    char why[sizeof(int)];
};

static _Noreturn void fail(int status_fd) {
    struct failure failure = {0};
    int why = errno;
    memcpy(failure.why, &why, sizeof why);
    ssize_t put = write(status_fd, &failure, sizeof failure);
    (void)put; /* fails when the worker has ended; this process is killed soon, too */
    _exit(127);
}

static void default_signals(void) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &action, NULL); /* fails for KILL and STOP, which always have the default */
}

/* 0 to 2: /dev/null; 3: WARMPOOL_READY_FD; 4: the status pipe, close-on-exec; all others closed. */
static bool place_descriptors(int status_fd, bool notify) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int high_null = fcntl(null, F_DUPFD_CLOEXEC, SCRATCH_FD);
    if (null < 0 || high_null < 0) return false;
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (dup2(high_null, fd) < 0) return false;
    }
    return dup2(notify ? status_fd : high_null, WP_CHILD_READY_FD) >= 0 &&
           dup3(status_fd, STATUS_FD, O_CLOEXEC) >= 0 && close_range(SCRATCH_FD, ~0U, 0) == 0;
}

static bool limit_memory(uint64_t bytes) {
    struct rlimit limit = {.rlim_cur = bytes, .rlim_max = bytes};
    return bytes == 0 || setrlimit(RLIMIT_DATA, &limit) == 0;
}

static void list_variables(struct wp_str variables, char **list) {
    size_t count = 0;
    const char *end = variables.ptr + variables.len;
    for (const char *at = variables.ptr; at < end && count < VARIABLES_MAX; at += strlen(at) + 1)
        list[count++] = (char *)(uintptr_t)at;
    list[count] = NULL;
}

_Noreturn void wp_child_become(const struct wp_child_spec *spec, int pipe_fd) {
    int status_fd = fcntl(pipe_fd, F_DUPFD_CLOEXEC, SCRATCH_FD); /* leaves 0 to 4 free */
    if (status_fd < 0) fail(pipe_fd);
    if (setpgid(0, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail(status_fd);
    default_signals();
    if (!place_descriptors(status_fd, spec->notify)) fail(status_fd);
    sigset_t none;
    sigemptyset(&none);
    if (!limit_memory(spec->data_bytes) || sigprocmask(SIG_SETMASK, &none, NULL) != 0) fail(STATUS_FD);
    char *const arguments[] = {"sh", "-c", (char *)(uintptr_t)spec->command, NULL};
    char *variables[VARIABLES_MAX + 1];
    list_variables(spec->variables, variables);
    execve("/bin/sh", arguments, variables);
    fail(STATUS_FD);
}

enum wp_child_status wp_child_status(int status_fd, bool notify, int *ret_errno) {
    char bytes[256];
    for (int i = 0; i < READS_MAX; i++) {
        ssize_t got = read(status_fd, bytes, sizeof bytes);
        if (got < 0) return WP_CHILD_SILENT; /* EAGAIN: the loop calls when there is more */
        if (got == 0) return notify ? WP_CHILD_CLOSED : WP_CHILD_RUNS;
        if (bytes[0] == '\0' && got >= (ssize_t)sizeof(struct failure)) {
            memcpy(ret_errno, bytes + offsetof(struct failure, why), sizeof *ret_errno);
            return WP_CHILD_FAILED;
        }
        if (memchr(bytes, '\n', (size_t)got)) return WP_CHILD_LINE;
    }
    return WP_CHILD_SILENT; /* the loop calls again */
}

bool wp_child_ended(pid_t pid) {
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}
