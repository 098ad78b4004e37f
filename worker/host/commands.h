/* Reads container-command. A command is only a wake-up call: what Redis wants of the container is read from
 * Redis, so a command may be missed. Reports by callbacks, and knows nothing of containers. One thread: the
 * loop's. */
#ifndef WP_HOST_COMMANDS_H
#define WP_HOST_COMMANDS_H
#include "host/pins.h"
#include "kafka/client.h"
#include "kafka/producer.h"
#include "kafka/wakeup.h"
#include "wire/wire.h"

/* Maximum of container-command's partitions that a host reads: one, and one more when the topic grows. */
enum { FOLLOWED_MAX = 8 };

struct host_commands {
    uv_loop_t *loop;
    const struct wp_config *config; /* borrowed, as all of these */
    struct wp_producer *producer;
    struct wp_wire *wire;
    struct host_pins *pins; /* held while a consumer is open */
    /* There was a command for this container. traceparent: of the request that it is made for; empty: none */
    void (*on_wake)(void *ctx, struct wp_str id, struct wp_str traceparent);
    void (*on_taken)(void *ctx);      /* on_wake was called for all records that have come */
    void (*on_positioned)(void *ctx); /* from here on no command is missed; earlier ones may have been. Also
                                         for a command that cannot be read before its schema is looked up */
    void *ctx;
    /* commands.c alone changes these */
    bool open; /* the topic's partitions are known */
    struct wp_client client;
    struct wp_wakeup wakeup;
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *queue;
    int32_t partitions; /* of the topic, when `followed` was chosen */
    int32_t followed[FOLLOWED_MAX];
    size_t followed_count;
    bool positioned; /* at the end of the log */
    bool stopped;    /* no more callbacks about commands */
};

/* Opens the consumer once the number of partitions is known, and follows when it grows. To be called often.
 */
void wp_commands_tick(struct host_commands *commands);
void wp_commands_stop(struct host_commands *commands); /* ignores commands from now on */
/* Ends the consumer in the loop's thread pool; the pins are held until that is done. No callback follows. */
void wp_commands_close(struct host_commands *commands);

#endif
