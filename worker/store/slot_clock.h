/* The time of a state slot, kept by its Redis: what Redis' clock says, and calls that keep the slot's time
 * while the worker has nothing else to send. One thread: the loop's. */
#ifndef WP_STORE_SLOT_CLOCK_H
#define WP_STORE_SLOT_CLOCK_H
#include "store/calls.h"

struct wp_slot_clock {
    struct wp_calls *calls; /* borrowed */
    int64_t ticked_us;      /* when a tick was sent last; slot_clock.c alone changes it */
};

/* The answer to a call that writes has just come, and Redis' clock said that time meanwhile. */
void wp_slot_clock_note(struct wp_slot_clock *clock, int64_t time_ms);
/* Sends the slot how much time has passed. */
void wp_slot_clock_tick(struct wp_slot_clock *clock);
/* The same where it is due; to be called several times a second. */
void wp_slot_clock_watch(struct wp_slot_clock *clock);

#endif
