/* One partition's delivery: its state, its window, its floor and its commits (rules 5 to 7). Calls the window
 * and, for the calls to the slot, the chain. */
#include "delivery/delivery.h"
#include "core/buf.h"
#include "delivery/chain.h"
#include "delivery/window.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ASK_AGAIN_US = 500000,
    BLOCKED_ASK_US = 2000000,
    PROGRESS_AGAIN_US = 200000, /* after a floor or a commit that failed */
    RESTART_MIN_US =
        500000, /* after a record that could not be delivered; doubles while the floor stands still */
    RESTART_MAX_US = 30000000,
};

struct wp_delivery {
    struct wp_delivery_owner owner;
    enum wp_delivery_state state;
    unsigned generation;
    char reason[512];
    struct window window;
    struct chain chain;

    int64_t floor, floor_acked; /* completed offset; what the slot has acknowledged of it */
    int64_t committed, commit_asked;
    bool floor_told;        /* a call that tells the slot the floor is under way */
    int64_t progress_at_us; /* after a failure: no floor is told and nothing is committed before this time */

    int64_t ask_at_us; /* STARTING, BLOCKED: when FIND_START is due; -1: its answer is awaited */
    int64_t seek_to;   /* -1: nowhere */
    bool paused, pause_now, stopping;

    int64_t failed_floor, restart_us; /* the floor when a record could not be delivered, and the next pause */
    int64_t dead_offset;              /* a dead letter to publish; -1: none */
    char dead_text[256];
};

static void set_state(struct wp_delivery *d, enum wp_delivery_state state) {
    d->state = state;
    if (state != WP_DELIVERY_BLOCKED) d->reason[0] = '\0';
}

struct wp_delivery *wp_delivery_new(const struct wp_delivery_owner *owner, int64_t now_us) {
    struct wp_delivery *d = wp_calloc(1, sizeof *d);
    d->owner = *owner;
    d->floor = d->floor_acked = d->committed = d->commit_asked = d->seek_to = d->dead_offset =
        d->failed_floor = -1;
    d->restart_us = RESTART_MIN_US;
    d->ask_at_us = now_us;
    window_init(&d->window);
    chain_begin(&d->chain, 0);
    owner->budget->partitions++;
    return d;
}

static void release(struct wp_delivery *d, const struct event *event, enum wp_delivery_end end) {
    d->owner.budget->used -= event->bytes;
    d->owner.release(d->owner.ctx, event->item, end);
}

static void forget_window(struct wp_delivery *d) {
    struct event event;
    while (window_take_any(&d->window, &event)) release(d, &event, WP_FORGOTTEN);
    d->generation++;
    d->floor_told = false;
    d->progress_at_us = 0;
    d->dead_offset = -1;
    chain_begin(&d->chain, d->floor);
}

void wp_delivery_free(struct wp_delivery *d) {
    if (!d) return;
    forget_window(d);
    window_done(&d->window);
    d->owner.budget->partitions--;
    free(d);
}

enum wp_delivery_state wp_delivery_state(const struct wp_delivery *d) {
    return d->state;
}
const char *wp_delivery_reason(const struct wp_delivery *d) {
    return d->reason;
}
unsigned wp_delivery_generation(const struct wp_delivery *d) {
    return d->generation;
}
int64_t wp_delivery_floor(const struct wp_delivery *d) {
    return d->floor;
}
size_t wp_delivery_count(const struct wp_delivery *d) {
    return d->window.count;
}

void wp_delivery_add_queued(const struct wp_delivery *d, size_t *events, size_t *bytes) {
    const struct window *w = &d->window;
    size_t queued = w->count - w->unsent;
    *events += queued;
    if (queued > 0) *bytes += w->bytes / w->count * queued;
}

/* Kafka is committed only up to a floor that the slot has acknowledged. */
static int64_t committable(const struct wp_delivery *d) {
    return d->floor < d->floor_acked ? d->floor : d->floor_acked;
}

/* Nothing is under way, and the slot and Kafka know the floor. */
static bool is_quiet(const struct wp_delivery *d) {
    return d->state == WP_DELIVERY_RUNNING && d->chain.calls == 0 && d->floor <= d->floor_acked &&
           d->committed >= committable(d);
}

bool wp_delivery_is_settled(const struct wp_delivery *d) {
    return is_quiet(d) && d->window.count == 0;
}

