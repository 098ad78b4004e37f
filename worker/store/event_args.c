/* Owns the common beginning of an event's arguments. Pure. */
#include "store/event_args.h"
#include "core/clock.h"

void wp_pack_head(struct wp_buf *out, const struct wp_meta *meta, uint32_t fields) {
    int64_t age = wp_clock_us() - meta->read_us;
    wp_pack_array(out, 5 + fields);
    wp_pack_int(out, meta->offset);
    wp_pack_int(out, age > 0 ? age : 0);
    wp_pack_str(out, meta->key);
    wp_pack_str(out, meta->traceparent);
    wp_pack_int(out, meta->timestamp_ms);
}

void wp_pack_optional_int(struct wp_buf *out, int64_t value) {
    if (value == WP_ABSENT)
        wp_pack_bool(out, false);
    else
        wp_pack_int(out, value);
}

void wp_pack_optional_double(struct wp_buf *out, double value) {
    if (isnan(value))
        wp_pack_bool(out, false);
    else
        wp_pack_double(out, value);
}

void wp_pack_key(struct wp_buf *out, const char *key) {
    wp_pack_str(out, wp_str(key));
}
