/* Common parts of the arguments by which an event is handed to a Redis function (redis/README.md). */
#ifndef WP_STORE_EVENT_ARGS_H
#define WP_STORE_EVENT_ARGS_H
#include "core/pack.h"
#include "wire/wire.h"

struct wp_meta { /* of one consumed record */
    int64_t offset;
    int64_t record_age_ms; /* since the broker appended it, -1: not known */
    int64_t age_us;        /* since this worker took it */
    struct wp_str key, traceparent;
};

/* Bytes. What answers a record with a longer key has the event's id as its key: an answer might not fit
 * beside such a key, and what comes later about a request would keep it in Redis. */
enum { WP_KEY_MOST = 64000 };

struct wp_str wp_meta_key(const struct wp_meta *meta); /* empty when it is longer than WP_KEY_MOST */

void wp_pack_optional_int(struct wp_buf *out, int64_t value);   /* WP_ABSENT: false */
void wp_pack_optional_double(struct wp_buf *out, double value); /* NAN: false */
void wp_pack_key(struct wp_buf *out, const char *key);          /* a map's key */

#endif
