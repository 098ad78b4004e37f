/* Computes the age of a record from its append time, which is of the broker's clock, and this machine's
 * monotonic clock. The difference of the clocks is learned from delivery reports, and before the first one
 * from consumed records, which cannot have been appended after they were read. This machine's wall clock is
 * not used. One thread. */
#ifndef WP_CORE_APPEND_CLOCK_H
#define WP_CORE_APPEND_CLOCK_H
#include <stdbool.h>
#include <stdint.h>

struct wp_append_clock { /* zeroed: nothing is known */
    int64_t offset_ms;   /* lower bound of the broker's clock minus ours */
    int64_t most_ms;     /* upper bound, when `measured` */
    bool known, measured;
};

/* Takes a measurement: the other clock showed stamp_ms at some time between sent_us and now_us. */
void wp_append_clock_measured(struct wp_append_clock *clock, int64_t stamp_ms, int64_t sent_us,
                              int64_t now_us);
/* Takes the append time of a record that was read at now_us, and may have been appended long before. */
void wp_append_clock_seen(struct wp_append_clock *clock, int64_t append_ms, int64_t now_us);
/* What the broker's clock shows, or a little less. -1: not known. */
int64_t wp_append_clock_now_ms(const struct wp_append_clock *clock, int64_t now_us);
/* The age of a record appended at append_ms; 0 for one from the broker's future; -1: not known. */
int64_t wp_append_clock_age_ms(const struct wp_append_clock *clock, int64_t append_ms, int64_t now_us);
/* How far `clock` is ahead of the other (negative: behind), at least; 0 when the delays of the measurements
 * may be the reason. */
int64_t wp_append_clock_ahead_ms(const struct wp_append_clock *clock, const struct wp_append_clock *other);

#endif
