/* How an event is handed to a Redis function (redis/README.md): what is the same in all of them. */
#ifndef WP_STORE_EVENT_ARGS_H
#define WP_STORE_EVENT_ARGS_H
#include "core/pack.h"
#include "wire/wire.h"

struct wp_meta { /* of one consumed record */
    int64_t offset;
    int64_t record_age_ms; /* since the broker appended it, -1: not known */
    int64_t read_us;       /* wp_clock_us() when it was taken */
    struct wp_str key, traceparent;
};

/* How long ago it was taken, us. */
int64_t wp_meta_age(const struct wp_meta *meta);
void wp_pack_optional_int(struct wp_buf *out, int64_t value);   /* WP_ABSENT: false */
void wp_pack_optional_double(struct wp_buf *out, double value); /* NAN: false */
void wp_pack_key(struct wp_buf *out, const char *key);          /* a map's key */

#endif
