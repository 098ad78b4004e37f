/* Owns what runtimes have to tell, until the loop's next turn. */
#include "host/notices.h"
#include <stdlib.h>
#include <utlist.h>
#include "core/buf.h"

struct notice { /* waits to be told */
    char *id;   /* owned */
    enum wp_container_state state;
    char address[64], detail[192];
    struct notice *prev, *next;
};

void wp_notices_open(struct wp_notices *notices, uv_loop_t *loop, wp_runtime_notify notify, void *ctx) {
    notices->notify = notify;
    notices->ctx = ctx;
    notices->list = NULL;
    uv_timer_init(loop, &notices->timer);
    notices->timer.data = notices;
}

static void forget(struct notice *notice) {
    free(notice->id);
    free(notice);
}

static void tell_all(uv_timer_t *timer) {
    struct wp_notices *notices = timer->data;
    struct notice *turn = notices->list; /* what is added meanwhile has its own turn */
    notices->list = NULL;
    while (turn) {
        struct notice *notice = turn;
        DL_DELETE(turn, notice);
        notices->notify(notices->ctx, wp_str(notice->id), notice->state, wp_str(notice->address),
                        wp_str(notice->detail));
        forget(notice);
    }
}

void wp_notices_add(struct wp_notices *notices, struct wp_str id, enum wp_container_state state,
                    const char *address, const char *detail) {
    struct notice *notice = wp_calloc(1, sizeof *notice);
    notice->id = wp_strndup(id);
    notice->state = state;
    snprintf(notice->address, sizeof notice->address, "%s", address);
    snprintf(notice->detail, sizeof notice->detail, "%s", detail);
    DL_APPEND(notices->list, notice);
    uv_timer_start(&notices->timer, tell_all, 0, 0);
}

void wp_notices_close(struct wp_notices *notices, uv_close_cb closed, void *data) {
    struct notice *notice, *next;
    DL_FOREACH_SAFE(notices->list, notice, next) forget(notice);
    notices->timer.data = data;
    uv_close((uv_handle_t *)&notices->timer, closed);
}
