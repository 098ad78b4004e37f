/* The arithmetic of two clocks: see append_clock.h. Pure. */
#include "core/append_clock.h"

static int64_t larger(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int64_t smaller(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* The stamp was made between sent_us and now_us, so each measurement gives a lower and an upper bound of the
 * difference of the clocks. The range that all measurements share is kept. A measurement outside of it shows
 * that a clock was set or has drifted, and replaces it. */
void wp_append_clock_measured(struct wp_append_clock *clock, int64_t stamp_ms, int64_t sent_us,
                              int64_t now_us) {
    int64_t least = stamp_ms - now_us / 1000, most = stamp_ms + 1 - sent_us / 1000;
    bool agrees = clock->measured && least <= clock->most_ms && most >= clock->offset_ms;
    clock->offset_ms = agrees ? larger(clock->offset_ms, least) : least;
    clock->most_ms = agrees ? smaller(clock->most_ms, most) : most;
    clock->known = clock->measured = true;
}

void wp_append_clock_seen(struct wp_append_clock *clock, int64_t append_ms, int64_t now_us) {
    int64_t offset = append_ms - now_us / 1000;
    if (clock->known && offset <= clock->offset_ms) return;
    clock->offset_ms = offset;
    clock->most_ms = larger(clock->most_ms, offset);
    clock->known = true;
}

int64_t wp_append_clock_now_ms(const struct wp_append_clock *clock, int64_t now_us) {
    return clock->known ? now_us / 1000 + clock->offset_ms : -1;
}

int64_t wp_append_clock_age_ms(const struct wp_append_clock *clock, int64_t append_ms, int64_t now_us) {
    if (!clock->known || append_ms < 0) return -1;
    int64_t age = wp_append_clock_now_ms(clock, now_us) - append_ms;
    return age > 0 ? age : 0;
}

int64_t wp_append_clock_ahead_ms(const struct wp_append_clock *clock, const struct wp_append_clock *other) {
    if (!clock->measured || !other->measured) return 0;
    if (clock->offset_ms > other->most_ms) return clock->offset_ms - other->most_ms;
    if (clock->most_ms < other->offset_ms) return clock->most_ms - other->offset_ms;
    return 0;
}
