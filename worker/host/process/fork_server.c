/* The fork server's process, and the worker's side of its socket. One request and one reply at a time, each a
 * packet. The fork server is forked from a process with threads, so it and its children make system calls
 * only. Its own forks are bare system calls, because the C library's fork would take locks. */
#include "host/process/fork_server.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include "host/process/shim.h"

/* A fork server that takes longer to reply is stuck, and is killed. The loop waits meanwhile: far less than
 * host.ttl_ms, after which the host's leases are lost. */
#define REPLY_S 2

struct request { /* the packet's head; the variables follow, and the status descriptor is passed along */
    uint64_t data_bytes;
    uint32_t notify;
};

struct reply {
    int32_t shim, program; /* their process ids; 0: not made */
    int32_t why;           /* errno */
};

union control { /* room for one descriptor, aligned */
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};

/* ---- the fork server ---- */

/* Receives one request. False: the worker has closed the socket. */
static bool receive(int socket, struct request *head, char *variables, size_t room, size_t *ret_len,
                    int *ret_fd) {
    union control control;
    struct iovec parts[] = {{head, sizeof *head}, {variables, room}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2, .msg_control = control.bytes};
    ssize_t got;
    do {
        message.msg_controllen = sizeof control.bytes;
        got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    const struct cmsghdr *attached = got < (ssize_t)sizeof *head ? NULL : CMSG_FIRSTHDR(&message);
    if (!attached) return false;
    memcpy(ret_fd, CMSG_DATA(attached), sizeof *ret_fd);
    *ret_len = (size_t)got - sizeof *head;
    return true;
}

static void send_reply(int socket, pid_t shim, pid_t program, int why) {
    struct reply reply = {shim, program, why};
    ssize_t put = send(socket, &reply, sizeof reply, MSG_NOSIGNAL);
    (void)put; /* fails when the worker is gone; then this process ends soon, too */
}

static _Noreturn void be_shim(int socket, pid_t worker, const struct wp_child_spec *spec, int status_fd) {
    int why = 0;
    pid_t program = wp_shim_start(worker, spec, status_fd, &why);
    close(status_fd);
    send_reply(socket, getpid(), program, why);
    close(socket);
    if (program <= 0) _exit(127);
    wp_shim_watch(program);
}

/* All signals are blocked: the fork server ends when the worker closes the socket. */
static _Noreturn void serve(int socket, pid_t worker, const char *command) {
    static char variables[128 * 1024];
    struct request request;
    size_t len;
    int status_fd;
    while (receive(socket, &request, variables, sizeof variables, &len, &status_fd)) {
        struct wp_child_spec spec = {.command = command,
                                     .variables = {variables, len},
                                     .data_bytes = request.data_bytes,
                                     .notify = request.notify};
        long made = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL);
        if (made == 0) be_shim(socket, worker, &spec, status_fd);
        if (made < 0) send_reply(socket, 0, 0, errno);
        close(status_fd);
    }
    _exit(0);
}

static _Noreturn void be_fork_server(int end, pid_t worker, const char *command) {
    setsid(); /* signals to the worker's process group do not reach the fork server */
    prctl(PR_SET_NAME, "warmpool-fork");
    if (dup2(end, STDIN_FILENO) < 0 || close_range(1, ~0U, 0) != 0) _exit(1);
    serve(STDIN_FILENO, worker, command);
}

/* ---- the worker's side ---- */

enum wp_err wp_fork_server_start(struct wp_fork_server *ret_server, const char *command,
                                 struct wp_error *error) {
    int ends[2];
    *ret_server = (struct wp_fork_server){.fd = -1};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        return wp_fail(error, WP_ERR_SYSTEM,
                       "process runtime: no socket for its fork server: %s; raise the limit of open files",
                       strerror(errno));
    }
    struct timeval patience = {.tv_sec = REPLY_S};
    setsockopt(ends[1], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    pid_t worker = getpid();
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    pid_t pid = fork();
    if (pid == 0) be_fork_server(ends[0], worker, command);
    int why = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(ends[0]);
    if (pid < 0) {
        close(ends[1]);
        return wp_fail(error, WP_ERR_SYSTEM,
                       "process runtime: its fork server cannot be started: %s; raise the limit of processes",
                       strerror(why));
    }
    *ret_server = (struct wp_fork_server){.pid = pid, .fd = ends[1]};
    return WP_OK;
}

static bool send_request(int socket, const struct wp_child_spec *spec, int status_fd) {
    struct request head = {spec->data_bytes, spec->notify};
    struct iovec parts[] = {{&head, sizeof head},
                            {(void *)(uintptr_t)spec->variables.ptr, spec->variables.len}};
    union control control = {.bytes = {0}};
    struct msghdr message = {.msg_iov = parts,
                             .msg_iovlen = 2,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    struct cmsghdr *attached = CMSG_FIRSTHDR(&message);
    attached->cmsg_level = SOL_SOCKET;
    attached->cmsg_type = SCM_RIGHTS;
    attached->cmsg_len = CMSG_LEN(sizeof status_fd);
    memcpy(CMSG_DATA(attached), &status_fd, sizeof status_fd);
    ssize_t put;
    do put = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (put < 0 && errno == EINTR);
    return put >= 0;
}

/* Sets shim and program of *ret_child. */
static enum wp_err send_and_wait(const struct wp_fork_server *server, const struct wp_child_spec *spec,
                                 int status_fd, struct wp_child *ret_child, struct wp_error *error) {
    struct reply reply = {0};
    ssize_t got = -1;
    if (send_request(server->fd, spec, status_fd)) {
        do got = recv(server->fd, &reply, sizeof reply, 0);
        while (got < 0 && errno == EINTR);
    }
    if (got != (ssize_t)sizeof reply) {
        int why = got == 0 ? EPIPE : errno;
        /* A late reply would be taken for that of the next request. on_child_ended starts another one. */
        kill(server->pid, SIGKILL);
        return wp_fail(error, WP_ERR_SYSTEM, "the fork server made no process: %s", strerror(why));
    }
    if (reply.program > 0) {
        ret_child->shim = reply.shim;
        ret_child->program = reply.program;
        return WP_OK;
    }
    if (reply.shim > 0) waitpid(reply.shim, NULL, 0);
    return wp_fail(error, WP_ERR_SYSTEM, "no new process: %s; raise the limit of processes",
                   strerror(reply.why));
}

enum wp_err wp_fork_server_make(const struct wp_fork_server *server, const struct wp_child_spec *spec,
                                struct wp_child *ret_child, struct wp_error *error) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) {
        return wp_fail(error, WP_ERR_SYSTEM, "no pipe for a new process: %s; raise the limit of open files",
                       strerror(errno));
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK); /* the program gets an ordinary, blocking descriptor */
    struct wp_child child = {.status_fd = ends[0]};
    enum wp_err err = send_and_wait(server, spec, ends[1], &child, error);
    close(ends[1]);
    if (err)
        close(ends[0]);
    else
        *ret_child = child;
    return err;
}

bool wp_fork_server_ended(struct wp_fork_server *server) {
    if (server->pid <= 0 || waitpid(server->pid, NULL, WNOHANG) != server->pid) return false;
    close(server->fd);
    *server = (struct wp_fork_server){.fd = -1};
    return true;
}

void wp_fork_server_stop(struct wp_fork_server *server) {
    if (server->pid <= 0) return;
    close(server->fd);
    while (waitpid(server->pid, NULL, 0) < 0 && errno == EINTR) {
    }
    *server = (struct wp_fork_server){.fd = -1};
}
