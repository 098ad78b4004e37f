/* The keeper: a forked process that reads process group numbers from a pipe, 4 bytes each, negative to forget
 * one, and at the pipe's end kills all that it knows. It runs after a fork of a process with threads, so it
 * calls the kernel only. */
#include "host/keeper.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct groups { /* of the keeper's own process */
    int32_t *list;
    size_t count, cap;
};

static bool grow(struct groups *groups) {
    size_t cap = groups->cap ? groups->cap * 2 : 1024;
    void *list =
        groups->list
            ? mremap(groups->list, groups->cap * sizeof(int32_t), cap * sizeof(int32_t), MREMAP_MAYMOVE)
            : mmap(NULL, cap * sizeof(int32_t), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (list == MAP_FAILED) return false;
    groups->list = list;
    groups->cap = cap;
    return true;
}

static void forget(struct groups *groups, int32_t group) {
    for (size_t i = 0; i < groups->count; i++) {
        if (groups->list[i] != group) continue;
        groups->list[i] = groups->list[--groups->count];
        return;
    }
}

static void learn(struct groups *groups, int32_t message) {
    if (message < 0)
        forget(groups, -message);
    else if (groups->count < groups->cap || grow(groups))
        groups->list[groups->count++] = message;
    else
        kill(-message, SIGKILL); /* better none than one that may outlive its worker */
}

/* stdin is the pipe. Signals are blocked: only the end of the worker ends the keeper. */
static void keep(void) {
    struct groups groups = {0};
    int32_t messages[256];
    for (;;) {
        ssize_t got =
            read(STDIN_FILENO, messages, sizeof messages); /* writes of 4 bytes to a pipe are never split */
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        for (size_t i = 0; i < (size_t)got / sizeof *messages; i++) learn(&groups, messages[i]);
    }
    for (size_t i = 0; i < groups.count; i++) kill(-groups.list[i], SIGKILL);
}

static _Noreturn void be_keeper(int pipe_end) {
    setsid(); /* a signal for the worker's whole group is not for us */
    prctl(PR_SET_NAME, "warmpool-keeper");
    if (dup2(pipe_end, STDIN_FILENO) < 0 || close_range(1, ~0U, 0) != 0 || chdir("/") != 0) _exit(1);
    keep();
    _exit(0);
}

enum wp_err wp_keeper_start(struct wp_keeper *ret_keeper, struct wp_error *error) {
    int ends[2];
    *ret_keeper = (struct wp_keeper){.fd = -1};
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return wp_fail(error, WP_ERR_SYSTEM,
                       "process runtime: no pipe for its keeper: %s; raise the limit of open files",
                       strerror(errno));
    }
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    pid_t pid = fork();
    if (pid == 0) be_keeper(ends[0]);
    int why = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(ends[0]);
    if (pid < 0) {
        close(ends[1]);
        return wp_fail(error, WP_ERR_SYSTEM,
                       "process runtime: its keeper cannot be started: %s; raise the limit of processes",
                       strerror(why));
    }
    *ret_keeper = (struct wp_keeper){.pid = pid, .fd = ends[1]};
    return WP_OK;
}

static bool tell(int fd, int32_t message) {
    ssize_t put;
    do put = write(fd, &message, sizeof message);
    while (put < 0 && errno == EINTR);
    return put == (ssize_t)sizeof message;
}

bool wp_keeper_add(int fd, pid_t group) {
    return tell(fd, (int32_t)group);
}

void wp_keeper_remove(int fd, pid_t group) {
    (void)tell(fd, (int32_t)-group); /* a keeper that is gone has nothing to forget */
}

bool wp_keeper_ended(struct wp_keeper *keeper) {
    if (keeper->pid <= 0 || waitpid(keeper->pid, NULL, WNOHANG) != keeper->pid) return false;
    close(keeper->fd);
    *keeper = (struct wp_keeper){.fd = -1};
    return true;
}

void wp_keeper_stop(struct wp_keeper *keeper) {
    if (keeper->pid <= 0) return;
    close(keeper->fd);
    while (waitpid(keeper->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    *keeper = (struct wp_keeper){.fd = -1};
}
