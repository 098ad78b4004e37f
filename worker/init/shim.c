/* A shim's process: see shim.h. Its only state is the program's process id and how it ended. Descendants that
 * lose their parent become the shim's children, in whatever session they are, so killing its children until
 * there are none ends them all. */
#include "init/shim.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHIM_STATUS 127

/* ---- the program ---- */

static _Noreturn void fail(int status_fd) {
    struct wp_shim_failure failure = {0};
    int why = errno;
    memcpy(failure.why, &why, sizeof why);
    ssize_t put = write(status_fd, &failure, sizeof failure);
    (void)put; /* fails when the worker has ended; this process is killed soon, too */
    _exit(SHIM_STATUS);
}

static bool limit_memory(const char *bytes) {
    rlim_t most = strtoull(bytes, NULL, 10);
    struct rlimit limit = {.rlim_cur = most, .rlim_max = most};
    return most == 0 || setrlimit(RLIMIT_DATA, &limit) == 0;
}

static bool report(int status_fd, pid_t program) {
    return write(status_fd, &program, sizeof program) == sizeof program;
}

static _Noreturn void be_program(const char *bytes, bool notify, const char *command) {
    sigset_t none;
    sigemptyset(&none);
    /* A copy that closes when the program runs. */
    int status_fd = fcntl(WP_SHIM_STATUS_FD, F_DUPFD_CLOEXEC, WP_SHIM_STATUS_FD + 1);
    if (status_fd < 0 || !report(status_fd, getpid())) _exit(SHIM_STATUS);
    if (setpgid(0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && limit_memory(bytes) &&
        (notify || dup2(STDOUT_FILENO, WP_SHIM_STATUS_FD) >= 0) && sigprocmask(SIG_SETMASK, &none, NULL) == 0)
        execl("/bin/sh", "sh", "-c", command, NULL);
    fail(status_fd);
}

static _Noreturn void fail_without_program(void) {
    int why = errno;
    report(WP_SHIM_STATUS_FD, -1);
    errno = why;
    fail(WP_SHIM_STATUS_FD);
}

static pid_t begin_program(char *const *arguments) {
    pid_t program = fork();
    if (program == 0) be_program(arguments[1], strcmp(arguments[2], WP_SHIM_NOTIFY) == 0, arguments[3]);
    if (program < 0) fail_without_program();
    setpgid(program, program); /* the program does the same: either may run first */
    close(WP_SHIM_STATUS_FD);
    return program;
}

/* ---- the end ---- */

/* Kills the shim's children. False: the kernel does not list them. */
static bool kill_children(void) {
    char bytes[4096];
    ssize_t got;
    pid_t pid = 0;
    int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    while ((got = read(fd, bytes, sizeof bytes)) > 0) {
        for (ssize_t i = 0; i < got; i++) {
            if (bytes[i] >= '0' && bytes[i] <= '9') {
                pid = pid * 10 + (bytes[i] - '0');
                continue;
            }
            if (pid > 0) kill(pid, SIGKILL);
            pid = 0;
        }
    }
    close(fd);
    return true;
}

/* Kills all descendants. Those of a killed child become the shim's children, which the next round kills. */
static void kill_all(pid_t program, bool over, int *status) {
    for (;;) {
        bool listed = kill_children();
        if (!listed) kill(-program, SIGKILL); /* at least its process group */
        if (!listed && over) return;
        int ended;
        pid_t pid = waitpid(-1, &ended, 0);
        if (pid < 0 && errno == ECHILD) return;
        if (pid != program) continue;
        *status = ended;
        over = true;
    }
}

static _Noreturn void end_as(int status) {
    if (WIFEXITED(status)) _exit(WEXITSTATUS(status));
    struct rlimit none = {0, 0};
    sigset_t unblocked;
    sigfillset(&unblocked);
    sigdelset(&unblocked, WTERMSIG(status));
    setrlimit(RLIMIT_CORE, &none);
    signal(WTERMSIG(status), SIG_DFL);
    kill(getpid(), WTERMSIG(status));
    sigprocmask(SIG_SETMASK, &unblocked, NULL);
    _exit(128 + WTERMSIG(status));
}

/* True when the program is among the children that have ended. */
static bool reap_children(pid_t program, int *status) {
    int ended;
    pid_t pid;
    bool over = false;
    while ((pid = waitpid(-1, &ended, WNOHANG)) > 0) {
        if (pid != program) continue;
        *status = ended;
        over = true;
    }
    return over;
}

static _Noreturn void watch(pid_t program) {
    int status = 0;
    sigset_t wanted;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGCHLD);
    sigaddset(&wanted, SIGTERM);
    sigaddset(&wanted, WP_SHIM_KILL);
    bool over = false;
    for (int number = 0; !over && number != WP_SHIM_KILL;) {
        number = sigwaitinfo(&wanted, NULL);
        if (number == SIGTERM) kill(-program, SIGTERM);
        if (number == SIGCHLD) over = reap_children(program, &status);
    }
    kill_all(program, over, &status);
    end_as(status);
}

/* Without the C library, which hides two signals that it leaves ignored in a spawned process. */
static void default_signals(void) {
    static const char zeroed[64]; /* the kernel's struct sigaction: SIG_DFL */
    for (int number = 1; number < NSIG; number++)
        syscall(SYS_rt_sigaction, number, zeroed, NULL, NSIG / CHAR_BIT); /* fails for KILL and STOP */
}

_Noreturn void wp_shim_run(char *const *arguments) {
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    default_signals();
    prctl(PR_SET_NAME, "warmpool-shim");
    setsid(); /* signals to the worker's process group do not reach the shim */
    if (close_range(WP_SHIM_STATUS_FD + 1, ~0U, 0) != 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 ||
        prctl(PR_SET_PDEATHSIG, WP_SHIM_KILL) != 0)
        fail_without_program();
    if (getppid() != (pid_t)strtol(arguments[0], NULL, 10))
        _exit(SHIM_STATUS); /* the worker ended before PR_SET_PDEATHSIG */
    watch(begin_program(arguments));
}
