/* How an event is handed to a Redis function (redis/README.md): what is the same in all of them. */
#ifndef WP_STORE_EVENT_ARGS_H
#define WP_STORE_EVENT_ARGS_H
#include "core/pack.h"
#include "wire/wire.h"

struct wp_meta { /* of one consumed record */
    int64_t offset;
    int64_t record_age_ms; /* since the broker appended it, -1: not known */
    int64_t age_us;        /* how long ago it was taken */
    struct wp_str key, traceparent;
};

/* A record's key that is longer is not kept for later records about the same request: its id takes its place.
 */
enum { WP_KEY_MOST = 64000 };

void wp_pack_optional_int(struct wp_buf *out, int64_t value);   /* WP_ABSENT: false */
void wp_pack_optional_double(struct wp_buf *out, double value); /* NAN: false */
void wp_pack_key(struct wp_buf *out, const char *key);          /* a map's key */

#endif
