/* The one table that ties a topic to its slot, its Redis function, and how its event is handed over. */
#ifndef WP_ENGINE_HANDLER_H
#define WP_ENGINE_HANDLER_H
#include "core/pack.h"
#include "store/link.h"
#include "wire/wire.h"

struct wp_meta { /* of one consumed record */
    int64_t offset;
    int64_t timestamp_ms;       /* the broker's (LogAppendTime), -1 when unknown */
    int64_t read_us;            /* wp_clock_us() when it was taken */
    struct wp_str key, traceparent;
};

struct wp_handler {
    enum wp_topic topic;
    enum wp_slot slot;
    const char *function;
    /* Appends the event as one MessagePack array, as redis/README.md has it. invalid: NULL, or why an acquire is answered
     * `rejected`, `invalid`. */
    void (*pack)(struct wp_buf *out, const struct wp_meta *meta, const union wp_event *event, const char *invalid);
};

extern const struct wp_handler wp_handlers[WP_TOPICS_IN]; /* indexed by enum wp_topic */

#endif
