/* Clocks. Durations come from the monotonic clock; wall time is only for timestamps in logs and records. */
#ifndef WP_CORE_CLOCK_H
#define WP_CORE_CLOCK_H
#include <stdint.h>

int64_t wp_clock_us(void);      /* monotonic, microseconds */
int64_t wp_clock_wall_us(void); /* since 1970-01-01 UTC, microseconds */
int64_t wp_clock_wall_ms(void); /* since 1970-01-01 UTC, milliseconds */

#endif
