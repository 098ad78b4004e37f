/* The window: the events of one partition that are taken and not done, in offset order. Calls no other file
 * of delivery/. */
#ifndef WP_DELIVERY_WINDOW_H
#define WP_DELIVERY_WINDOW_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum event_state { EVENT_QUEUED, EVENT_SENT, EVENT_ANSWERED, EVENT_DONE };

struct event {
    int64_t offset;
    size_t bytes;
    void *item; /* the owner's */
    enum event_state state;
    unsigned pending;  /* records that Kafka has not confirmed yet */
    unsigned attempts; /* calls of its own that the function failed on (rule 8) */
    bool dead;         /* became a dead letter */
};

struct window {
    struct event *ring; /* owned */
    size_t first, count, capacity;
    size_t unsent; /* position of the first event that may be QUEUED; all before it are not */
    size_t bytes;  /* of all events */
};

void window_init(struct window *w);
void window_done(struct window *w);
/* offset must be beyond that of the last event. */
void window_add(struct window *w, int64_t offset, size_t bytes, void *item);
struct event *window_at(const struct window *w, size_t position);
/* Position of the first event at or after offset; count when there is none. */
size_t window_position(const struct window *w, int64_t offset);
struct event *window_find(const struct window *w, int64_t offset); /* NULL: not there */
/* Takes out the first event when it is done. */
bool window_take_done(struct window *w, struct event *ret_event);
/* Takes out the first event, done or not. */
bool window_take_any(struct window *w, struct event *ret_event);
/* SENT events are QUEUED again. */
void window_requeue(struct window *w);

#endif
