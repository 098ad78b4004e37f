/* See child.h. */
#include "host/process/child.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/clock.h"
#include "init/shim.h"

#define VARIABLES_MAX 64
/* In one call, all that a pipe holds: one that is written to without end has no end. */
#define READS_MAX 256

static void list_variables(struct wp_str variables, char **list) {
    size_t count = 0;
    const char *end = variables.ptr + variables.len;
    for (const char *at = variables.ptr; at < end && count < VARIABLES_MAX; at += strlen(at) + 1)
        list[count++] = (char *)(uintptr_t)at;
    list[count] = NULL;
}

/* Returns errno. The shim makes good what else it inherits: descriptors and signals. */
static int spawn(const struct wp_child_spec *spec, int status_fd, pid_t *ret_shim) {
    char path[40], worker[24], bytes[24];
    snprintf(path, sizeof path, "/proc/self/fd/%d", spec->init_fd);
    snprintf(worker, sizeof worker, "%d", (int)getpid());
    snprintf(bytes, sizeof bytes, "%llu", (unsigned long long)spec->data_bytes);
    char *arguments[] = {"warmpool-shim",
                         WP_SHIM_WORD,
                         worker,
                         bytes,
                         spec->notify ? WP_SHIM_NOTIFY : "-",
                         (char *)(uintptr_t)spec->command,
                         NULL};
    char *variables[VARIABLES_MAX + 1];
    list_variables(spec->variables, variables);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    int why = 0;
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO && why == 0; fd++)
        why = posix_spawn_file_actions_addopen(&files, fd, "/dev/null", O_RDWR, 0);
    if (why == 0) why = posix_spawn_file_actions_adddup2(&files, status_fd, WP_SHIM_STATUS_FD);
    if (why == 0) why = posix_spawn(ret_shim, path, &files, NULL, arguments, variables);
    posix_spawn_file_actions_destroy(&files);
    return why;
}

enum wp_err wp_child_start(const struct wp_child_spec *spec, struct wp_child *ret_child,
                           struct wp_error *error) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return wp_fail(error, WP_ERR_SYSTEM, "no pipe for a new process: %s; raise the limit of open files",
                       strerror(errno));
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK); /* the program gets an ordinary, blocking descriptor */
    *ret_child = (struct wp_child){.status_fd = ends[0]};
    int why = spawn(spec, ends[1], &ret_child->shim);
    close(ends[1]);
    if (why == 0) return WP_OK;
    close(ends[0]);
    *ret_child = (struct wp_child){.status_fd = -1};
    return wp_fail(error, WP_ERR_SYSTEM, "/bin/sh could not be started: %s%s", strerror(why),
                   why == EAGAIN ? "; raise the limit of processes" : "");
}

enum wp_child_status wp_child_status(struct wp_child *child, bool notify, int *ret_errno) {
    char bytes[256];
    if (child->program == 0) {
        ssize_t got = read(child->status_fd, &child->program, sizeof child->program);
        if (got <= 0) return got == 0 ? WP_CHILD_CLOSED : WP_CHILD_SILENT;
    }
    for (int i = 0; i < READS_MAX; i++) {
        ssize_t got = read(child->status_fd, bytes, sizeof bytes);
        if (got < 0) return WP_CHILD_SILENT; /* EAGAIN: the loop calls when there is more */
        if (got == 0) return notify ? WP_CHILD_CLOSED : WP_CHILD_RUNS;
        if (bytes[0] == '\0' && got >= (ssize_t)sizeof(struct wp_shim_failure)) {
            memcpy(ret_errno, bytes + offsetof(struct wp_shim_failure, why), sizeof *ret_errno);
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

/* SIGCHLD of other children interrupts poll. */
bool wp_child_wait(pid_t pid, int64_t deadline_us) {
    int fd = pidfd_open(pid, 0);
    if (fd >= 0) {
        struct pollfd wanted = {.fd = fd, .events = POLLIN};
        int64_t left_ms;
        do left_ms = (deadline_us - wp_clock_us()) / 1000;
        while (poll(&wanted, 1, left_ms > 0 ? (int)left_ms : 0) < 0 && errno == EINTR);
        close(fd);
    }
    return wp_child_ended(pid);
}
