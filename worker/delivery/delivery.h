/* The delivery rules of one assigned partition (docs/reliability.md), without any input or output: its owner
 * reports what happened and asks what to do next. No Kafka, no Redis, no loop, and no clock but the argument
 * `now_us` (monotonic microseconds). Not thread-safe; one object belongs to one thread.
 *
 * The owner (pipeline/) takes events from Kafka, asks here for batches to send to the state slot in Redis and
 * reports how each call ended, publishes the records that the slot answers with, reports which of them Kafka
 * has confirmed, and carries out what wp_delivery_next returns.
 *
 * An event's way:   QUEUED -> SENT (in a call) -> ANSWERED (its records are on their way) -> done, gone
 * A call that failed puts its events back to QUEUED.
 *
 * Words. floor: the completed offset, below which every event is done. acked: the last offset that the slot
 * has acknowledged. generation: counts the starts of this partition in this assignment; what belongs to an
 * older one is ignored. */
#ifndef WP_DELIVERY_DELIVERY_H
#define WP_DELIVERY_DELIVERY_H
#include "core/err.h"
#include "delivery/batch.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wp_delivery;

enum wp_delivery_state {
    WP_DELIVERY_STARTING, /* it is not known yet where to begin */
    WP_DELIVERY_RUNNING,
    WP_DELIVERY_BLOCKED, /* cannot begin until an operator decides; tried again every few seconds */
};

enum wp_delivery_end { WP_DELIVERED, WP_DEAD_LETTERED, WP_FORGOTTEN /* it will be read again */ };

/* The bytes of the events that are taken and not done, summed over the partitions that share this budget. A
 * partition may always use its share (half of the limit, divided by the number of partitions), and more while
 * less than half of the limit is in use. So a partition whose slot is away cannot starve the others, and the
 * sum stays under the limit. */
struct wp_delivery_budget {
    size_t limit, used; /* bytes */
    unsigned partitions;
};

struct wp_delivery_owner {
    size_t window;                     /* events that may be unfinished */
    struct wp_delivery_budget *budget; /* borrowed; used and partitions are kept by the deliveries */
    /* The event has left the window; `item` is its owner's again. */
    void (*release)(void *ctx, void *item, enum wp_delivery_end end);
    void *ctx;
};

struct wp_delivery *wp_delivery_new(const struct wp_delivery_owner *owner,
                                    int64_t now_us); /* its first effect is FIND_START */
void wp_delivery_free(struct wp_delivery *d);        /* releases all events as forgotten; NULL is fine */

enum wp_delivery_state wp_delivery_state(const struct wp_delivery *d);
const char *wp_delivery_reason(const struct wp_delivery *d); /* why it is blocked, a sentence; else "" */
unsigned wp_delivery_generation(const struct wp_delivery *d);
int64_t wp_delivery_floor(const struct wp_delivery *d);
size_t wp_delivery_count(const struct wp_delivery *d); /* events in the window */
/* Adds the events that are taken and not sent yet, and about as many bytes as they have. */
void wp_delivery_add_queued(const struct wp_delivery *d, size_t *events, size_t *bytes);
/* Running; all taken events are done, the slot knows the floor, and it is committed to Kafka. */
bool wp_delivery_is_settled(const struct wp_delivery *d);
/* The same but for events that were never sent: what was is done, known to the slot and committed. */
bool wp_delivery_only_queued(const struct wp_delivery *d);

/* ---- what to do next ---- */

enum wp_effect_kind {
    WP_EFFECT_FIND_START, /* ask Kafka and the slot, then wp_delivery_begin (or _block, or _ask_again) */
    WP_EFFECT_SEEK,       /* read from `offset` on, dropping what was fetched */
    WP_EFFECT_PAUSE,      /* hand over no more events */
    WP_EFFECT_RESUME,
    WP_EFFECT_TELL_FLOOR, /* tell the slot the floor `offset`, then wp_delivery_floor_acked */
    WP_EFFECT_COMMIT,     /* commit `offset`, then wp_delivery_committed */
    WP_EFFECT_DEAD_LETTER /* publish the event at `offset` as it came, with `text`: one record, for which the
                             owner calls wp_delivery_published */
};

struct wp_effect {
    enum wp_effect_kind kind;
    int64_t offset;
    int64_t prev;     /* of TELL_FLOOR: the last offset that the slot has acknowledged */
    void *item;       /* of DEAD_LETTER */
    const char *text; /* of DEAD_LETTER: why; valid until the next call on this object */
};

/* False: there is nothing to do. flush: also return floors to tell and commits, which else wait. */
bool wp_delivery_next(struct wp_delivery *d, int64_t now_us, bool flush, struct wp_effect *ret_effect);

/* ---- where to begin (rule 6; begin.h decides) ---- */

