/* What a runtime has to tell, told from the loop: never from inside a verb. Used by the drivers. One thread:
 * the loop's. */
#ifndef WP_HOST_NOTICES_H
#define WP_HOST_NOTICES_H
#include "host/runtime.h"

struct notice;

struct wp_notices {
    wp_runtime_notify notify;
    void *ctx;
    struct notice *list;
    uv_timer_t timer;
};

void wp_notices_open(struct wp_notices *notices, uv_loop_t *loop, wp_runtime_notify notify, void *ctx);
/* All are copied; address and detail are cut when they are too long. */
void wp_notices_add(struct wp_notices *notices, struct wp_str id, enum wp_container_state state,
                    const char *address, const char *detail);
/* What was not told yet is not told any more. closed: as uv_close's, with the handle's data = data. */
void wp_notices_close(struct wp_notices *notices, uv_close_cb closed, void *data);

#endif