/* Events are sent in order, so all are queued when the first one is. */
bool wp_delivery_only_queued(const struct wp_delivery *d) {
    return is_quiet(d) && (d->window.count == 0 || window_at(&d->window, 0)->state == EVENT_QUEUED);
}

static bool current(const struct wp_delivery *d, unsigned generation) {
    return d->state == WP_DELIVERY_RUNNING && d->generation == generation;
}

/* ---- bounds ---- */

static bool is_over(const struct wp_delivery *d, size_t divisor) {
    const struct wp_delivery_budget *budget = d->owner.budget;
    size_t half = budget->limit / 2, share = half / (budget->partitions ? budget->partitions : 1);
    if (d->window.count >= d->owner.window / divisor) return true;
    return d->window.bytes >= share / divisor && budget->used >= half / divisor;
}

static bool next_flow(struct wp_delivery *d, struct wp_effect *ret) {
    bool pause = d->pause_now || (!d->paused && d->window.count > 0 && is_over(d, 1));
    if (pause) {
        d->pause_now = false;
        d->paused = true;
        *ret = (struct wp_effect){.kind = WP_EFFECT_PAUSE};
        return true;
    }
    bool resume = d->paused && d->state == WP_DELIVERY_RUNNING && !d->stopping &&
                  !(d->window.count > 0 && is_over(d, 2));
    if (resume) {
        d->paused = false;
        *ret = (struct wp_effect){.kind = WP_EFFECT_RESUME};
    }
    return resume;
}

/* ---- what to do next ---- */

static bool next_start(struct wp_delivery *d, int64_t now_us, struct wp_effect *ret) {
    if (d->state == WP_DELIVERY_RUNNING || d->stopping || d->ask_at_us < 0 || d->ask_at_us > now_us)
        return false;
    d->ask_at_us = -1;
    *ret = (struct wp_effect){.kind = WP_EFFECT_FIND_START};
    return true;
}

static bool next_dead_letter(struct wp_delivery *d, struct wp_effect *ret) {
    struct event *event = d->dead_offset >= 0 ? window_find(&d->window, d->dead_offset) : NULL;
    d->dead_offset = -1;
    if (!event) return false;
    *ret = (struct wp_effect){
        .kind = WP_EFFECT_DEAD_LETTER, .offset = event->offset, .item = event->item, .text = d->dead_text};
    return true;
}

static bool next_progress(struct wp_delivery *d, int64_t now_us, bool flush, struct wp_effect *ret) {
    if (!flush || now_us < d->progress_at_us) return false;
    if (d->floor > d->floor_acked && !d->floor_told && d->chain.calls == 0) {
        d->floor_told = true;
        *ret = (struct wp_effect){.kind = WP_EFFECT_TELL_FLOOR, .offset = d->floor, .prev = d->chain.acked};
        return true;
    }
    if (committable(d) <= d->commit_asked) return false;
    d->commit_asked = committable(d);
    *ret = (struct wp_effect){.kind = WP_EFFECT_COMMIT, .offset = d->commit_asked};
    return true;
}

bool wp_delivery_next(struct wp_delivery *d, int64_t now_us, bool flush, struct wp_effect *ret_effect) {
    if (next_start(d, now_us, ret_effect)) return true;
    if (d->seek_to >= 0) {
        *ret_effect = (struct wp_effect){.kind = WP_EFFECT_SEEK, .offset = d->seek_to};
        d->seek_to = -1;
        d->paused = d->pause_now = false;
        return true;
    }
    if (next_flow(d, ret_effect)) return true;
    if (d->state != WP_DELIVERY_RUNNING) return false;
    return next_dead_letter(d, ret_effect) || next_progress(d, now_us, flush, ret_effect);
}

/* ---- where to begin ---- */

static bool awaited(const struct wp_delivery *d, unsigned generation) {
    return d->state != WP_DELIVERY_RUNNING && d->generation == generation;
}

void wp_delivery_begin(struct wp_delivery *d, unsigned generation, int64_t start, int64_t floor,
                       int64_t committed) {
    if (!awaited(d, generation) || d->stopping) return;
    set_state(d, WP_DELIVERY_RUNNING);
    chain_begin(&d->chain, start);
    d->floor = start;
    d->floor_acked = floor;
    /* A commit beyond the start belongs to a log that was made anew, or to events that Redis has lost since:
     * it is not counted, so that the commits follow the floor again. */
    d->committed = d->commit_asked = committed > start ? -1 : committed;
    d->seek_to = start;
}

