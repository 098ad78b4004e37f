/* How an event is handed to a Redis function (redis/README.md): what every event begins with, and optional
 * numbers. */
#ifndef WP_STORE_EVENT_ARGS_H
#define WP_STORE_EVENT_ARGS_H
#include "core/pack.h"
#include "wire/wire.h"

struct wp_meta { /* of one consumed record */
    int64_t offset;
    int64_t timestamp_ms; /* the broker's (LogAppendTime), -1 when unknown */
    int64_t read_us;      /* wp_clock_us() when it was taken */
    struct wp_str key, traceparent;
};

/* Begins the event's array: offset, age_us, key, trace, timestamp_ms; `fields` values more must follow. */
void wp_pack_head(struct wp_buf *out, const struct wp_meta *meta, uint32_t fields);
void wp_pack_optional_int(struct wp_buf *out, int64_t value);   /* WP_ABSENT: false */
void wp_pack_optional_double(struct wp_buf *out, double value); /* NAN: false */
void wp_pack_key(struct wp_buf *out, const char *key);          /* a map's key */

#endif
