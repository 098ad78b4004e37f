/* Sends ticks to a slot, and takes Redis' clock from the answers. */
#include "store/slot_clock.h"
#include "core/clock.h"

enum { TICK_US = 1000000, TICK_MAX_US = 10000000 };

void wp_slot_clock_note(struct wp_slot_clock *clock, int64_t time_ms) {
    const struct wp_calls *calls = clock->calls;
    if (calls->slot == WP_SLOT_POOL)
        wp_append_clock_measured(&calls->stats->redis_clock, time_ms, calls->acked_us, wp_clock_us());
}

static void on_ticked(void *ctx, const redisReply *reply, const char *error) {
    (void)error;
    if (reply && reply->type == REDIS_REPLY_INTEGER) wp_slot_clock_note(ctx, reply->integer);
}

void wp_slot_clock_tick(struct wp_slot_clock *clock) {
    clock->ticked_us = wp_clock_us();
    if (wp_calls_send(clock->calls, "tick", NULL, 0, on_ticked, clock))
        return; /* there is no connection; the link is making one */
}

/* An idle worker ticks every second, so that a change of Redis' clock is noticed within a second. A busy one,
 * whose calls keep the slot's time, ticks every ten seconds to read Redis' clock. */
void wp_slot_clock_watch(struct wp_slot_clock *clock) {
    int64_t now = wp_clock_us();
    bool silent = !clock->calls->oldest && now - clock->calls->acked_us >= TICK_US;
    if (silent || now - clock->ticked_us >= TICK_MAX_US) wp_slot_clock_tick(clock);
}
