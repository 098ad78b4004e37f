/* Packs common parts of an event's arguments. Pure. */
#include "store/event_args.h"

struct wp_str wp_meta_key(const struct wp_meta *meta) {
    return meta->key.len > WP_KEY_MOST ? WP_STR("") : meta->key;
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
