/* The types that delivery/ and its owner exchange about calls: a batch of one partition's events, and why a
 * call failed. */
#ifndef WP_DELIVERY_BATCH_H
#define WP_DELIVERY_BATCH_H
#include <stdbool.h>
#include <stdint.h>

struct wp_batch { /* one partition's share of a call */
    unsigned generation;
    int64_t prev, floor; /* arguments of the call */
    int64_t first, last; /* offsets of its events */
    int64_t last_before; /* `last` as it was before batch_next added its latest event */
    uint32_t count;
    bool alone; /* must be the only batch of its call: an event that a function failed on (rule 8) */
    bool skip;  /* its only event is skipped: the function has failed on it too often (rule 8) */
};

enum wp_refusal {
    WP_REFUSAL_LOST,    /* no answer: whether it ran is unknown */
    WP_REFUSAL_NOT_NOW, /* the server's state refuses it (LOADING, OOM, ...): it is sent again */
    WP_REFUSAL_GAP,     /* its predecessor is missing; `applied`: the last offset that the slot has applied */
    WP_REFUSAL_UNKNOWN, /* the slot has no floor of the partition, or another generation of it */
    WP_REFUSAL_FAILED,  /* the function raised an error on this batch (rule 8) */
    WP_REFUSAL_UNREADABLE, /* it was applied, but the records that it answers with cannot be read */
};

#endif
