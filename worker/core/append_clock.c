/* Owns the arithmetic of two clocks. Pure. */
#include "core/append_clock.h"

enum { STEP_MS = 1000 }; /* a broker's clock that differs by more was set */

static void set(struct wp_append_clock *clock, int64_t offset_ms) {
    clock->offset_ms = offset_ms;
    clock->known = true;
}

/* A report comes some time after the append, so the largest difference is the nearest; the others let the
 * estimate sink slowly, as clocks drift. */
void wp_append_clock_measured(struct wp_append_clock *clock, int64_t append_ms, int64_t now_us) {
    int64_t offset = append_ms - now_us / 1000;
    bool sinks = clock->measured && offset < clock->offset_ms && offset > clock->offset_ms - STEP_MS;
    set(clock, sinks ? clock->offset_ms - (clock->offset_ms - offset) / 16 : offset);
    clock->measured = true;
}

void wp_append_clock_seen(struct wp_append_clock *clock, int64_t append_ms, int64_t now_us) {
    int64_t offset = append_ms - now_us / 1000;
    if (!clock->known || offset > clock->offset_ms) set(clock, offset);
}

int64_t wp_append_clock_now_ms(const struct wp_append_clock *clock, int64_t now_us) {
    return clock->known ? now_us / 1000 + clock->offset_ms : -1;
}

int64_t wp_append_clock_age_ms(const struct wp_append_clock *clock, int64_t append_ms, int64_t now_us) {
    if (!clock->known || append_ms < 0) return -1;
    int64_t age = wp_append_clock_now_ms(clock, now_us) - append_ms;
    return age > 0 ? age : 0;
}
