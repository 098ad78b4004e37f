/* Kafka record -> JSON, for `tail`. */
#include "cli/record_json.h"
#include "wire/text.h"

#include <stdio.h>

static json_t *base64(struct wp_str bytes) {
    struct wp_buf out = {0};
    base64_encode(&out, bytes);
    json_t *text = json_stringn(out.len ? out.data : "", out.len);
    wp_buf_done(&out);
    return text;
}

/* `name`, or `name`_base64 when the bytes are no text. */
static void set_bytes(json_t *object, const char *name, struct wp_str bytes) {
    char other[64];
    if (wp_str_is_utf8(bytes)) {
        json_object_set_new(object, name, json_stringn(bytes.len ? bytes.ptr : "", bytes.len));
        return;
    }
    snprintf(other, sizeof(other), "%.40s_base64", name);
    json_object_set_new(object, other, base64(bytes));
}

static void set_headers(json_t *object, const rd_kafka_message_t *message) {
    rd_kafka_headers_t *headers;
    if (rd_kafka_message_headers(message, &headers)) return;
    json_t *list = json_object();
    const char *name;
    const void *value;
    size_t len;
    for (size_t i = 0; !rd_kafka_header_get_all(headers, i, &name, &value, &len); i++)
        set_bytes(list, name, (struct wp_str){value, value ? len : 0});
    json_object_set_new(object, "headers", list);
}

static void set_value(json_t *object, struct wp_wire *wire, enum wp_topic topic, struct wp_str bytes) {
    if (!bytes.ptr) {
        json_object_set_new(object, "value", json_null());
        return;
    }
    struct wp_buf text = {0};
    struct wp_error error = {0};
    if (topic == WP_TOPIC_DEAD_LETTER) {
        set_bytes(object, "value", bytes);
    } else if (wp_wire_decode_json(wire, topic, bytes, &text, &error)) {
        json_object_set_new(object, "error", json_string(error.text));
        set_bytes(object, "value", bytes);
    } else {
        json_object_set_new(object, "value",
                            json_loadb(text.data, text.len, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL));
    }
    wp_buf_done(&text);
}

json_t *wp_record_json(struct wp_wire *wire, enum wp_topic topic, const rd_kafka_message_t *message) {
    rd_kafka_timestamp_type_t type;
    json_t *object = json_object();
    json_object_set_new(object, "topic", json_string(rd_kafka_topic_name(message->rkt)));
    json_object_set_new(object, "partition", json_integer(message->partition));
    json_object_set_new(object, "offset", json_integer(message->offset));
    json_object_set_new(object, "timestamp", json_integer(rd_kafka_message_timestamp(message, &type)));
    if (message->key)
        set_bytes(object, "key", (struct wp_str){message->key, message->key_len});
    else
        json_object_set_new(object, "key", json_null());
    set_headers(object, message);
    set_value(object, wire, topic, (struct wp_str){message->payload, message->len});
    return object;
}
