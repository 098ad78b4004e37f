/* How old a record is: its append time by the broker's clock against our monotonic one. What links the two
 * clocks is seen in delivery reports, and until there is one in consumed records, which cannot have been
 * appended after they were read. No wall clock of this machine is asked. One thread. */
#ifndef WP_CORE_APPEND_CLOCK_H
#define WP_CORE_APPEND_CLOCK_H
#include <stdbool.h>
#include <stdint.h>

struct wp_append_clock { /* zeroed: nothing is known */
    int64_t offset_ms;   /* broker's clock minus ours, at least */
    int64_t most_ms;     /* the same, at most; once it is measured */
    bool known, measured;
};

/* A stamp of that clock for what was sent at sent_us (or later), and whose answer came just now. */
void wp_append_clock_measured(struct wp_append_clock *clock, int64_t stamp_ms, int64_t sent_us,
                              int64_t now_us);
/* A record with its append time, which was read just now, and may be old. */
void wp_append_clock_seen(struct wp_append_clock *clock, int64_t append_ms, int64_t now_us);
/* What the broker's clock shows, or a little less. -1: not known. */
int64_t wp_append_clock_now_ms(const struct wp_append_clock *clock, int64_t now_us);
/* The age of a record appended at append_ms; 0 for one from the broker's future; -1: not known. */
int64_t wp_append_clock_age_ms(const struct wp_append_clock *clock, int64_t append_ms, int64_t now_us);
/* How far it is ahead of the other (negative: behind), as far as delays of the measurements cannot be the
 * reason; 0 when they can. */
int64_t wp_append_clock_ahead_ms(const struct wp_append_clock *clock, const struct wp_append_clock *other);

#endif
