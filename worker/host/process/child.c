/* From a specification to a running program. No state; wp_child_start belongs to the loop's thread,
 * wp_child_become to the new process, which calls the kernel only.
 *
 * One pipe tells both things: its close-on-exec copy vanishes when the program runs, or carries a NUL and
 * errno when it does not; with notify a second copy is the program's WARMPOOL_READY_FD, on which it writes a
 * line of text. */
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
#include "host/process/guard.h"
#include "host/process/keeper.h"

#define STATUS_FD 4 /* of the child */
#define VARIABLES_MAX 64
#define SCRATCH_FD 5 /* the lowest number that the child uses on its way and closes */

struct failure { /* what the child says instead of running its program */
    char nul;
    char why[sizeof(int)];
};

static _Noreturn void fail(int status_fd) {
    struct failure failure = {0};
    int why = errno;
    memcpy(failure.why, &why, sizeof why);
    ssize_t put = write(status_fd, &failure, sizeof failure);
    (void)put; /* the worker is gone, and the keeper will be here soon */
    _exit(127);
}

static void default_signals(void) {
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &action, NULL); /* refused for KILL and STOP: fine */
}

/* 0 to 2: nothing; 3: the ready line; 4: the status pipe, close-on-exec; all others closed. */
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

static void list_variables(const struct guard *guard, char **list) {
    size_t count = 0;
    for (char *at = guard->variables; at < guard->variables + guard->variables_len && count < VARIABLES_MAX;
         at += strlen(at) + 1)
        list[count++] = at;
    list[count] = NULL;
}

_Noreturn void wp_child_become(const struct guard *guard) {
    int status_fd = fcntl(guard->status_fd, F_DUPFD_CLOEXEC, SCRATCH_FD); /* out of the way of 0 to 4 */
    if (status_fd < 0) fail(guard->status_fd);
    if (setpgid(0, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail(status_fd);
    default_signals();
    if (!place_descriptors(status_fd, guard->notify)) fail(status_fd);
    sigset_t none;
    sigemptyset(&none);
    if (!limit_memory(guard->data_bytes) || sigprocmask(SIG_SETMASK, &none, NULL) != 0) fail(STATUS_FD);
    char *const arguments[] = {"sh", "-c", (char *)(uintptr_t)guard->command, NULL};
    char *variables[VARIABLES_MAX + 1];
    list_variables(guard, variables);
    execve("/bin/sh", arguments, variables);
    fail(STATUS_FD);
}

enum wp_err wp_child_start(struct wp_child *ret_child, const struct wp_keeper *keeper,
                           const struct wp_child_spec *spec, struct wp_error *error) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return wp_fail(error, WP_ERR_SYSTEM, "no pipe for a new process: %s; raise the limit of open files",
                       strerror(errno));
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK); /* the program gets an ordinary, blocking descriptor */
    struct wp_keeper_order order = {.data_bytes = spec->data_bytes,
                                    .notify = spec->notify,
                                    .status_fd = ends[1],
                                    .variables = spec->variables.ptr,
                                    .variables_len = spec->variables.len};
    struct wp_child child = {.status_fd = ends[0]};
    enum wp_err err = wp_keeper_make(keeper, &order, &child.guard, &child.program, error);
    close(ends[1]);
    if (err)
        close(ends[0]);
    else
        *ret_child = child;
    return err;
}

enum wp_child_status wp_child_status(int status_fd, bool notify, int *ret_errno) {
    char bytes[256];
    for (;;) {
        ssize_t got = read(status_fd, bytes, sizeof bytes);
        if (got < 0) return WP_CHILD_SILENT; /* EAGAIN; the loop calls again when there is more */
        if (got == 0) return notify ? WP_CHILD_CLOSED : WP_CHILD_RUNS;
        if (bytes[0] == '\0' && got >= (ssize_t)sizeof(struct failure)) {
            memcpy(ret_errno, bytes + offsetof(struct failure, why), sizeof *ret_errno);
            return WP_CHILD_FAILED;
        }
        if (memchr(bytes, '\n', (size_t)got)) return WP_CHILD_LINE;
    }
}

bool wp_child_ended(pid_t pid) {
    siginfo_t info = {0};
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}
