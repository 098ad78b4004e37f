/* SIGHUP: a worker reads its configuration again; when its terminal has gone away, it stops. One thread: the
 * loop's. */
#ifndef WP_CLI_HANGUP_H
#define WP_CLI_HANGUP_H
#include <stdbool.h>
#include <uv.h>

struct wp_hangup {
    uv_signal_t signal;
    bool ends_with_terminal; /* it has one, and was not started by nohup */
    void (*reload)(void *ctx);
    void (*stop)(void *ctx, int number);
    void *ctx;
};

/* Keeps a SIGHUP that comes before wp_hangup_watch until then; without a handler it would end the process. */
void wp_hangup_hold(void);
void wp_hangup_watch(struct wp_hangup *hangup, uv_loop_t *loop, void (*reload)(void *ctx),
                     void (*stop)(void *ctx, int number), void *ctx);
void wp_hangup_close(struct wp_hangup *hangup);

#endif
