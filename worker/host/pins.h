/* Counts what still refers to a host: open handles, and calls without an answer. The host is freed with the
 * last pin. */
#ifndef WP_HOST_PINS_H
#define WP_HOST_PINS_H

struct host_pins {
    int count;
    void (*on_none)(void *ctx); /* called each time that the count becomes 0 */
    void *ctx;
};

static inline void wp_host_pin(struct host_pins *pins) {
    pins->count++;
}

static inline void wp_host_unpin(struct host_pins *pins) {
    if (--pins->count == 0) pins->on_none(pins->ctx);
}

#endif