/* Begins at start; the slot's floor is floor, the group's commit committed (-1: none). */
void wp_delivery_begin(struct wp_delivery *d, unsigned generation, int64_t start, int64_t floor,
                       int64_t committed);
void wp_delivery_block(struct wp_delivery *d, unsigned generation, const char *reason, int64_t now_us);
/* FIND_START was not answered: it is returned again a little later. */
void wp_delivery_ask_again(struct wp_delivery *d, unsigned generation, int64_t now_us);
/* Forgets the window and begins anew by rule 6. ret: false when it was not running. */
bool wp_delivery_restart(struct wp_delivery *d, int64_t now_us, int64_t delay_us);
/* Takes no more events; those in the window are finished. */
void wp_delivery_stop(struct wp_delivery *d);

/* ---- events ---- */

/* A record from Kafka, in offset order. False: it is not wanted (stale, or stopping) and stays its caller's.
 */
bool wp_delivery_take(struct wp_delivery *d, int64_t offset, size_t bytes, void *item);
/* All events that Kafka has before `offset` were taken. The offsets after the last event hold none (they are
 * control records of transactions), so the floor may pass them. */
void wp_delivery_at_position(struct wp_delivery *d, int64_t offset);

/* ---- calls of the slot's function ---- */

/* True when something may be sent now: *ret_batch is then an empty batch to add to. */
bool wp_delivery_batch_open(struct wp_delivery *d, int64_t now_us, struct wp_batch *ret_batch);
/* The next event of the batch, its item; false: the batch is complete. */
bool wp_delivery_batch_next(struct wp_delivery *d, struct wp_batch *batch, int64_t *ret_offset,
                            void **ret_item);
/* The event that batch_next gave last cannot be decoded: it leaves the batch and becomes a dead letter, for
 * which the owner publishes one record. */
void wp_delivery_batch_refuse(struct wp_delivery *d, struct wp_batch *batch, int64_t offset);
/* The event that batch_next gave last cannot be sent yet: it leaves the batch, which is complete then, and is
 * the first of the next one. */
void wp_delivery_batch_put_back(struct wp_delivery *d, struct wp_batch *batch);
/* The batch (count > 0) is on its way. */
void wp_delivery_batch_sent(struct wp_delivery *d, const struct wp_batch *batch);

/* An answer is reported in two steps. First, for each of its records in any order: returns the item of the
 * event at `offset` that waits for the record, NULL when no event of the batch does. applied: the last offset
 * that the slot has applied. */
void *wp_delivery_waits(struct wp_delivery *d, const struct wp_batch *batch, int64_t applied, int64_t offset);
/* Second, once: the slot has applied events up to `applied`, and knows this floor. */
void wp_delivery_answered(struct wp_delivery *d, const struct wp_batch *batch, int64_t applied, int64_t floor,
                          int64_t now_us);

/* text: what the function said. Returns true when the slot knows less than it had acknowledged: the partition
 * starts again (rule 7). */
bool wp_delivery_refused(struct wp_delivery *d, const struct wp_batch *batch, enum wp_refusal why,
                         int64_t applied, const char *text, int64_t now_us);

void wp_delivery_floor_acked(struct wp_delivery *d, unsigned generation, int64_t floor);
/* The call of TELL_FLOOR has failed. */
void wp_delivery_floor_lost(struct wp_delivery *d, unsigned generation, int64_t now_us);
/* Rule 7: compares what the slot has with what it had acknowledged when it was asked (`known`, taken from
 * wp_delivery_known at that time). True: the slot has lost data, and the partition starts again. */
struct wp_delivery_known {
    unsigned generation;
    int64_t acked, floor;
};
struct wp_delivery_known wp_delivery_known(const struct wp_delivery *d);
bool wp_delivery_verify(struct wp_delivery *d, const struct wp_delivery_known *known, int64_t applied,
                        int64_t floor, int64_t now_us);

/* ---- records and commits ---- */

/* One more record of the event at offset is on its way to Kafka: the event is done only when it is confirmed.
 */
void wp_delivery_published(struct wp_delivery *d, int64_t offset);
/* The event counts as dead-lettered: a dead letter was published in the place of its answer. */
void wp_delivery_mark_dead(struct wp_delivery *d, unsigned generation, int64_t offset);
/* One record of the event at offset was confirmed by Kafka. */
void wp_delivery_confirmed(struct wp_delivery *d, unsigned generation, int64_t offset);
/* A record could not be delivered: the partition starts again, after a pause that grows while the floor does
 * not move. True: it was running and starts again. */
bool wp_delivery_unconfirmed(struct wp_delivery *d, unsigned generation, int64_t now_us);
void wp_delivery_committed(struct wp_delivery *d, unsigned generation, int64_t offset, bool ok,
                           int64_t now_us);

#endif
