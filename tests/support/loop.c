/* A turn with an end. */
#include "support/loop.h"

static void on_end(uv_timer_t *timer) {
    (void)timer;
}

void loop_turn(uv_loop_t *loop) {
    uv_timer_t end;
    uv_timer_init(loop, &end);
    uv_timer_start(&end, on_end, 20, 0);
    uv_run(loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&end, NULL);
    uv_run(loop, UV_RUN_NOWAIT); /* it closes */
}
