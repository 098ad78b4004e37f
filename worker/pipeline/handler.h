/* The one table that ties a topic to its slot, its Redis function, and how its event is handed over. */
#ifndef WP_PIPELINE_HANDLER_H
#define WP_PIPELINE_HANDLER_H
#include "store/event_args.h"
#include "store/link.h"

struct wp_handler {
    enum wp_topic topic;
    enum wp_slot slot;
    const char *function;
    /* Appends the event as one MessagePack array. invalid: NULL, or why an acquire is answered `rejected`,
     * `invalid`. */
    void (*pack)(struct wp_buf *out, const struct wp_meta *meta, const union wp_event *event,
                 const char *invalid);
};

extern const struct wp_handler wp_handlers[WP_TOPICS_IN]; /* indexed by enum wp_topic */

#endif
