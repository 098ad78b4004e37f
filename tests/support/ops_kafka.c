/* Owns the producer, the codec and the reader of tests of ops/. */
#include "support/limits.h"
#include "support/ops_kafka.h"
#include <criterion/criterion.h>
#include "kafka/admin.h"
#include "kafka/conf.h"

static void on_delivered(void *ctx, void *token, const struct wp_report *report) {
    (void)ctx, (void)token, (void)report;
}

static rd_kafka_t *open_reader(const struct wp_config *config) {
    struct wp_error error;
    char why[256];
    rd_kafka_conf_t *conf = wp_kafka_conf(config, true, &error);
    cr_assert(conf, "%s", error.text);
    rd_kafka_conf_set(conf, "group.id", "reader", why, sizeof why);
    rd_kafka_t *reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    cr_assert(reader, "%s", why);
    rd_kafka_poll_set_consumer(reader);
    rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(WP_TOPICS);
    for (enum wp_topic topic = 0; topic < WP_TOPICS; topic++) {
        char *name = wp_topic_full_name(config, topic);
        rd_kafka_topic_partition_list_add(all, name, 0)->offset = 0;
        free(name);
    }
    cr_assert_eq(rd_kafka_assign(reader, all), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_topic_partition_list_destroy(all);
    return reader;
}

void ops_kafka_start(struct ops_kafka *kafka, struct ops_parts *parts, const char *bootstrap,
                     const char *name) {
    struct wp_error error;
    *kafka = (struct ops_kafka){.parts = parts};
    ops_parts_set(parts, "kafka.bootstrap.servers", bootstrap);
    ops_parts_set(parts, "topics.prefix", name);
    ops_parts_set(parts, "topics.partitions", "1");
    cr_assert_eq(wp_admin_ensure_topics(&parts->config, 10000, &error), WP_OK, "%s", error.text);
    cr_assert_eq(wp_wire_new(&parts->base.wire, &parts->config, &error), WP_OK, "%s", error.text);
    cr_assert_eq(wp_producer_new(&parts->base.producer, &parts->loop, &parts->config, &parts->stats,
                                 on_delivered, NULL, &error),
                 WP_OK, "%s", error.text);
    kafka->reader = open_reader(&parts->config);
}

void ops_kafka_stop(struct ops_kafka *kafka) {
    rd_kafka_consumer_close(kafka->reader);
    rd_kafka_destroy(kafka->reader);
    wp_producer_free(kafka->parts->base.producer);
    uv_run(&kafka->parts->loop, UV_RUN_NOWAIT);
    wp_wire_free(kafka->parts->base.wire);
}

static json_t *decode(struct ops_kafka *kafka, const rd_kafka_message_t *message) {
    struct wp_error error;
    struct wp_buf json = {0};
    enum wp_topic topic = wp_topic_by_name(&kafka->parts->config, rd_kafka_topic_name(message->rkt));
    cr_assert_neq(topic, WP_TOPICS);
    cr_assert_eq(wp_wire_decode_json(kafka->parts->base.wire, topic,
                                     (struct wp_str){message->payload, message->len}, &json, &error),
                 WP_OK, "%s", error.text);
    json_t *record = json_loadb(json.data, json.len, 0, NULL);
    cr_assert(record, "not JSON: %.*s", (int)json.len, json.data);
    wp_buf_done(&json);
    json_object_set_new(record, "topic", json_string(wp_topics[topic].name));
    snprintf(kafka->key, sizeof kafka->key, "%.*s", (int)message->key_len, (const char *)message->key);
    return record;
}

json_t *ops_take_within(struct ops_kafka *kafka, int ms) {
    uint64_t end = uv_hrtime() + (uint64_t)ms * 1000000u;
    do {
        loop_turn(&kafka->parts->loop);
        rd_kafka_message_t *message = rd_kafka_consumer_poll(kafka->reader, 0);
        json_t *record = message && !message->err ? decode(kafka, message) : NULL;
        if (message) rd_kafka_message_destroy(message);
        if (record) return record;
    } while (uv_hrtime() < end);
    return NULL;
}

json_t *ops_take(struct ops_kafka *kafka) {
    json_t *record = ops_take_within(kafka, WAIT_LIMIT_MS);
    cr_assert(record, "nothing was published");
    return record;
}

const char *ops_text(const json_t *record, const char *field) {
    const char *text = json_string_value(json_object_get(record, field));
    return text ? text : "";
}
