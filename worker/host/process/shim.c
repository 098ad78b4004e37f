/* A shim's process: see fork_server.h. Its only state is the program's process id and how it ended.
 * Descendants that lose their parent become the shim's children, in whatever session they are, so killing its
 * children until there are none ends them all. */
#include "host/process/shim.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

pid_t wp_shim_start(pid_t worker, const struct wp_child_spec *spec, int status_fd, int *ret_errno) {
    prctl(PR_SET_NAME, "warmpool-shim");
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 || prctl(PR_SET_PDEATHSIG, WP_SHIM_KILL) != 0) {
        *ret_errno = errno;
        return -1;
    }
    if (getppid() != worker) _exit(1); /* the worker ended before PR_SET_PDEATHSIG */
    long program = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (program == 0) wp_child_become(spec, status_fd);
    if (program < 0) *ret_errno = errno;
    if (program > 0)
        setpgid((pid_t)program, (pid_t)program); /* the program does the same: either may run first */
    return (pid_t)program;
}

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

_Noreturn void wp_shim_watch(pid_t program) {
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
