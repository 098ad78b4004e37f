/* The one table that ties each input topic to its state slot, its Redis function and its concern. */
#ifndef WP_PIPELINE_TOPIC_TABLE_H
#define WP_PIPELINE_TOPIC_TABLE_H
#include "store/event_args.h"
#include "store/link.h"

struct topic_row {
    enum wp_topic topic;
    enum wp_slot slot;
    const char *function; /* base name, store/functions.c */
    /* Appends the event as one MessagePack array. invalid: NULL, or why an acquire is answered `rejected`. */
    void (*pack)(struct wp_buf *out, const struct wp_meta *meta, const union wp_event *event,
                 const char *invalid);
};

extern const struct topic_row topic_table[WP_TOPICS_IN]; /* indexed by enum wp_topic */

#endif
