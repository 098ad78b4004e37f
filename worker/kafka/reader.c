/* Reads whole topics outside of a group: see reader.h. Owns its client; runs on the caller's thread. */
#include "kafka/reader.h"
#include "kafka/client.h"
#include "kafka/topic_open.h"

#include <stdlib.h>

enum { JUST_MADE_MS = 2000, LEADER_MS = 10000, ASK_AGAIN_MS = 100 };

/* Where reading begins. since_ms, most: only of those that are not older, and at most so many. */
struct start {
    enum { BEGINNING, END, SINCE } at;
    int64_t since_ms, most;
};

/* How long it is asked again after this error. A busy broker takes its time to become the leader of a topic
 * that was just made. */
static int patience_ms(rd_kafka_resp_err_t err) {
    bool without_leader =
        err == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION || err == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
    return without_leader ? LEADER_MS : JUST_MADE_MS;
}

/* The offset of the first record that is not older than start->since_ms, between low and high. Where there is
 * none, or the broker does not say (`warmpool broker`): that of the last `most`. */
static int64_t offset_since(rd_kafka_t *rk, const char *name, int32_t partition, const struct start *start,
                            int64_t low, int64_t high, int timeout_ms) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, name, partition)->offset = start->since_ms;
    rd_kafka_resp_err_t err = rd_kafka_offsets_for_times(rk, list, timeout_ms);
    int64_t found = list->elems[0].offset, earliest = high - start->most;
    if (err || list->elems[0].err || found < earliest) found = earliest;
    rd_kafka_topic_partition_list_destroy(list);
    return found < low ? low : found;
}

static enum wp_err read_partition(struct wp_reader *reader, const struct wp_config *config, const char *name,
                                  int32_t partition, const struct start *start,
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
    if (start->at == END) low = high;
    if (start->at == SINCE && low < high)
        low = offset_since(reader->rk, name, partition, start, low, high, timeout_ms);
    if (low < high) rd_kafka_topic_partition_list_add(reader->unread, name, partition);
    rd_kafka_topic_partition_list_add(starts, name, partition)->offset = low;
    return WP_OK;
}

static enum wp_err read_topic(struct wp_reader *reader, const struct wp_config *config, enum wp_topic topic,
                              const struct start *start, rd_kafka_topic_partition_list_t *starts,
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

/* Errors of single connections are not of interest: librdkafka tries the other brokers. */
static void on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque) {
    (void)rk;
    struct wp_reader *reader = opaque;
    if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || err == RD_KAFKA_RESP_ERR__AUTHENTICATION)
        snprintf(reader->trouble, sizeof reader->trouble, "%s", reason);
}

static enum wp_err reader_client(struct wp_reader *reader, const struct wp_config *config,
                                 struct wp_error *error) {
    const struct wp_client_options options = {.opaque = reader, .on_error = on_error};
    reader->rk = wp_client_make(config, WP_CLIENT_READER, &options, error);
    if (!reader->rk) return WP_ERR_CONFIG;
    rd_kafka_poll_set_consumer(reader->rk);
    return WP_OK;
}

static enum wp_err open_at(struct wp_reader *reader, const struct wp_config *config,
                           const enum wp_topic *topics, size_t count, const struct start *start,
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

enum wp_err wp_reader_open(struct wp_reader *reader, const struct wp_config *config,
                           const enum wp_topic *topics, size_t count, enum wp_reader_start start,
                           int timeout_ms, struct wp_error *error) {
    const struct start at = {.at = start == WP_READ_FROM_END ? END : BEGINNING};
    return open_at(reader, config, topics, count, &at, timeout_ms, error);
}

enum wp_err wp_reader_open_since(struct wp_reader *reader, const struct wp_config *config,
                                 enum wp_topic topic, int64_t since_ms, int64_t most, int timeout_ms,
                                 struct wp_error *error) {
    const struct start at = {.at = SINCE, .since_ms = since_ms, .most = most};
    return open_at(reader, config, &topic, 1, &at, timeout_ms, error);
}

/* Keeps in the list the partitions that are too far behind, each with the offset to go on with. */
static void find_behind(rd_kafka_t *rk, rd_kafka_topic_partition_list_t *list, int64_t most) {
    for (int i = list->cnt - 1; i >= 0; i--) {
        rd_kafka_topic_partition_t *each = &list->elems[i];
        int64_t low, high;
        bool known = each->offset >= 0 &&
                     !rd_kafka_get_watermark_offsets(rk, each->topic, each->partition, &low, &high);
        if (known && high - each->offset > most)
            each->offset = high - most;
        else
            rd_kafka_topic_partition_list_del_by_idx(list, i);
    }
}

void wp_reader_skip(struct wp_reader *reader, int64_t most, int timeout_ms) {
    rd_kafka_topic_partition_list_t *list = NULL;
    if (rd_kafka_assignment(reader->rk, &list)) return;
    if (!rd_kafka_position(reader->rk, list)) {
        find_behind(reader->rk, list, most);
        if (list->cnt > 0) rd_kafka_error_destroy(rd_kafka_seek_partitions(reader->rk, list, timeout_ms));
    }
    rd_kafka_topic_partition_list_destroy(list);
}

rd_kafka_message_t *wp_reader_next(struct wp_reader *reader, int timeout_ms) {
    rd_kafka_message_t *message = rd_kafka_consumer_poll(reader->rk, timeout_ms);
    if (message && (!message->err || message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF))
        reader->trouble[0] = '\0';
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
