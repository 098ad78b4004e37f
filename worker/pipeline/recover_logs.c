/* Reads several partitions in the order of time: always the one whose last record is the oldest, a batch at a
 * time. The others wait with what librdkafka has fetched of them. */
#include "pipeline/recover_logs.h"
#include <stddef.h>
#include <stdio.h>
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
    struct wp_client client;
    rd_kafka_topic_t *handles[TOPICS];
    struct log *list; /* of the thread pool while `finding` */
    size_t count;
    int64_t covered_ms;
    struct log *held_log;            /* the partition of the records that came last: */
    rd_kafka_message_t *held[BATCH]; /* those from held_next on are not taken yet */
    ssize_t held_count, held_next;
    struct wp_client_work work; /* finds the partitions, at the end stops reading them: one after the other */
    bool finding, closing;
    char error[256]; /* of finding them; empty: it went well */
    recover_logs_opened opened;
    void *ctx;
};

static struct recover_logs *of(struct wp_client_work *work) {
    return (struct recover_logs *)((char *)work - offsetof(struct recover_logs, work));
}

/* ---- in the thread pool ---- */

static void find_partitions(struct recover_logs *logs, int index) {
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *handle = logs->handles[index];
    rd_kafka_resp_err_t err = rd_kafka_metadata(logs->client.rk, 0, handle, &metadata, METADATA_MS);
    int count = err ? 0 : metadata->topics[0].partition_cnt;
    if (!err) rd_kafka_metadata_destroy(metadata);
    logs->list = wp_realloc(logs->list, (logs->count + (size_t)count) * sizeof *logs->list);
    for (int i = 0; i < count; i++) {
        logs->list[logs->count++] = (struct log){.handle = handle, .topic = topics[index], .partition = i};
        rd_kafka_consume_start(handle, i, RD_KAFKA_OFFSET_BEGINNING);
    }
    if (err || count == 0)
        (void)snprintf(logs->error, sizeof logs->error, "%s: %s", rd_kafka_topic_name(handle),
                       err ? rd_kafka_err2str(err) : "the topic is not there yet");
}

static void find_run(struct wp_client_work *work) {
    struct recover_logs *logs = of(work);
    for (int i = 0; i < TOPICS && !*logs->error; i++) find_partitions(logs, i);
}

static void stop_run(struct wp_client_work *work) {
    struct recover_logs *logs = of(work);
    for (size_t i = 0; i < logs->count; i++)
        rd_kafka_consume_stop(logs->list[i].handle, logs->list[i].partition);
}

/* ---- on the loop ---- */

static void on_destroyed(void *ctx) {
    struct recover_logs *logs = ctx;
    free(logs->list);
    free(logs);
}

static void stop_done(struct wp_client_work *work, bool wanted) {
    (void)wanted;
    struct recover_logs *logs = of(work);
    for (int i = 0; i < TOPICS; i++) rd_kafka_topic_destroy(logs->handles[i]);
    wp_client_close(&logs->client, on_destroyed, logs);
}

static void stop(struct recover_logs *logs) {
    logs->work.run = stop_run;
    logs->work.done = stop_done;
    wp_client_run(&logs->client, &logs->work);
}

static void find_done(struct wp_client_work *work, bool wanted) {
    (void)wanted;
    struct recover_logs *logs = of(work);
    logs->finding = false;
    if (logs->closing)
        stop(logs);
    else
        logs->opened(logs->ctx, *logs->error ? logs->error : NULL);
}

enum wp_err recover_logs_open(struct recover_logs **ret_logs, uv_loop_t *loop, const struct wp_config *config,
                              recover_logs_opened opened, void *ctx, struct wp_error *error) {
    rd_kafka_t *rk = wp_client_make(config, WP_CLIENT_READER, NULL, error);
    if (!rk) return WP_ERR_CONFIG;
    struct recover_logs *logs = wp_calloc(1, sizeof *logs);
    wp_client_init(&logs->client, loop, rk);
    for (int i = 0; i < TOPICS; i++) {
        char *name = wp_topic_full_name(config, topics[i]);
        logs->handles[i] = rd_kafka_topic_new(rk, name, NULL);
        free(name);
    }
    logs->opened = opened;
    logs->ctx = ctx;
    logs->finding = true;
    logs->work.run = find_run;
    logs->work.done = find_done;
    wp_client_run(&logs->client, &logs->work);
    *ret_logs = logs;
    return WP_OK;
}

void recover_logs_close(struct recover_logs *logs) {
    if (!logs) return;
    logs->closing = true;
    while (logs->held_next < logs->held_count) rd_kafka_message_destroy(logs->held[logs->held_next++]);
    if (!logs->finding) stop(logs);
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

/* False: it cannot be taken yet. */
static bool take_one(struct recover_logs *logs, struct log *log, const rd_kafka_message_t *message,
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
        return take(ctx, log->topic, message, log->at_ms);
    }
    return true;
}

static bool take_held(struct recover_logs *logs, recover_logs_take take, void *ctx) {
    while (logs->held_next < logs->held_count) {
        if (!take_one(logs, logs->held_log, logs->held[logs->held_next], take, ctx)) return false;
        rd_kafka_message_destroy(logs->held[logs->held_next++]);
    }
    return true;
}

bool recover_logs_read(struct recover_logs *logs, recover_logs_take take, void *ctx) {
    rd_kafka_poll(logs->client.rk, 0);
    if (!take_held(logs, take, ctx)) return false;
    struct log *log = most_behind(logs);
    for (int batch = 0; log && batch < BATCHES; batch++) {
        logs->held_log = log;
        logs->held_next = 0;
        logs->held_count = rd_kafka_consume_batch(log->handle, log->partition, 0, logs->held, BATCH);
        if (logs->held_count <= 0 || !take_held(logs, take, ctx)) return false;
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