void wp_delivery_block(struct wp_delivery *d, unsigned generation, const char *reason, int64_t now_us) {
    if (!awaited(d, generation)) return;
    set_state(d, WP_DELIVERY_BLOCKED);
    (void)snprintf(d->reason, sizeof d->reason, "%s", reason);
    d->ask_at_us = now_us + BLOCKED_ASK_US;
}

void wp_delivery_ask_again(struct wp_delivery *d, unsigned generation, int64_t now_us) {
    if (awaited(d, generation)) d->ask_at_us = now_us + ASK_AGAIN_US;
}

bool wp_delivery_restart(struct wp_delivery *d, int64_t now_us, int64_t delay_us) {
    if (d->state != WP_DELIVERY_RUNNING) return false;
    set_state(d, WP_DELIVERY_STARTING);
    forget_window(d);
    d->seek_to = -1;
    d->pause_now = true;
    d->ask_at_us = now_us + delay_us;
    return true;
}

void wp_delivery_stop(struct wp_delivery *d) {
    d->stopping = true;
    d->pause_now = d->state == WP_DELIVERY_RUNNING;
}

/* ---- events ---- */

bool wp_delivery_take(struct wp_delivery *d, int64_t offset, size_t bytes, void *item) {
    int64_t newest = d->window.count > 0 ? window_at(&d->window, d->window.count - 1)->offset : d->floor - 1;
    if (d->state != WP_DELIVERY_RUNNING || d->stopping || d->seek_to >= 0 || offset <= newest) return false;
    window_add(&d->window, offset, bytes, item);
    d->owner.budget->used += bytes;
    return true;
}

static void advance_floor(struct wp_delivery *d) {
    struct event event;
    while (window_take_done(&d->window, &event)) {
        d->floor = event.offset + 1;
        release(d, &event, event.dead ? WP_DEAD_LETTERED : WP_DELIVERED);
    }
    if (d->failed_floor >= 0 && d->floor > d->failed_floor) {
        d->failed_floor = -1;
        d->restart_us = RESTART_MIN_US;
    }
}

void wp_delivery_at_position(struct wp_delivery *d, int64_t offset) {
    if (d->state != WP_DELIVERY_RUNNING || d->seek_to >= 0) return;
    if (d->window.count == 0 && d->chain.calls == 0 && offset > d->floor) d->floor = offset;
}

/* ---- calls ---- */

bool wp_delivery_batch_open(struct wp_delivery *d, int64_t now_us, struct wp_batch *ret_batch) {
    if (d->state != WP_DELIVERY_RUNNING || d->seek_to >= 0) return false;
    if (!chain_batch_open(&d->chain, &d->window, d->floor, now_us, ret_batch)) return false;
    ret_batch->generation = d->generation;
    return true;
}

bool wp_delivery_batch_next(struct wp_delivery *d, struct wp_batch *batch, int64_t *ret_offset,
                            void **ret_item) {
    struct event *event = chain_batch_next(&d->chain, &d->window, batch);
    if (!event) return false;
    *ret_offset = event->offset;
    *ret_item = event->item;
    return true;
}

void wp_delivery_batch_refuse(struct wp_delivery *d, struct wp_batch *batch, int64_t offset) {
    struct event *event = window_find(&d->window, offset);
    wp_assert(event && event->state == EVENT_SENT && batch->count > 0);
    event->state = EVENT_ANSWERED;
    event->dead = true;
    batch->count--;
    /* The slot never sees this event, so the next call must not name it as `prev`. */
    batch->last = batch->last_before;
}

void wp_delivery_batch_put_back(struct wp_delivery *d, struct wp_batch *batch) {
    wp_assert(batch->count > 0 && d->window.unsent > 0);
    chain_batch_put_back(&d->window, batch);
}

void wp_delivery_batch_sent(struct wp_delivery *d, const struct wp_batch *batch) {
    chain_batch_sent(&d->chain, batch);
}

void *wp_delivery_waits(struct wp_delivery *d, const struct wp_batch *batch, int64_t applied,
                        int64_t offset) {
    if (!current(d, batch->generation) || offset < batch->first || offset > batch->last || offset > applied)
        return NULL;
    struct event *event = window_find(&d->window, offset);
    return event && event->state == EVENT_SENT ? event->item : NULL;
}

