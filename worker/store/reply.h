/* Reading the chunks of a function's reply (redis/README.md, Records) into the records to publish. Each
 * concern has a reader for its kinds of records (pool/pool_reply.h, cache/cache_calls.h), which calls these
 * functions.
 */
#ifndef WP_STORE_REPLY_H
#define WP_STORE_REPLY_H
#include "core/pack.h"
#include "wire/wire.h"

struct wp_reply_record {
    int64_t offset;        /* of the event that it belongs to */
    enum wp_topic topic;   /* WP_TOPIC_DEAD_LETTER: of the event's own bytes */
    struct wp_str key, id; /* id: used as the key where `key` is empty or too long */
    struct wp_str trace;   /* core/trace_context.h; len 0: none */
    bool by_id;            /* the key is always `id` */
    const void *fields;    /* the topic's struct (wire/events.h) */
    struct wp_str reason;  /* of a dead letter */
};

struct wp_reply_sink { /* the publishing side; its strings borrow from the chunk or the event's record */
    void *ctx;
    /* True when the records of that event are to be published: it is in this call and not answered yet. */
    bool (*wants)(void *ctx, int64_t offset);
    /* The event itself, and its record's key and trace header, valid until the next call. False: it cannot
     * be read. Only for events that are wanted. */
    bool (*own)(void *ctx, int64_t offset, union wp_event *ret_event, struct wp_str *ret_key,
                struct wp_str *ret_trace);
    void (*take)(void *ctx, const struct wp_reply_record *record);
    /* The i-th value, from 0, of those that the reply has beside the chunk; ptr NULL: Redis has lost it.
     * False: there is no such place. NULL when the reply never has any. */
    bool (*value)(void *ctx, size_t i, struct wp_str *ret);
};

/* Reads the chunk. False: it is malformed, or one of its events could not be read; the sink may have got some
 * of its records. */
typedef bool wp_reply_reader(struct wp_str chunk, const struct wp_reply_sink *sink);

/* For readers. Calls read_record for each record of the chunk; `in` is after the record's kind, and `fields`
 * values of the record are left. If it is not wanted the reader skips them (wp_reply_skip). */
typedef bool wp_reply_record_reader(struct wp_unpack *in, int kind, uint32_t fields, int64_t offset,
                                    const struct wp_reply_sink *sink, bool wanted);
bool wp_reply_each(struct wp_str chunk, const struct wp_reply_sink *sink,
                   wp_reply_record_reader *read_record);
bool wp_reply_skip(struct wp_unpack *in, uint32_t fields);
/* Reads the record of a dead letter (key, trace and reason) and passes it to the sink. */
bool wp_reply_dead(struct wp_unpack *in, int64_t offset, const struct wp_reply_sink *sink);

/* One `prediction` array; strings borrow from the reply. False when it is not one. */
bool wp_reply_prediction(struct wp_unpack *in, struct wp_prediction *ret);

#endif
