/* How old a record is: its append time by the broker's clock against our monotonic one. What links the two
 * clocks is seen in delivery reports, and until there is one in consumed records, which cannot have been
 * appended after they were read. No wall clock of this machine is asked. One thread. */
#ifndef WP_CORE_APPEND_CLOCK_H
#define WP_CORE_APPEND_CLOCK_H
#include <stdbool.h>
#include <stdint.h>

struct wp_append_clock { /* zeroed: nothing is known */
    int64_t offset_ms;   /* broker's clock minus ours */
    bool known, measured;
};

/* A delivery report with its append time, which came just now. */
void wp_append_clock_measured(struct wp_append_clock *clock, int64_t append_ms, int64_t now_us);
/* A record with its append time, which was read just now, and may be old. */
void wp_append_clock_seen(struct wp_append_clock *clock, int64_t append_ms, int64_t now_us);
/* What the broker's clock shows, or a little less. -1: not known. */
int64_t wp_append_clock_now_ms(const struct wp_append_clock *clock, int64_t now_us);
/* The age of a record appended at append_ms; 0 for one from the broker's future; -1: not known. */
int64_t wp_append_clock_age_ms(const struct wp_append_clock *clock, int64_t append_ms, int64_t now_us);

#endif
