/* Who still holds the memory of a host: open handles and calls that have not been answered. The last to go
 * frees it. */
#ifndef WP_HOST_PINS_H
#define WP_HOST_PINS_H

struct host_pins {
    int count;
    void (*on_none)(void *ctx); /* called each time that nobody is left */
    void *ctx;
};

static inline void wp_host_pin(struct host_pins *pins) {
    pins->count++;
}

static inline void wp_host_unpin(struct host_pins *pins) {
    if (--pins->count == 0) pins->on_none(pins->ctx);
}

#endif
