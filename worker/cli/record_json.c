/* Kafka record -> JSON, for `tail`. */
#include "cli/record_json.h"
#include "wire/text.h"

static void add_long(struct wp_buf *out, bool *first, const char *name, int64_t value) {
    text_name(out, first, name);
    text_long(out, value);
}

static void add_headers(struct wp_buf *out, const rd_kafka_message_t *message) {
    rd_kafka_headers_t *headers;
    bool first_of_all = false, first = true;
    if (rd_kafka_message_headers(message, &headers)) return;
    text_name(out, &first_of_all, "headers");
    wp_buf_add_str(out, "{");
    const char *name;
    const void *value;
    size_t len;
    for (size_t i = 0; !rd_kafka_header_get_all(headers, i, &name, &value, &len); i++)
        text_bytes(out, &first, name, (struct wp_str){value, value ? len : 0});
    wp_buf_add_str(out, "}");
}

static void add_value(struct wp_buf *out, struct wp_schemas *schemas, enum wp_topic topic,
                      struct wp_str bytes) {
    bool first = false;
    struct wp_buf text = {0};
    struct wp_error error = {0};
    if (!bytes.ptr) {
        wp_buf_add_str(out, ",\"value\":null");
    } else if (topic == WP_TOPIC_DEAD_LETTER) {
        text_bytes(out, &first, "value", bytes);
    } else if (wp_schemas_decode(schemas, topic, bytes, &text, &error)) {
        text_name(out, &first, "error");
        text_string(out, wp_str(error.text));
        text_bytes(out, &first, "value", bytes);
    } else {
        text_name(out, &first, "value");
        wp_buf_add(out, text.data, text.len);
    }
    wp_buf_done(&text);
}

void wp_record_json(struct wp_buf *out, struct wp_schemas *schemas, enum wp_topic topic,
                    const rd_kafka_message_t *message) {
    rd_kafka_timestamp_type_t type;
    bool first = true;
    wp_buf_add_str(out, "{");
    text_name(out, &first, "topic");
    text_string(out, wp_str(rd_kafka_topic_name(message->rkt)));
    add_long(out, &first, "partition", message->partition);
    add_long(out, &first, "offset", message->offset);
    add_long(out, &first, "timestamp", rd_kafka_message_timestamp(message, &type));
    if (message->key)
        text_bytes(out, &first, "key", (struct wp_str){message->key, message->key_len});
    else
        wp_buf_add_str(out, ",\"key\":null");
    add_headers(out, message);
    add_value(out, schemas, topic, (struct wp_str){message->payload, message->len});
    wp_buf_add_str(out, "}");
}
