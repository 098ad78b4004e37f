/* Deferred events: what a driver reports of its containers, kept until the loop's next turn, so that `notify`
 * is never called from inside a verb of the driver. Used by the drivers. One thread: the loop's. */
#ifndef WP_HOST_DEFERRED_H
#define WP_HOST_DEFERRED_H
#include "host/runtime.h"

struct deferred_event;

struct wp_deferred {
    wp_runtime_notify notify;
    void *ctx;
    struct deferred_event *list;
    uv_timer_t timer;
};

void wp_deferred_open(struct wp_deferred *deferred, uv_loop_t *loop, wp_runtime_notify notify, void *ctx);
/* All are copied; address and detail are cut when they are too long. */
void wp_deferred_add(struct wp_deferred *deferred, struct wp_str id, enum wp_container_state state,
                     const char *address, const char *detail);
/* Drops the events that have not been delivered. closed: as uv_close's, with the handle's data = data. */
void wp_deferred_close(struct wp_deferred *deferred, uv_close_cb closed, void *data);

#endif
