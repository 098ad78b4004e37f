/* The begin and the end of the process, whatever the subcommand: see inherited.h. Owns nothing. */
#include "cli/inherited.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "cli/command.h"

/* A closed one would become a socket, and log lines would go into it. It is opened the wrong way round, so
 * that reading and writing still fail. */
static void open_standard_descriptors(void) {
    static const int wrong_way[] = {
        [STDIN_FILENO] = O_WRONLY, [STDOUT_FILENO] = O_RDONLY, [STDERR_FILENO] = O_RDONLY};
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) continue;
        if (open("/dev/null", wrong_way[fd]) != fd) _exit(WP_EXIT_FAILED); /* the lowest one is free */
    }
}

static void reset_signals(void) {
    sigset_t none;
    sigemptyset(&none);
    signal(SIGPIPE, SIG_IGN); /* a peer that went away is an error of a write, not the end of the process */
    signal(SIGCHLD, SIG_DFL); /* while it is ignored the ends of children are not reported */
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

void wp_inherited_mend(void) {
    open_standard_descriptors();
    reset_signals();
}

void wp_catch_interrupt(void (*handler)(int number)) {
    const struct sigaction action = {.sa_handler = handler, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

/* 0 when all was written; else why not. The reason of an earlier failure is lost, so an empty line is tried.
 */
static int output_error(void) {
    errno = 0;
    if (fflush(stdout) != 0 && errno) return errno;
    if (!ferror(stdout)) return 0;
    if (putchar('\n') != EOF) (void)fflush(stdout);
    return errno ? errno : EIO;
}

int wp_output_end(int code) {
    int why = output_error();
    if (!why || why == EPIPE) return code;
    fprintf(stderr, "warmpool: standard output cannot be written: %s\n", strerror(why));
    return code == WP_EXIT_OK ? WP_EXIT_FAILED : code;
}
