/* Publishes events for all parts of ops/. The loop's thread. */
#include "ops/base.h"

bool wp_ops_publish_to(const struct ops_base *base, enum wp_topic topic, int32_t partition, struct wp_str key,
                       const void *event) {
    struct wp_buf bytes = {0};
    struct wp_error error;
    wp_wire_encode(base->wire, topic, event, &bytes);
    struct wp_record record = {
        .topic = topic, .key = key, .value = wp_buf_str(&bytes), .partition = partition};
    enum wp_err err = wp_producer_send(base->producer, &record, &error);
    wp_buf_done(&bytes);
    return err == WP_OK;
}

bool wp_ops_publish(const struct ops_base *base, enum wp_topic topic, struct wp_str key, const void *event) {
    return wp_ops_publish_to(base, topic, -1, key, event);
}
