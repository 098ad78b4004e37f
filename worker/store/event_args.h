/* Common parts of the arguments that pass an event to a Redis function (redis/README.md). */
#ifndef WP_STORE_EVENT_ARGS_H
#define WP_STORE_EVENT_ARGS_H
#include "core/pack.h"
#include "wire/wire.h"

struct wp_meta { /* of one consumed record */
    int64_t offset;
    int64_t record_age_ms; /* since the broker appended it, -1: not known */
    int64_t age_us;        /* since this worker took it */
    struct wp_str key;
    struct wp_str trace; /* core/trace_context.h; len 0: none */
};

/* Maximum bytes of a record's key that its answers take over. With a longer one the answers have the event's
 * id as key: the answer might not fit beside such a key, and Redis would have to store the key with the
 * request. */
enum { WP_KEY_MOST = 64000 };

struct wp_str wp_meta_key(const struct wp_meta *meta); /* empty when it is longer than WP_KEY_MOST */

void wp_pack_optional_int(struct wp_buf *out, int64_t value);   /* WP_ABSENT: false */
void wp_pack_optional_double(struct wp_buf *out, double value); /* NAN: false */
void wp_pack_key(struct wp_buf *out, const char *key);          /* a map's key */

#endif
