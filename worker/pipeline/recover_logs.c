/* Reads several partitions in the order of time: always the one whose last record is the oldest, a batch at a
 * time. The others wait with what librdkafka has fetched of them. */
#include "pipeline/recover_logs.h"
#include <stdlib.h>
#include "kafka/client.h"
#include "core/clock.h"
#include "core/log.h"

enum { BATCH = 500, BATCHES = 20, METADATA_MS = 2000 };
static const enum wp_topic topics[] = {WP_TOPIC_ACQUIRE, WP_TOPIC_ASSIGNMENT, WP_TOPIC_RELEASE};
enum { TOPICS = sizeof topics / sizeof topics[0] };

struct log { /* a partition */
    rd_kafka_topic_t *handle;
    enum wp_topic topic;
    int32_t partition;
    bool begun, ended;
    int64_t at_ms; /* of the last record taken */
};

struct recover_logs {
    rd_kafka_t *rk;
    rd_kafka_topic_t *handles[TOPICS];
    struct log *list;
    size_t count;
    int64_t covered_ms;
};

static enum wp_err open_client(struct recover_logs *logs, const struct wp_config *config,
                               struct wp_error *error) {
    logs->rk = wp_client_make(config, WP_CLIENT_READER, NULL, error);
    return logs->rk ? WP_OK : WP_ERR_CONFIG;
}

static enum wp_err open_topic(struct recover_logs *logs, int index, const struct wp_config *config,
                              struct wp_error *error) {
    const struct rd_kafka_metadata *metadata;
    char *name = wp_topic_full_name(config, topics[index]);
    rd_kafka_topic_t *handle = logs->handles[index] = rd_kafka_topic_new(logs->rk, name, NULL);
    rd_kafka_resp_err_t err = rd_kafka_metadata(logs->rk, 0, handle, &metadata, METADATA_MS);
    int count = err ? 0 : metadata->topics[0].partition_cnt;
    if (!err) rd_kafka_metadata_destroy(metadata);
    logs->list = wp_realloc(logs->list, (logs->count + (size_t)count) * sizeof *logs->list);
    for (int i = 0; i < count; i++) {
        logs->list[logs->count++] = (struct log){.handle = handle, .topic = topics[index], .partition = i};
        rd_kafka_consume_start(handle, i, RD_KAFKA_OFFSET_BEGINNING);
    }
    enum wp_err failed = WP_OK;
    if (err || count == 0)
        failed = wp_fail(error, WP_ERR_KAFKA, "%s: %s", name,
                         err ? rd_kafka_err2str(err) : "the topic is not there yet");
    free(name);
    return failed;
}

enum wp_err recover_logs_open(struct recover_logs **ret_logs, const struct wp_config *config,
                              struct wp_error *error) {
    struct recover_logs *logs = wp_calloc(1, sizeof *logs);
    enum wp_err err = open_client(logs, config, error);
    for (int i = 0; i < TOPICS && !err; i++) err = open_topic(logs, i, config, error);
    if (err)
        recover_logs_close(logs);
    else
        *ret_logs = logs;
    return err;
}

void recover_logs_close(struct recover_logs *logs) {
    if (!logs) return;
    for (size_t i = 0; i < logs->count; i++)
        rd_kafka_consume_stop(logs->list[i].handle, logs->list[i].partition);
    for (int i = 0; i < TOPICS; i++)
        if (logs->handles[i]) rd_kafka_topic_destroy(logs->handles[i]);
    if (logs->rk) rd_kafka_destroy(logs->rk);
    free(logs->list);
    free(logs);
}

/* NULL: all have ended. */
static struct log *most_behind(const struct recover_logs *logs) {
    struct log *found = NULL;
    for (size_t i = 0; i < logs->count; i++) {
        struct log *log = &logs->list[i];
        if (!log->ended && (!found || log->at_ms < found->at_ms)) found = log;
    }
    return found;
}

/* When the first record is not at offset 0, older ones were deleted, and with them what they said of
 * containers. */
static void see_first(struct recover_logs *logs, struct log *log, int64_t offset, int64_t at_ms) {
    if (log->begun) return;
    log->begun = true;
    if (log->topic == WP_TOPIC_ASSIGNMENT && offset > 0 && at_ms > logs->covered_ms) logs->covered_ms = at_ms;
}

static void take_one(struct recover_logs *logs, struct log *log, const rd_kafka_message_t *message,
                     recover_logs_take take, void *ctx) {
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        see_first(logs, log, message->offset, wp_clock_wall_ms());
        log->ended = true;
    } else if (message->err) {
        wp_log(WP_LOG_WARN, "recovery_read_failed", "topic=%s partition=%d reason=%s",
               rd_kafka_topic_name(log->handle), log->partition, rd_kafka_message_errstr(message));
    } else if (!log->ended) { /* records after the end are for the ordinary consumers */
        log->at_ms = rd_kafka_message_timestamp(message, NULL);
        see_first(logs, log, message->offset, log->at_ms);
        take(ctx, log->topic, message, log->at_ms);
    }
}

bool recover_logs_read(struct recover_logs *logs, recover_logs_take take, void *ctx) {
    rd_kafka_message_t *messages[BATCH];
    struct log *log = most_behind(logs);
    rd_kafka_poll(logs->rk, 0);
    for (int batch = 0; log && batch < BATCHES; batch++) {
        ssize_t count = rd_kafka_consume_batch(log->handle, log->partition, 0, messages, BATCH);
        if (count <= 0) return false;
        for (ssize_t i = 0; i < count; i++) {
            take_one(logs, log, messages[i], take, ctx);
            rd_kafka_message_destroy(messages[i]);
        }
        log = most_behind(logs);
    }
    return !log;
}

int64_t recover_logs_read_until_ms(const struct recover_logs *logs) {
    const struct log *log = most_behind(logs);
    return log ? log->at_ms : INT64_MAX;
}

int64_t recover_logs_covered_ms(const struct recover_logs *logs) {
    return logs->covered_ms;
}
