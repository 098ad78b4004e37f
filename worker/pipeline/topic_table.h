/* The one table that ties each input topic to its state slot, its Redis function and its concern. */
#ifndef WP_PIPELINE_TOPIC_TABLE_H
#define WP_PIPELINE_TOPIC_TABLE_H
#include "store/columns.h"
#include "store/link.h"
#include "store/reply.h"

struct topic_row {
    enum wp_topic topic;
    enum wp_slot slot;
    const char *function; /* base name, store/functions.c */
    unsigned columns;     /* of its batches */
    /* Adds the event. invalid: NULL, or why an acquire is answered `rejected`. */
    void (*add)(struct wp_columns *columns, const struct wp_meta *meta, const union wp_event *event,
                const char *invalid);
    wp_reply_reader *reply; /* reads a chunk of its function's reply */
};

extern const struct topic_row topic_table[WP_TOPICS_IN]; /* indexed by enum wp_topic */

#endif
