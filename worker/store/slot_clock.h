/* The time of a state slot: reads Redis' clock, and sends ticks, calls that tell the slot how much time has
 * passed while the worker has nothing else to send. One thread: the loop's. */
#ifndef WP_STORE_SLOT_CLOCK_H
#define WP_STORE_SLOT_CLOCK_H
#include "store/calls.h"

struct wp_slot_clock {
    struct wp_calls *calls; /* borrowed */
    int64_t ticked_us;      /* when a tick was sent last; slot_clock.c alone changes it */
};

/* Notes Redis' clock, which the answer to a call that writes has just brought. */
void wp_slot_clock_note(struct wp_slot_clock *clock, int64_t time_ms);
/* Sends a tick. */
void wp_slot_clock_tick(struct wp_slot_clock *clock);
/* Sends a tick when one is due; to be called several times a second. */
void wp_slot_clock_watch(struct wp_slot_clock *clock);

#endif
