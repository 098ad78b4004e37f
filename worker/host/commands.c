/* Reads container-command from its end on: each record of this host wakes it up to look at one container. A
 * consumer of its own, without a group: every host reads its one partition whole. The loop's thread;
 * librdkafka wakes it through a descriptor, and the host's tick polls too. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "core/log.h"
#include "kafka/client.h"
#include "host/host_internal.h"

#define BATCH 256

static const char *const properties[][2] = {
    {"auto.offset.reset", "latest"}, /* a wake-up call that is gone is none */
    {"fetch.wait.max.ms", "10"},
    {"queued.min.messages", "100"},
    {"queued.max.messages.kbytes", "256"},
    {"fetch.message.max.bytes", "65536"},
    {NULL, NULL},
};

static void ask_for(struct wp_host *host, const rd_kafka_message_t *message) {
    struct wp_buf text = {0};
    struct wp_error error = {0};
    struct wp_str bytes = {message->payload, message->len};
    if (wp_wire_decode_json(host->wire, WP_TOPIC_COMMAND, bytes, &text, &error) != WP_OK) {
        wp_log(WP_LOG_DEBUG, "command_ignored", "offset=%lld reason=%s", (long long)message->offset,
               error.text);
        wp_buf_done(&text);
        return;
    }
    json_t *command = json_loadb(text.data, text.len, 0, NULL);
    const char *name = json_string_value(json_object_get(command, "host"));
    const char *id = json_string_value(json_object_get(command, "container_id"));
    if (name && id && strcmp(name, host->config->host.name) == 0) wp_host_ask(host, wp_str(id));
    json_decref(command);
    wp_buf_done(&text);
}

static void take(struct wp_host *host, const rd_kafka_message_t *message) {
    if (!message->err) {
        ask_for(host, message);
    } else if (message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        wp_log(WP_LOG_DEBUG, "command_read_failed", "reason=%s", rd_kafka_message_errstr(message));
    } else if (!host->commands.positioned) { /* what came before the end was found is known to Redis alone */
        host->commands.positioned = true;
        wp_host_reconcile(host);
    }
}

static void take_all(struct wp_host *host) {
    rd_kafka_message_t *messages[BATCH];
    ssize_t count;
    rd_kafka_poll(host->commands.rk, 0);
    while ((count = rd_kafka_consume_batch_queue(host->commands.queue, 0, messages, BATCH)) > 0) {
        for (ssize_t i = 0; i < count; i++) {
            if (!host->stopping) take(host, messages[i]);
            rd_kafka_message_destroy(messages[i]);
        }
    }
    wp_host_ask_now(host);
}

static void on_wake(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    struct wp_host *host = poll->data;
    uint64_t count;
    while (read(host->commands.wake_fd, &count, sizeof count) > 0) {
    }
    take_all(host);
}

static rd_kafka_t *new_client(struct wp_host *host, struct wp_error *error) {
    const struct wp_client_options options = {.properties = properties};
    return wp_client_make(host->config, WP_CLIENT_READER, &options, error);
}

static void watch(struct wp_host *host) {
    struct commands *commands = &host->commands;
    uint64_t one = 1;
    commands->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    wp_assert(commands->wake_fd >= 0);
    rd_kafka_queue_io_event_enable(commands->queue, commands->wake_fd, &one, sizeof one);
    uv_poll_init(host->loop, &commands->poll, commands->wake_fd);
    commands->poll.data = host;
    host->pins++;
    uv_poll_start(&commands->poll, UV_READABLE, on_wake);
}

/* The partition of this host's commands when the topic has so many. With more partitions it is another one;
 * the old one is read on, because those who have not seen the new ones yet go on writing to it. */
static void follow(struct wp_host *host, int32_t partitions) {
    struct commands *commands = &host->commands;
    int32_t partition = (int32_t)(wp_str_hash(wp_str(host->config->host.name)) % (unsigned)partitions);
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

static void open_consumer(struct wp_host *host, int32_t partitions) {
    struct commands *commands = &host->commands;
    struct wp_error error = {0};
    commands->rk = new_client(host, &error);
    if (!commands->rk) {
        wp_log(WP_LOG_ERROR, "commands_failed", "reason=%s", error.text);
        return; /* again on the next tick */
    }
    char *name = wp_topic_full_name(host->config, WP_TOPIC_COMMAND);
    commands->topic = rd_kafka_topic_new(commands->rk, name, NULL);
    free(name);
    commands->queue = rd_kafka_queue_new(commands->rk);
    watch(host);
    follow(host, partitions);
}

void wp_commands_tick(struct wp_host *host) {
    int32_t partitions = wp_producer_partitions(host->producer, WP_TOPIC_COMMAND);
    if (!host->commands.rk) {
        if (partitions > 0) open_consumer(host, partitions);
        return;
    }
    if (partitions > 0 && partitions != host->commands.partitions) follow(host, partitions);
    take_all(host);
}

static void poll_closed(uv_handle_t *handle) {
    wp_host_unpin(handle->data);
}

void wp_commands_close(struct wp_host *host) {
    struct commands *commands = &host->commands;
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
