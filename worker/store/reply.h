/* What a function's call is answered with (redis/README.md, Records): the records of a chunk, as what is to
 * be published. A concern's reader (pool/pool_reply.h, cache/cache_calls.h) puts them together, of its kinds.
 */
#ifndef WP_STORE_REPLY_H
#define WP_STORE_REPLY_H
#include "core/pack.h"
#include "wire/wire.h"

struct wp_reply_record {
    int64_t offset;                     /* of the event that it belongs to */
    enum wp_topic topic;                /* WP_TOPIC_DEAD_LETTER: of the event's own bytes */
    struct wp_str key, id, traceparent; /* id: the key, where `key` is empty or not to be used */
    bool by_id;                         /* the key is always `id` */
    const void *fields;                 /* the topic's struct (wire/events.h) */
    struct wp_str reason;               /* of a dead letter */
};

struct wp_reply_sink { /* whoever publishes; strings that it is given borrow from the chunk or the message */
    void *ctx;
    /* Whether the records of that event are to be published: it is of this call and not answered yet. */
    bool (*wants)(void *ctx, int64_t offset);
    /* The event itself, and its record's key and trace header, valid until the next call. False: it cannot
     * be read. Only for events that are wanted. */
    bool (*own)(void *ctx, int64_t offset, union wp_event *ret_event, struct wp_str *ret_key,
                struct wp_str *ret_trace);
    void (*take)(void *ctx, const struct wp_reply_record *record);
    /* The i-th, from 0, of the values that stand beside the chunk. False: there is none. NULL: there are
     * none.
     */
    bool (*value)(void *ctx, size_t i, struct wp_str *ret);
};

/* Reads the chunk. False: it is not of this convention, or an event of it could not be read; some of its
 * records may have been taken. */
typedef bool wp_reply_reader(struct wp_str chunk, const struct wp_reply_sink *sink);

/* For readers. Calls read_record for each record of the chunk with `in` behind the record's kind; `fields`
 * are left. `wanted`: else it is only to be passed over (wp_reply_skip). */
typedef bool wp_reply_record_reader(struct wp_unpack *in, int kind, uint32_t fields, int64_t offset,
                                    const struct wp_reply_sink *sink, bool wanted);
bool wp_reply_each(struct wp_str chunk, const struct wp_reply_sink *sink,
                   wp_reply_record_reader *read_record);
bool wp_reply_skip(struct wp_unpack *in, uint32_t fields);
/* The record of a dead letter: key, trace and reason follow. */
bool wp_reply_dead(struct wp_unpack *in, int64_t offset, const struct wp_reply_sink *sink);

/* One `prediction` array; strings borrow from the reply. False when it is not one. */
bool wp_reply_prediction(struct wp_unpack *in, struct wp_prediction *ret);

#endif
