/* Producer and reader of the subcommands. Owns their clients; runs on the caller's thread. */
#include "cli/kafka.h"
#include "kafka/client.h"

#include <stdlib.h>

enum { JUST_MADE_MS = 2000, LEADER_MS = 10000, ASK_AGAIN_MS = 100 };

static const char *brokers(const struct wp_config *config) {
    const char *list = wp_settings_get(&config->kafka, "bootstrap.servers");
    return list ? list : "(none)";
}

static enum wp_err ask_partitions(rd_kafka_t *rk, const struct wp_config *config, rd_kafka_topic_t *topic,
                                  int timeout_ms, int *ret_partitions, struct wp_error *error) {
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t err = rd_kafka_metadata(rk, 0, topic, &metadata, timeout_ms);
    if (err)
        return wp_fail(error, WP_ERR_KAFKA,
                       "Kafka at %s does not answer (%s); start it or mend kafka.bootstrap.servers",
                       brokers(config), rd_kafka_err2str(err));
    bool found = metadata->topic_cnt == 1 && !metadata->topics[0].err;
    *ret_partitions = found ? metadata->topics[0].partition_cnt : 0;
    rd_kafka_metadata_destroy(metadata);
    return WP_OK;
}

/* Opens one topic and gets its number of partitions. Asks again for JUST_MADE_MS, because the broker may not
 * know a topic yet that a worker has just made. */
static enum wp_err topic_open(rd_kafka_t *rk, const struct wp_config *config, const char *name,
                              int timeout_ms, rd_kafka_topic_t **ret_topic, int *ret_partitions,
                              struct wp_error *error) {
    *ret_topic = rd_kafka_topic_new(rk, name, NULL);
    for (int waited = 0;; waited += ASK_AGAIN_MS) {
        enum wp_err err = ask_partitions(rk, config, *ret_topic, timeout_ms, ret_partitions, error);
        if (err || *ret_partitions > 0) return err;
        if (waited >= JUST_MADE_MS) break;
        rd_kafka_poll(rk, ASK_AGAIN_MS);
    }
    return wp_fail(error, WP_ERR_KAFKA,
                   "the topic %s does not exist on %s; start a worker, which makes missing topics", name,
                   brokers(config));
}

/* --- producer --- */

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
        enum wp_err err = topic_open(producer->rk, config, producer->names[topic], timeout_ms,
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

/* --- reader --- */

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
                       brokers(config), name, partition, rd_kafka_err2str(err));
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
        topic_open(reader->rk, config, reader->names[topic], timeout_ms, &handle, &partitions, error);
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
