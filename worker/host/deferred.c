/* The deferred events of a runtime: see deferred.h. Owns each event until it is delivered. */
#include "host/deferred.h"
#include <stdlib.h>
#include <utlist.h>
#include "core/buf.h"

struct deferred_event {
    char *id; /* owned */
    enum wp_container_state state;
    char address[64], detail[192];
    struct deferred_event *prev, *next;
};

void wp_deferred_open(struct wp_deferred *deferred, uv_loop_t *loop, wp_runtime_notify notify, void *ctx) {
    deferred->notify = notify;
    deferred->ctx = ctx;
    deferred->list = NULL;
    uv_timer_init(loop, &deferred->timer);
    deferred->timer.data = deferred;
}

static void forget(struct deferred_event *event) {
    free(event->id);
    free(event);
}

static void notify_all(uv_timer_t *timer) {
    struct wp_deferred *deferred = timer->data;
    struct deferred_event *turn = deferred->list; /* what a callback adds waits for the next turn */
    deferred->list = NULL;
    while (turn) {
        struct deferred_event *event = turn;
        DL_DELETE(turn, event);
        deferred->notify(deferred->ctx, wp_str(event->id), event->state, wp_str(event->address),
                         wp_str(event->detail));
        forget(event);
    }
}

void wp_deferred_add(struct wp_deferred *deferred, struct wp_str id, enum wp_container_state state,
                     const char *address, const char *detail) {
    struct deferred_event *event = wp_calloc(1, sizeof *event);
    event->id = wp_strndup(id);
    event->state = state;
    snprintf(event->address, sizeof event->address, "%s", address);
    snprintf(event->detail, sizeof event->detail, "%s", detail);
    DL_APPEND(deferred->list, event);
    uv_timer_start(&deferred->timer, notify_all, 0, 0);
}

void wp_deferred_close(struct wp_deferred *deferred, uv_close_cb closed, void *data) {
    struct deferred_event *event, *next;
    DL_FOREACH_SAFE(deferred->list, event, next) forget(event);
    deferred->timer.data = data;
    uv_close((uv_handle_t *)&deferred->timer, closed);
}
