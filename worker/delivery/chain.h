/* The chain of calls of one partition (rules 2 to 4 and 8): each call names the last offset sent before it,
 * so the slot refuses one that comes without its predecessor. After a failure nothing is sent until all calls
 * under way have ended; then everything unresolved goes again, chained to the last offset that the slot has
 * acknowledged.
 *
 * Calls the window alone. */
#ifndef WP_DELIVERY_CHAIN_H
#define WP_DELIVERY_CHAIN_H
#include "delivery/batch.h"
#include "delivery/window.h"

struct chain {
    int64_t acked, sent; /* last offset that the slot has acknowledged, and last one sent to it */
    unsigned calls;      /* under way */
    bool broken;         /* a call failed: wait for the others, then send again from `acked` */
    bool starved;        /* the slot has no room for results: nothing new is sent until the floor is beyond
                            `starved_floor`. Events up to `starved_applied` are applied already and go at once,
                            because only publishing their results moves the floor */
    int64_t starved_floor, starved_applied;
    int64_t alone_until; /* a function failed: events up to this offset go one by one; -1: none */
    int64_t retry_at_us; /* nothing is sent before */
    int64_t retry_us;    /* the next pause; it doubles */
};

void chain_begin(struct chain *c, int64_t start);
bool chain_batch_open(struct chain *c, struct window *w, int64_t floor, int64_t now_us,
                      struct wp_batch *ret_batch);
struct event *chain_batch_next(struct chain *c, struct window *w,
                               struct wp_batch *batch); /* NULL: complete */
/* The event that batch_next gave last leaves the batch and stays the next one to be sent. */
void chain_batch_put_back(struct window *w, struct wp_batch *batch);
void chain_batch_sent(struct chain *c, const struct wp_batch *batch);
/* The call was answered. applied: the last offset that the slot has applied; floor: the slot's. */
void chain_answered(struct chain *c, const struct wp_batch *batch, int64_t applied, int64_t floor,
                    int64_t now_us);
/* A call of this partition has failed. Returns the event that becomes a dead letter, because the records that
 * answer it cannot be read even when it is sent alone; else NULL. After a GAP the events are only sent again:
 * the caller has made sure that the slot has forgotten nothing. */
struct event *chain_refused(struct chain *c, struct window *w, const struct wp_batch *batch,
                            enum wp_refusal why, int64_t now_us);

#endif
