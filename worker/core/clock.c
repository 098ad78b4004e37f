/* Clocks. Any thread. */
#include "core/clock.h"
#include <time.h>

static struct timespec now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time); /* cannot fail for these two clocks */
    return time;
}

int64_t wp_clock_us(void) {
    struct timespec time = now(CLOCK_MONOTONIC);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

int64_t wp_clock_wall_us(void) {
    struct timespec time = now(CLOCK_REALTIME);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

int64_t wp_clock_wall_ms(void) {
    return wp_clock_wall_us() / 1000;
}
