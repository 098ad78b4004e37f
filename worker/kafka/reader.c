/* Reads whole topics outside of a group: see reader.h. Owns its client; runs on the caller's thread. */
#include "kafka/reader.h"
#include "kafka/client.h"
#include "kafka/topic_open.h"

#include <stdlib.h>

enum { JUST_MADE_MS = 2000, LEADER_MS = 10000, ASK_AGAIN_MS = 100 };

/* How long it is asked again after this error. A busy broker takes its time to become the leader of a topic
 * that was just made. */
static int patience_ms(rd_kafka_resp_err_t err) {
    bool without_leader =
        err == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION || err == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
    return without_leader ? LEADER_MS : JUST_MADE_MS;
}

static enum wp_err read_partition(struct wp_reader *reader, const struct wp_config *config, const char *name,
                                  int32_t partition, enum wp_reader_start start,
                                  rd_kafka_topic_partition_list_t *starts, int timeout_ms,
                                  struct wp_error *error) {
    int64_t low, high;
    rd_kafka_resp_err_t err;
    int waited = 0;
    do {
        if (waited > 0) rd_kafka_poll(reader->rk, ASK_AGAIN_MS);
        err = rd_kafka_query_watermark_offsets(reader->rk, name, partition, &low, &high, timeout_ms);
        waited += ASK_AGAIN_MS;
    } while (err && err != RD_KAFKA_RESP_ERR__TIMED_OUT && waited <= patience_ms(err));
    if (err)
        return wp_fail(error, WP_ERR_KAFKA, "Kafka at %s does not say where %s [%d] ends: %s",
                       wp_kafka_brokers(config), name, partition, rd_kafka_err2str(err));
    if (start == WP_READ_FROM_END) low = high;
    if (low < high) rd_kafka_topic_partition_list_add(reader->unread, name, partition);
    rd_kafka_topic_partition_list_add(starts, name, partition)->offset = low;
    return WP_OK;
}

static enum wp_err read_topic(struct wp_reader *reader, const struct wp_config *config, enum wp_topic topic,
                              enum wp_reader_start start, rd_kafka_topic_partition_list_t *starts,
                              int timeout_ms, struct wp_error *error) {
    rd_kafka_topic_t *handle = NULL;
    int partitions = 0;
    reader->names[topic] = wp_topic_full_name(config, topic);
    enum wp_err err =
        wp_topic_open(reader->rk, config, reader->names[topic], timeout_ms, &handle, &partitions, error);
    rd_kafka_topic_destroy(handle);
    for (int32_t i = 0; i < partitions && !err; i++)
        err = read_partition(reader, config, reader->names[topic], i, start, starts, timeout_ms, error);
    return err;
}

static enum wp_err reader_client(struct wp_reader *reader, const struct wp_config *config,
                                 struct wp_error *error) {
    reader->rk = wp_client_make(config, WP_CLIENT_READER, NULL, error);
    if (!reader->rk) return WP_ERR_CONFIG;
    rd_kafka_poll_set_consumer(reader->rk);
    return WP_OK;
}

enum wp_err wp_reader_open(struct wp_reader *reader, const struct wp_config *config,
                           const enum wp_topic *topics, size_t count, enum wp_reader_start start,
                           int timeout_ms, struct wp_error *error) {
    *reader = (struct wp_reader){.unread = rd_kafka_topic_partition_list_new(16)};
    rd_kafka_topic_partition_list_t *starts = rd_kafka_topic_partition_list_new(16);
    enum wp_err err = reader_client(reader, config, error);
    for (size_t i = 0; i < count && !err; i++)
        err = read_topic(reader, config, topics[i], start, starts, timeout_ms, error);
    if (!err) {
        rd_kafka_resp_err_t refused = rd_kafka_assign(reader->rk, starts);
        if (refused) err = wp_fail(error, WP_ERR_KAFKA, "reading was refused: %s", rd_kafka_err2str(refused));
    }
    rd_kafka_topic_partition_list_destroy(starts);
    if (err) wp_reader_close(reader);
    return err;
}

rd_kafka_message_t *wp_reader_next(struct wp_reader *reader, int timeout_ms) {
    rd_kafka_message_t *message = rd_kafka_consumer_poll(reader->rk, timeout_ms);
    if (!message || !message->err) return message;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        rd_kafka_topic_partition_list_del(reader->unread, rd_kafka_topic_name(message->rkt),
                                          message->partition);
    rd_kafka_message_destroy(
        message); /* other errors, as of a broker that is down: librdkafka goes on trying */
    return NULL;
}

enum wp_topic wp_reader_topic(const struct wp_reader *reader, const rd_kafka_message_t *message) {
    const char *name = rd_kafka_topic_name(message->rkt);
    for (size_t i = 0; i < WP_TOPICS; i++)
        if (reader->names[i] && strcmp(reader->names[i], name) == 0) return (enum wp_topic)i;
    return WP_TOPICS;
}

bool wp_reader_caught_up(const struct wp_reader *reader) {
    return reader->unread->cnt == 0;
}

void wp_reader_close(struct wp_reader *reader) {
    if (reader->rk) {
        rd_kafka_consumer_close(reader->rk);
        rd_kafka_destroy(reader->rk);
    }
    if (reader->unread) rd_kafka_topic_partition_list_destroy(reader->unread);
    for (size_t i = 0; i < WP_TOPICS; i++) free(reader->names[i]);
    *reader = (struct wp_reader){0};
}
