/* Reads container-command from its end on, with a consumer that is in no group: every host reads the whole
 * partition of its commands. The loop's thread; ending the consumer runs in the thread pool, because it
 * blocks. */
#include "host/commands.h"
#include <jansson.h>
#include <stdlib.h>
#include "core/log.h"

#define BATCH 256

static struct wp_str traceparent_of(const rd_kafka_message_t *message) {
    rd_kafka_headers_t *headers;
    const void *value;
    size_t len;
    if (rd_kafka_message_headers(message, &headers) ||
        rd_kafka_header_get_last(headers, "traceparent", &value, &len))
        return WP_STR("");
    return (struct wp_str){value, len};
}

static void ask_for(struct host_commands *commands, const rd_kafka_message_t *message) {
    struct wp_buf text = {0};
    struct wp_error error = {0};
    struct wp_str bytes = {message->payload, message->len};
    enum wp_err err = wp_wire_decode_json(commands->wire, WP_TOPIC_COMMAND, bytes, &text, &error);
    if (err == WP_ERR_AGAIN)
        commands->on_positioned(commands->ctx); /* it may be for any container of this host */
    if (err) {
        wp_log(WP_LOG_DEBUG, "command_ignored", "offset=%lld reason=%s", (long long)message->offset,
               error.text);
        wp_buf_done(&text);
        return;
    }
    json_t *command = json_loadb(text.data, text.len, 0, NULL);
    const char *name = json_string_value(json_object_get(command, "host"));
    const char *id = json_string_value(json_object_get(command, "container_id"));
    if (name && id && strcmp(name, commands->config->host.name) == 0)
        commands->on_wake(commands->ctx, wp_str(id), traceparent_of(message));
    json_decref(command);
    wp_buf_done(&text);
}

static void take(struct host_commands *commands, const rd_kafka_message_t *message) {
    if (!message->err) {
        ask_for(commands, message);
    } else if (message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        wp_log(WP_LOG_DEBUG, "command_read_failed", "reason=%s", rd_kafka_message_errstr(message));
    } else if (!commands->positioned) { /* the end of the log: commands before it were not read */
        commands->positioned = true;
        commands->on_positioned(commands->ctx);
    }
}

static void take_all(void *ctx) {
    struct host_commands *commands = ctx;
    rd_kafka_message_t *messages[BATCH];
    ssize_t count;
    rd_kafka_poll(commands->client.rk, 0);
    while ((count = rd_kafka_consume_batch_queue(commands->queue, 0, messages, BATCH)) > 0) {
        for (ssize_t i = 0; i < count; i++) {
            if (!commands->stopped) take(commands, messages[i]);
            rd_kafka_message_destroy(messages[i]);
        }
    }
    commands->on_taken(commands->ctx);
}

static rd_kafka_t *new_client(struct host_commands *commands, struct wp_error *error) {
    const char *wait = wp_settings_get(&commands->config->kafka, "fetch.wait.max.ms");
    const char *const properties[][2] = {
        {"auto.offset.reset", "latest"}, /* commands that were deleted are not needed: see commands.h */
        {"queued.min.messages", "100"},
        {"queued.max.messages.kbytes", "256"},
        {"fetch.message.max.bytes", "65536"},
        {"fetch.wait.max.ms",
         wait ? wait : "1000"}, /* a command ends the wait early; saves requests while there are none */
        {NULL, NULL},
    };
    const struct wp_client_options options = {.properties = properties};
    return wp_client_make(commands->config, WP_CLIENT_READER, &options, error);
}

/* Reads the partition of this host's commands, which depends on the number of partitions. When partitions are
 * added, another one is read as well: workers that do not know the new number yet still write to the old one.
 */
static void follow(struct host_commands *commands, int32_t partitions) {
    int32_t partition = (int32_t)(wp_str_hash(wp_str(commands->config->host.name)) % (unsigned)partitions);
    commands->partitions = partitions;
    for (size_t i = 0; i < commands->followed_count; i++)
        if (commands->followed[i] == partition) return;
    if (commands->followed_count == FOLLOWED_MAX) return; /* the periodic reconcile needs no commands */
    if (rd_kafka_consume_start_queue(commands->topic, partition, RD_KAFKA_OFFSET_END, commands->queue))
        return;
    commands->followed[commands->followed_count++] = partition;
    commands->positioned = false; /* commands that were written to it before are not read */
    wp_log(WP_LOG_INFO, "commands_opened", "partition=%d partitions=%d", (int)partition, (int)partitions);
}

static enum wp_err open_client(struct host_commands *commands, struct wp_error *error) {
    enum wp_err err = wp_wakeup_open(&commands->wakeup, error);
    if (err) return err;
    rd_kafka_t *rk = new_client(commands, error);
    if (!rk) {
        wp_wakeup_close(&commands->wakeup, NULL, NULL);
        return WP_ERR_CONFIG;
    }
    wp_client_init(&commands->client, commands->loop, rk);
    return WP_OK;
}

static void open_consumer(struct host_commands *commands, int32_t partitions) {
    struct wp_error error = {0};
    if (open_client(commands, &error)) {
        wp_log(WP_LOG_ERROR, "commands_failed", "reason=%s", error.text);
        return; /* the next tick tries again */
    }
    char *name = wp_topic_full_name(commands->config, WP_TOPIC_COMMAND);
    commands->topic = rd_kafka_topic_new(commands->client.rk, name, NULL);
    free(name);
    commands->queue = rd_kafka_queue_new(commands->client.rk);
    wp_wakeup_watch(&commands->wakeup, commands->queue);
    wp_wakeup_start(&commands->wakeup, commands->loop, take_all, commands);
    wp_host_pin(commands->pins); /* the wakeup */
    wp_host_pin(commands->pins); /* the client */
    commands->open = true;
    follow(commands, partitions);
}

void wp_commands_tick(struct host_commands *commands) {
    int32_t partitions = wp_producer_partitions(commands->producer, WP_TOPIC_COMMAND);
    if (partitions <= 0) return;
    if (!commands->open)
        open_consumer(commands, partitions);
    else if (partitions != commands->partitions)
        follow(commands, partitions);
}

void wp_commands_stop(struct host_commands *commands) {
    commands->stopped = true;
}

/* ---- the end ---- */

struct commands_end {
    struct wp_client_work work;
    const struct host_commands *commands; /* nothing else uses its topic and queue by now */
};

static void end_run(struct wp_client_work *work) {
    const struct host_commands *commands = ((struct commands_end *)work)->commands;
    for (size_t i = 0; i < commands->followed_count; i++)
        rd_kafka_consume_stop(commands->topic, commands->followed[i]);
    rd_kafka_queue_destroy(commands->queue);
    rd_kafka_topic_destroy(commands->topic);
}

static void end_done(struct wp_client_work *work, bool wanted) {
    (void)wanted;
    free(work);
}

static void on_part_closed(void *ctx) { /* the wakeup, the client */
    struct host_commands *commands = ctx;
    wp_host_unpin(commands->pins);
}

void wp_commands_close(struct host_commands *commands) {
    if (!commands->open) return;
    wp_wakeup_unwatch(commands->queue);
    wp_wakeup_close(&commands->wakeup, on_part_closed, commands);
    struct commands_end *end = wp_calloc(1, sizeof *end);
    *end = (struct commands_end){.work = {.run = end_run, .done = end_done}, .commands = commands};
    wp_client_run(&commands->client, &end->work);
    wp_client_close(&commands->client, on_part_closed, commands);
}
