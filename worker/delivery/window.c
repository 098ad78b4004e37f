/* A ring of events in offset order that grows by doubling. */
#include "delivery/window.h"
#include "core/buf.h"
#include "core/err.h"
#include <stdlib.h>

enum { CAPACITY_MIN = 64 };

void window_init(struct window *w) {
    *w = (struct window){.capacity = CAPACITY_MIN};
    w->ring = wp_calloc(w->capacity, sizeof *w->ring);
}

void window_done(struct window *w) {
    free(w->ring);
}

struct event *window_at(const struct window *w, size_t position) {
    return &w->ring[(w->first + position) & (w->capacity - 1)];
}

static void grow(struct window *w) {
    struct event *ring = wp_calloc(w->capacity * 2, sizeof *ring);
    for (size_t i = 0; i < w->count; i++) ring[i] = *window_at(w, i);
    free(w->ring);
    w->ring = ring;
    w->first = 0;
    w->capacity *= 2;
}

void window_add(struct window *w, int64_t offset, size_t bytes, void *item) {
    wp_assert(w->count == 0 || offset > window_at(w, w->count - 1)->offset);
    if (w->count == w->capacity) grow(w);
    *window_at(w, w->count++) = (struct event){.offset = offset, .bytes = bytes, .item = item};
    w->bytes += bytes;
}

size_t window_position(const struct window *w, int64_t offset) {
    size_t low = 0, high = w->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (window_at(w, middle)->offset < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct event *window_find(const struct window *w, int64_t offset) {
    if (w->count == 0) return NULL;
    /* Offsets mostly have no holes, so the distance from the first is the position. */
    int64_t distance = offset - window_at(w, 0)->offset;
    if (distance < 0) return NULL;
    if ((uint64_t)distance < w->count && window_at(w, (size_t)distance)->offset == offset)
        return window_at(w, (size_t)distance);
    size_t i = window_position(w, offset);
    return i < w->count && window_at(w, i)->offset == offset ? window_at(w, i) : NULL;
}

bool window_take_any(struct window *w, struct event *ret_event) {
    if (w->count == 0) return false;
    *ret_event = *window_at(w, 0);
    w->first = (w->first + 1) & (w->capacity - 1);
    w->count--;
    w->bytes -= ret_event->bytes;
    if (w->unsent > 0) w->unsent--;
    return true;
}

bool window_take_done(struct window *w, struct event *ret_event) {
    return w->count > 0 && window_at(w, 0)->state == EVENT_DONE && window_take_any(w, ret_event);
}

void window_requeue(struct window *w) {
    w->unsent = w->count;
    for (size_t i = w->count; i-- > 0;) {
        struct event *event = window_at(w, i);
        if (event->state == EVENT_SENT) event->state = EVENT_QUEUED;
        if (event->state == EVENT_QUEUED) w->unsent = i;
    }
}
