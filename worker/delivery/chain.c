/* The chain of calls: rules 2 to 4 and 8. */
#include "delivery/chain.h"

enum {
    RETRY_MIN_US = 20000,
    RETRY_MAX_US = 500000,
    ATTEMPTS_MAX = 2 /* calls with this event alone that may fail before it is given up */
};

void chain_begin(struct chain *c, int64_t start) {
    *c = (struct chain){.acked = start - 1, .sent = start - 1, .alone_until = -1, .retry_us = RETRY_MIN_US};
}

static void back_off(struct chain *c, int64_t now_us) {
    c->retry_at_us = now_us + c->retry_us;
    c->retry_us = c->retry_us * 2 > RETRY_MAX_US ? RETRY_MAX_US : c->retry_us * 2;
}

static void rewind_to_acked(struct chain *c, struct window *w) {
    window_requeue(w);
    c->sent = c->acked;
    c->broken = false;
}

static struct event *next_queued(struct window *w) {
    while (w->unsent < w->count && window_at(w, w->unsent)->state != EVENT_QUEUED) w->unsent++;
    return w->unsent < w->count ? window_at(w, w->unsent) : NULL;
}

static bool is_suspect(const struct chain *c, const struct event *event) {
    return event->attempts > 0 || event->offset <= c->alone_until;
}

/* True when an event up to this offset has no answer yet. */
static bool is_unanswered(const struct window *w, int64_t upto) {
    for (size_t i = 0; i < w->count && window_at(w, i)->offset <= upto; i++)
        if (window_at(w, i)->state == EVENT_SENT || window_at(w, i)->state == EVENT_QUEUED) return true;
    return false;
}

static bool must_wait_for_room(const struct chain *c, const struct window *w, int64_t floor, int64_t now_us) {
    return c->starved && floor <= c->starved_floor && c->retry_at_us + RETRY_MAX_US > now_us &&
           !is_unanswered(w, c->starved_applied);
}

bool chain_batch_open(struct chain *c, struct window *w, int64_t floor, int64_t now_us,
                      struct wp_batch *ret_batch) {
    if (c->retry_at_us > now_us || (c->broken && c->calls > 0)) return false;
    if (must_wait_for_room(c, w, floor, now_us)) return false;
    if (c->broken) rewind_to_acked(c, w);
    const struct event *event = next_queued(w);
    if (!event) return false;
    bool alone = is_suspect(c, event);
    if (alone && c->calls > 0) return false;
    *ret_batch = (struct wp_batch){.prev = c->sent,
                                   .floor = floor,
                                   .first = 1,
                                   .last = 0,
                                   .last_before = 0,
                                   .alone = alone,
                                   .skip = event->attempts >= ATTEMPTS_MAX};
    return true;
}

struct event *chain_batch_next(struct chain *c, struct window *w, struct wp_batch *batch) {
    struct event *event = next_queued(w);
    if (!event || (batch->count > 0 && (batch->alone || is_suspect(c, event)))) return NULL;
    event->state = EVENT_SENT;
    w->unsent++;
    if (batch->count++ == 0) batch->first = event->offset;
    batch->last_before = batch->last;
    batch->last = event->offset;
    return event;
}

void chain_batch_put_back(struct window *w, struct wp_batch *batch) {
    w->unsent--;
    window_at(w, w->unsent)->state = EVENT_QUEUED;
    batch->count--;
    batch->last = batch->last_before;
}

void chain_batch_sent(struct chain *c, const struct wp_batch *batch) {
    c->calls++;
    if (batch->last > c->sent)
        c->sent = batch->last; /* events that go again may lie before the last acknowledged offset */
    c->starved = false;
    if (batch->last >= c->alone_until) c->alone_until = -1;
}

void chain_answered(struct chain *c, const struct wp_batch *batch, int64_t applied, int64_t floor,
                    int64_t now_us) {
    c->calls--;
    int64_t upto = applied < batch->last ? applied : batch->last;
    if (upto > c->acked) c->acked = upto;
    if (upto >= batch->last) {
        c->retry_us = RETRY_MIN_US;
        return;
    }
    /* The function stopped early, at a bound; the rest is sent again. When it applied nothing of the batch,
     * the slot has no room for results, and gets room only when the floor moves: wait for that. */
    c->broken = true;
    if (upto >= batch->first) return;
    c->starved = true;
    c->starved_floor = floor;
    c->starved_applied = applied;
    c->retry_at_us = now_us;
}

struct event *chain_refused(struct chain *c, struct window *w, const struct wp_batch *batch,
                            enum wp_refusal why, int64_t now_us) {
    c->calls--;
    c->broken = true;
    if (why == WP_REFUSAL_NOT_NOW) back_off(c, now_us);
    if (why != WP_REFUSAL_FAILED && why != WP_REFUSAL_UNREADABLE) return NULL;
    if (batch->last > c->alone_until) c->alone_until = batch->last;
    struct event *event = batch->count == 1 && batch->alone ? window_find(w, batch->first) : NULL;
    if (!event) return NULL;
    event->attempts++;
    back_off(c, now_us);
    if (why != WP_REFUSAL_UNREADABLE || event->attempts < ATTEMPTS_MAX || event->state != EVENT_SENT)
        return NULL;
    if (batch->last > c->acked) c->acked = batch->last;
    return event;
}
