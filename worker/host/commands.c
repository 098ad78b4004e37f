/* Reads container-command from its end on: each record of this host wakes it up to look at one container. A
 * consumer of its own, without a group: every host reads its one partition whole. The loop's thread;
 * librdkafka wakes it through a descriptor, and the host's tick polls too. */
#include "host/commands.h"
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "core/log.h"
#include "kafka/client.h"

#define BATCH 256

static const char *const properties[][2] = {
    {"auto.offset.reset", "latest"}, /* a wake-up call that is gone is none */
    {"fetch.wait.max.ms", "10"},
    {"queued.min.messages", "100"},
    {"queued.max.messages.kbytes", "256"},
    {"fetch.message.max.bytes", "65536"},
    {NULL, NULL},
};

static void ask_for(struct host_commands *commands, const rd_kafka_message_t *message) {
    struct wp_buf text = {0};
    struct wp_error error = {0};
    struct wp_str bytes = {message->payload, message->len};
    if (wp_wire_decode_json(commands->wire, WP_TOPIC_COMMAND, bytes, &text, &error) != WP_OK) {
        wp_log(WP_LOG_DEBUG, "command_ignored", "offset=%lld reason=%s", (long long)message->offset,
               error.text);
        wp_buf_done(&text);
        return;
    }
    json_t *command = json_loadb(text.data, text.len, 0, NULL);
    const char *name = json_string_value(json_object_get(command, "host"));
    const char *id = json_string_value(json_object_get(command, "container_id"));
    if (name && id && strcmp(name, commands->config->host.name) == 0)
        commands->on_wake(commands->ctx, wp_str(id));
    json_decref(command);
    wp_buf_done(&text);
}

static void take(struct host_commands *commands, const rd_kafka_message_t *message) {
    if (!message->err) {
        ask_for(commands, message);
    } else if (message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        wp_log(WP_LOG_DEBUG, "command_read_failed", "reason=%s", rd_kafka_message_errstr(message));
    } else if (!commands->positioned) { /* what came before the end was found is known to Redis alone */
        commands->positioned = true;
        commands->on_positioned(commands->ctx);
    }
}

static void take_all(struct host_commands *commands) {
    rd_kafka_message_t *messages[BATCH];
    ssize_t count;
    rd_kafka_poll(commands->rk, 0);
    while ((count = rd_kafka_consume_batch_queue(commands->queue, 0, messages, BATCH)) > 0) {
        for (ssize_t i = 0; i < count; i++) {
            if (!commands->stopped) take(commands, messages[i]);
            rd_kafka_message_destroy(messages[i]);
        }
    }
    commands->on_taken(commands->ctx);
}

static void on_wake(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    struct host_commands *commands = poll->data;
    uint64_t count;
    while (read(commands->wake_fd, &count, sizeof count) > 0) {
    }
    take_all(commands);
}

static rd_kafka_t *new_client(struct host_commands *commands, struct wp_error *error) {
    const struct wp_client_options options = {.properties = properties};
    return wp_client_make(commands->config, WP_CLIENT_READER, &options, error);
}

static void watch(struct host_commands *commands) {
    uint64_t one = 1;
    commands->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    wp_assert(commands->wake_fd >= 0);
    rd_kafka_queue_io_event_enable(commands->queue, commands->wake_fd, &one, sizeof one);
    uv_poll_init(commands->loop, &commands->poll, commands->wake_fd);
    commands->poll.data = commands;
    wp_host_pin(commands->pins);
    uv_poll_start(&commands->poll, UV_READABLE, on_wake);
}

/* The partition of this host's commands when the topic has so many. With more partitions it is another one;
 * the old one is read on, because those who have not seen the new ones yet go on writing to it. */
static void follow(struct host_commands *commands, int32_t partitions) {
    int32_t partition = (int32_t)(wp_str_hash(wp_str(commands->config->host.name)) % (unsigned)partitions);
    commands->partitions = partitions;
    for (size_t i = 0; i < commands->followed_count; i++)
        if (commands->followed[i] == partition) return;
    if (commands->followed_count == FOLLOWED_MAX) return; /* the reconciliation every 10 s sees to the rest */
    if (rd_kafka_consume_start_queue(commands->topic, partition, RD_KAFKA_OFFSET_END, commands->queue))
        return;
    commands->followed[commands->followed_count++] = partition;
    commands->positioned = false; /* what was written to it before is known to Redis alone */
    wp_log(WP_LOG_INFO, "commands_opened", "partition=%d partitions=%d", (int)partition, (int)partitions);
}

static void open_consumer(struct host_commands *commands, int32_t partitions) {
    struct wp_error error = {0};
    commands->rk = new_client(commands, &error);
    if (!commands->rk) {
        wp_log(WP_LOG_ERROR, "commands_failed", "reason=%s", error.text);
        return; /* again on the next tick */
    }
    char *name = wp_topic_full_name(commands->config, WP_TOPIC_COMMAND);
    commands->topic = rd_kafka_topic_new(commands->rk, name, NULL);
    free(name);
    commands->queue = rd_kafka_queue_new(commands->rk);
    watch(commands);
    follow(commands, partitions);
}

void wp_commands_tick(struct host_commands *commands) {
    int32_t partitions = wp_producer_partitions(commands->producer, WP_TOPIC_COMMAND);
    if (!commands->rk) {
        if (partitions > 0) open_consumer(commands, partitions);
        return;
    }
    if (partitions > 0 && partitions != commands->partitions) follow(commands, partitions);
    take_all(commands);
}

void wp_commands_stop(struct host_commands *commands) {
    commands->stopped = true;
}

static void poll_closed(uv_handle_t *handle) {
    struct host_commands *commands = handle->data;
    wp_host_unpin(commands->pins);
}

void wp_commands_close(struct host_commands *commands) {
    if (!commands->rk) return;
    uv_close((uv_handle_t *)&commands->poll, poll_closed);
    rd_kafka_queue_io_event_enable(commands->queue, -1, NULL, 0);
    for (size_t i = 0; i < commands->followed_count; i++)
        rd_kafka_consume_stop(commands->topic, commands->followed[i]);
    commands->followed_count = 0;
    rd_kafka_queue_destroy(commands->queue);
    rd_kafka_topic_destroy(commands->topic);
    rd_kafka_destroy(commands->rk);
    close(commands->wake_fd);
    commands->rk = NULL;
}
