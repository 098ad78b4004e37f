/* Tells a SIGHUP of an operator from that of a terminal: see hangup.h. */
#include "cli/hangup.h"
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

/* True when no terminal controls the process: there never was one, or it has hung up. */
static bool terminal_is_gone(void) {
    int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (fd >= 0) close(fd);
    return fd < 0;
}

/* nohup ignores SIGHUP, so that its program outlives the terminal. */
static bool is_ignored(void) {
    struct sigaction now;
    return sigaction(SIGHUP, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

static void mask(int how) {
    sigset_t hangup;
    sigemptyset(&hangup);
    sigaddset(&hangup, SIGHUP);
    (void)sigprocmask(how, &hangup, NULL);
}

void wp_hangup_hold(void) {
    mask(SIG_BLOCK);
}

static void on_hangup(uv_signal_t *signal, int number) {
    struct wp_hangup *hangup = signal->data;
    if (hangup->ends_with_terminal && terminal_is_gone())
        hangup->stop(hangup->ctx, number);
    else
        hangup->reload(hangup->ctx);
}

void wp_hangup_watch(struct wp_hangup *hangup, uv_loop_t *loop, void (*reload)(void *ctx),
                     void (*stop)(void *ctx, int number), void *ctx) {
    *hangup = (struct wp_hangup){.ends_with_terminal = !is_ignored() && !terminal_is_gone(),
                                 .reload = reload,
                                 .stop = stop,
                                 .ctx = ctx};
    uv_signal_init(loop, &hangup->signal);
    hangup->signal.data = hangup;
    uv_signal_start(&hangup->signal, on_hangup, SIGHUP);
    mask(SIG_UNBLOCK);
}

void wp_hangup_close(struct wp_hangup *hangup) {
    uv_close((uv_handle_t *)&hangup->signal, NULL);
}
