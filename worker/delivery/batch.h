/* A batch of one partition's events in a call, and why a call can fail: what delivery/ and its owner speak
 * of. */
#ifndef WP_DELIVERY_BATCH_H
#define WP_DELIVERY_BATCH_H
#include <stdbool.h>
#include <stdint.h>

struct wp_batch { /* one partition's share of a call */
    unsigned generation;
    int64_t prev, floor; /* arguments of the call */
    int64_t first, last; /* offsets of its events */
    int64_t last_before; /* `last` without the event that batch_next gave last */
    uint32_t count;
    bool alone; /* must be the only batch of its call: an event that a function failed on (rule 8) */
    bool skip;  /* its one event is to be skipped: the function fails on it again and again */
};

enum wp_refusal {
    WP_REFUSAL_LOST,       /* no answer: whether it ran is unknown */
    WP_REFUSAL_NOT_NOW,    /* the infrastructure refuses (LOADING, OOM, ...): later again */
    WP_REFUSAL_GAP,        /* `applied` is what the slot has */
    WP_REFUSAL_UNKNOWN,    /* the slot has no floor of the partition, or another generation of it */
    WP_REFUSAL_FAILED,     /* the function raised an error on this batch (rule 8) */
    WP_REFUSAL_UNREADABLE, /* it was applied, but its records cannot be read and never will be */
};

#endif
