/* The producer of the subcommands. Owns its client; runs on the caller's thread. */
#include "cli/kafka.h"
#include "kafka/client.h"
#include "kafka/topic_open.h"

#include <stdlib.h>

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
    (void)rk;
    struct wp_cli_producer *producer = opaque;
    producer->pending--;
    if (!message->err) return;
    if (producer->failed++ == 0)
        snprintf(producer->why, sizeof(producer->why), "%s", rd_kafka_err2str(message->err));
}

static enum wp_err producer_topics(struct wp_cli_producer *producer, const struct wp_config *config,
                                   const enum wp_topic *topics, size_t count, int timeout_ms,
                                   struct wp_error *error) {
    for (size_t i = 0; i < count; i++) {
        enum wp_topic topic = topics[i];
        int partitions;
        producer->names[topic] = wp_topic_full_name(config, topic);
        enum wp_err err = wp_topic_open(producer->rk, config, producer->names[topic], timeout_ms,
                                        &producer->topics[topic], &partitions, error);
        if (err) return err;
    }
    return WP_OK;
}

enum wp_err wp_cli_producer_open(struct wp_cli_producer *producer, const struct wp_config *config,
                                 const enum wp_topic *topics, size_t count, int timeout_ms,
                                 struct wp_error *error) {
    *producer = (struct wp_cli_producer){0};
    const struct wp_client_options options = {.opaque = producer, .on_delivery = on_delivery};
    producer->rk = wp_client_make(config, WP_CLIENT_PRODUCER, &options, error);
    if (!producer->rk) return WP_ERR_CONFIG;
    enum wp_err err = producer_topics(producer, config, topics, count, timeout_ms, error);
    if (err) wp_cli_producer_close(producer);
    return err;
}

enum wp_err wp_cli_producer_send(struct wp_cli_producer *producer, enum wp_topic topic, struct wp_str key,
                                 struct wp_str value, struct wp_error *error) {
    for (;;) {
        int refused = rd_kafka_produce(producer->topics[topic], RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
                                       (void *)(uintptr_t)value.ptr, value.len, key.ptr, key.len, NULL);
        if (!refused) break;
        rd_kafka_resp_err_t err = rd_kafka_last_error();
        if (err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
            return wp_fail(error, WP_ERR_DATA, "%zu bytes are more than kafka.message.max.bytes allows",
                           key.len + value.len);
        if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return wp_fail(error, WP_ERR_KAFKA, "a record for %s was refused: %s", producer->names[topic],
                           rd_kafka_err2str(err));
        rd_kafka_poll(producer->rk, 100);
    }
    producer->pending++;
    return WP_OK;
}

void wp_cli_producer_poll(struct wp_cli_producer *producer) {
    rd_kafka_poll(producer->rk, 0);
}

enum wp_err wp_cli_producer_flush(struct wp_cli_producer *producer, int timeout_ms, struct wp_error *error) {
    rd_kafka_flush(producer->rk, timeout_ms);
    if (producer->failed)
        return wp_fail(error, WP_ERR_KAFKA, "%zu records were not delivered: %s", producer->failed,
                       producer->why);
    if (producer->pending)
        return wp_fail(error, WP_ERR_KAFKA, "%zu records are not confirmed after %d s; is Kafka still there?",
                       producer->pending, timeout_ms / 1000);
    return WP_OK;
}

void wp_cli_producer_close(struct wp_cli_producer *producer) {
    for (size_t i = 0; i < WP_TOPICS; i++) {
        if (producer->topics[i]) rd_kafka_topic_destroy(producer->topics[i]);
        free(producer->names[i]);
    }
    if (producer->rk) {
        rd_kafka_purge(producer->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_destroy(producer->rk);
    }
    *producer = (struct wp_cli_producer){0};
}
