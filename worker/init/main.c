/* The first process of a container: begins its program, passes signals on to it, collects all that end, and
 * ends as the program does, which ends everything else. Between two uses its host has it remove what the last
 * user left (protocol.h). Linked statically, so that it runs in any image, as the container's own user and
 * without capabilities: it can do no more than any process there.
 *
 * usage: init [FOLDER...] -- PROGRAM [ARGUMENT...]      FOLDER: what is there is not the container's own, and
 * stays
 *
 * As `init --shim` it is the parent process of a container of the `process` runtime: see shim.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "init/files.h"
#include "init/ipc.h"
#include "init/mounts.h"
#include "init/processes.h"
#include "init/protocol.h"
#include "init/shim.h"

#define USAGE_STATUS 125 /* as shells and engines have it, and the next two */
#define NOT_RUN_STATUS 126
#define NOT_FOUND_STATUS 127
#define SIGNAL_STATUS 128
#define CLEAN_MS (WP_INIT_ANSWER - 1000)

static char *const *shared;
static char *const *program;
static sigset_t before; /* the signals that were blocked at first, as the program has them */
static pid_t child;     /* the program; 0: not yet begun */
static int host = -1;   /* the socket; -1: not connected */
static char key[WP_INIT_KEY + 1];
static bool is_kept;
static char line[WP_INIT_LINE];
static size_t length;

/* ---- the program ---- */

static void collect(void) {
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid != child) continue;
        _exit(WIFSIGNALED(status) ? SIGNAL_STATUS + WTERMSIG(status) : WEXITSTATUS(status));
    }
}

static void say(const char *text) {
    if (host >= 0 && send(host, text, strlen(text), MSG_NOSIGNAL) < 0) {
        close(host);
        host = -1;
    }
}

static void say_failed(const char *why) {
    char text[WP_INIT_LINE];
    snprintf(text, sizeof text, "failed %s\n", why);
    say(text);
}

static _Noreturn void be_program(int report) {
    setsid();
    sigprocmask(SIG_SETMASK, &before, NULL);
    execvp(program[0], program);
    int why = errno;
    ssize_t put = write(report, &why, sizeof why);
    (void)put;
    _exit(NOT_RUN_STATUS);
}

static _Noreturn void end_without_program(int why) {
    char text[WP_INIT_WHY];
    snprintf(text, sizeof text, "its program %.80s cannot be run: %s", program[0], strerror(why));
    say_failed(text);
    fprintf(stderr, "init: %s\n", text);
    _exit(why == ENOENT ? NOT_FOUND_STATUS : NOT_RUN_STATUS);
}

static void begin_program(void) {
    int ends[2], why;
    if (pipe2(ends, O_CLOEXEC) != 0) end_without_program(errno);
    child = fork();
    if (child == 0) be_program(ends[1]);
    if (child < 0) end_without_program(errno);
    close(ends[1]);
    ssize_t got = read(ends[0], &why, sizeof why); /* nothing, once the program runs */
    close(ends[0]);
    if (got == sizeof why) end_without_program(why);
}

static void take_signals(int signals) {
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof info) == sizeof info) {
        int number = (int)info.ssi_signo;
        if (number == SIGCHLD) continue;
        if (child > 0)
            kill(child, number);
        else if (number == SIGTERM || number == SIGINT || number == SIGQUIT)
            _exit(SIGNAL_STATUS + number);
    }
    collect();
}

/* ---- the host ---- */

static void keep(void) {
    char why[WP_INIT_WHY];
    is_kept = wp_init_keep_processes(why) && wp_init_find_mounts(shared, why) &&
              wp_init_keep_files(wp_init_folders(), why) && wp_init_keep_ipc(why);
    if (is_kept)
        say("kept\n");
    else
        say_failed(why);
}

static void clean(void) {
    char why[WP_INIT_WHY] = "it was not ready yet";
    int64_t until_ms = wp_init_now_ms() + CLEAN_MS;
    bool done = is_kept && wp_init_end_processes(until_ms, collect, why) &&
                wp_init_remove_files(wp_init_folders(), until_ms, why) && wp_init_remove_ipc(why);
    if (done)
        say("cleaned\n");
    else
        say_failed(why);
}

static void obey(const char *word) {
    if (strncmp(word, "key ", 4) == 0 && !*key && strlen(word + 4) == WP_INIT_KEY) {
        memcpy(key, word + 4, WP_INIT_KEY);
        begin_program();
    } else if (strcmp(word, "keep") == 0 && child > 0) {
        keep();
    } else if (strcmp(word, "clean") == 0 && child > 0) {
        clean();
    } else {
        say_failed("the host said something that is not understood");
    }
}

static void hear(void) {
    ssize_t got = recv(host, line + length, sizeof line - length, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    char *end;
    length += got > 0 ? (size_t)got : 0;
    while (got > 0 && (end = memchr(line, '\n', length))) {
        *end = '\0';
        obey(line);
        length -= (size_t)(end + 1 - line);
        memmove(line, end + 1, length);
    }
    if (got > 0 && length < sizeof line) return;
    close(host); /* the host is away, or it is none */
    host = -1;
}

static void greet(void) {
    char text[WP_INIT_LINE];
    length = 0;
    snprintf(text, sizeof text, "hello %s %s\n", *key ? key : "-", is_kept ? "kept" : "new");
    say(text);
}

static void call_host(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = WP_INIT_FOLDER "/" WP_INIT_SOCKET};
    host = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (host >= 0 && connect(host, (struct sockaddr *)&address, sizeof address) == 0) {
        greet();
    } else if (host >= 0) {
        close(host);
        host = -1;
    }
}

static _Noreturn void serve(int signals) {
    for (int pause_ms = 5;;) {
        if (host < 0) call_host();
        if (host >= 0)
            pause_ms = 5;
        else if (pause_ms < WP_INIT_RETRY)
            pause_ms *= 2;
        struct pollfd wanted[] = {{.fd = signals, .events = POLLIN}, {.fd = host, .events = POLLIN}};
        if (poll(wanted, 2, host < 0 ? pause_ms : -1) <= 0) continue;
        if (wanted[0].revents) take_signals(signals);
        if (host >= 0 && wanted[1].revents) hear();
    }
}

/* All that can wait. */
static int block_signals(void) {
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    sigset_t all;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) sigdelset(&all, own[i]);
    sigprocmask(SIG_BLOCK, &all, &before);
    return signalfd(-1, &all, SFD_NONBLOCK | SFD_CLOEXEC);
}

int main(int argc, char **argv) {
    int at = 1;
    if (argc == 6 && strcmp(argv[1], WP_SHIM_WORD) == 0) wp_shim_run(argv + 2);
    while (at < argc && strcmp(argv[at], "--") != 0) at++;
    if (at + 1 >= argc || getpid() != 1) {
        fprintf(stderr,
                "usage, as the first process of a container: init [FOLDER...] -- PROGRAM [ARGUMENT...]\n");
        return USAGE_STATUS;
    }
    argv[at] = NULL;
    shared = argv + 1;
    program = argv + at + 1;
    prctl(PR_SET_DUMPABLE, 0); /* no process of the container can trace this one or read its memory */
    int signals = block_signals();
    if (signals < 0) {
        fprintf(stderr, "init: no signals: %s\n", strerror(errno));
        return USAGE_STATUS;
    }
    serve(signals);
}
