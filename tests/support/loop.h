/* A loop that a test turns itself while it waits for something. */
#ifndef TEST_SUPPORT_LOOP_H
#define TEST_SUPPORT_LOOP_H
#include <uv.h>

/* One turn, which ends after 20 ms at the latest. uv_run(UV_RUN_ONCE) alone may wait for ever: what was
 * waited for may have happened in that very turn, in a timer before it looks at sockets. */
void loop_turn(uv_loop_t *loop);

#endif