void wp_delivery_answered(struct wp_delivery *d, const struct wp_batch *batch, int64_t applied, int64_t floor,
                          int64_t now_us) {
    if (!current(d, batch->generation)) return;
    chain_answered(&d->chain, batch, applied, floor, now_us);
    if (floor > d->floor_acked) d->floor_acked = floor;
    int64_t upto = applied < batch->last ? applied : batch->last;
    for (size_t i = window_position(&d->window, batch->first); i < d->window.count; i++) {
        struct event *event = window_at(&d->window, i);
        if (event->offset > upto) break;
        if (event->state == EVENT_SENT) event->state = event->pending > 0 ? EVENT_ANSWERED : EVENT_DONE;
    }
    advance_floor(d);
}

bool wp_delivery_refused(struct wp_delivery *d, const struct wp_batch *batch, enum wp_refusal why,
                         int64_t applied, const char *text, int64_t now_us) {
    if (!current(d, batch->generation)) return false;
    bool forgotten = why == WP_REFUSAL_UNKNOWN || (why == WP_REFUSAL_GAP && applied < d->chain.acked);
    if (forgotten) return wp_delivery_restart(d, now_us, 0);
    struct event *event = chain_refused(&d->chain, &d->window, batch, why, now_us);
    if (!event) return false;
    event->state = EVENT_ANSWERED;
    event->dead = true;
    d->dead_offset = event->offset;
    (void)snprintf(d->dead_text, sizeof d->dead_text, "%s", text);
    return false;
}

void wp_delivery_floor_acked(struct wp_delivery *d, unsigned generation, int64_t floor) {
    if (!current(d, generation)) return;
    d->floor_told = false;
    if (floor > d->floor_acked) d->floor_acked = floor;
}

void wp_delivery_floor_lost(struct wp_delivery *d, unsigned generation, int64_t now_us) {
    if (!current(d, generation)) return;
    d->floor_told = false;
    d->progress_at_us = now_us + PROGRESS_AGAIN_US;
}

struct wp_delivery_known wp_delivery_known(const struct wp_delivery *d) {
    return (struct wp_delivery_known){
        .generation = d->generation, .acked = d->chain.acked, .floor = d->floor_acked};
}

bool wp_delivery_verify(struct wp_delivery *d, const struct wp_delivery_known *known, int64_t applied,
                        int64_t floor, int64_t now_us) {
    if (!current(d, known->generation)) return false;
    int64_t has = applied > floor - 1 ? applied : floor - 1;
    if (has >= known->acked && floor >= known->floor) return false;
    return wp_delivery_restart(d, now_us, 0);
}

/* ---- records and commits ---- */

void wp_delivery_published(struct wp_delivery *d, int64_t offset) {
    struct event *event = window_find(&d->window, offset);
    wp_assert(event);
    event->pending++;
}

void wp_delivery_mark_dead(struct wp_delivery *d, unsigned generation, int64_t offset) {
    struct event *event = current(d, generation) ? window_find(&d->window, offset) : NULL;
    if (event) event->dead = true;
}

void wp_delivery_confirmed(struct wp_delivery *d, unsigned generation, int64_t offset) {
    if (!current(d, generation)) return;
    struct event *event = window_find(&d->window, offset);
    wp_assert(event && event->pending > 0);
    if (--event->pending > 0 || event->state != EVENT_ANSWERED) return;
    event->state = EVENT_DONE;
    advance_floor(d);
}

bool wp_delivery_unconfirmed(struct wp_delivery *d, unsigned generation, int64_t now_us) {
    if (!current(d, generation)) return false;
    int64_t delay_us = d->restart_us;
    d->failed_floor = d->floor;
    d->restart_us = d->restart_us * 2 > RESTART_MAX_US ? RESTART_MAX_US : d->restart_us * 2;
    return wp_delivery_restart(d, now_us, delay_us);
}

void wp_delivery_committed(struct wp_delivery *d, unsigned generation, int64_t offset, bool ok,
                           int64_t now_us) {
    if (!current(d, generation)) return;
    if (ok && offset > d->committed) d->committed = offset;
    if (ok) return;
    d->commit_asked = d->committed;
    d->progress_at_us = now_us + PROGRESS_AGAIN_US;
}
