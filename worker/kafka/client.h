/* The one place that makes librdkafka clients, and a client on a loop: what blocks runs in the loop's thread
 * pool, and the client lives until the last of it has ended. The loop's thread, except where a function is
 * said to run in the pool or anywhere. */
#ifndef WP_KAFKA_CLIENT_H
#define WP_KAFKA_CLIENT_H
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <uv.h>
#include "core/config.h"

enum wp_client_kind {
    WP_CLIENT_MEMBER,   /* of the consumer group */
    WP_CLIENT_READER,   /* reads partitions that it is told, from its own offsets; is in no group */
    WP_CLIENT_ADMIN,    /* asks about topics, and about the group's commits without being in it */
    WP_CLIENT_PRODUCER, /* idempotent */
};

struct wp_client_options {
    void *opaque; /* of the callbacks; all may be NULL */
    void (*on_error)(rd_kafka_t *rk, int err, const char *reason, void *opaque);
    void (*on_rebalance)(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *list,
                         void *opaque);
    void (*on_commit)(rd_kafka_t *rk, rd_kafka_resp_err_t err, rd_kafka_topic_partition_list_t *list,
                      void *opaque);
    void (*on_delivery)(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque);
    const char *const (*properties)[2]; /* set over kafka.*; ends with {NULL, NULL}; NULL: none */
};

/* NULL with an error that names what is wrong in kafka.*. options may be NULL. A missing broker is no error.
 * Any thread. */
rd_kafka_t *wp_client_make(const struct wp_config *config, enum wp_client_kind kind,
                           const struct wp_client_options *options, struct wp_error *error);

struct wp_client {
    uv_loop_t *loop;
    rd_kafka_t *rk; /* owned */
    int works;      /* in the pool with this client, or waiting for a thread */
    bool closing;   /* no further work is taken */
    uv_work_t destroy;
    void (*closed)(void *ctx);
    void *ctx;
};

/* Something that blocks. Embedded in what it needs and answers; freed by `done`. */
struct wp_client_work {
    uv_work_t uv;
    struct wp_client *client;
    void (*run)(struct wp_client_work *work); /* in the pool; may use client->rk and the work's own fields */
    void (*done)(struct wp_client_work *work,
                 bool wanted); /* on the loop; not wanted: the client is closing */
};

void wp_client_init(struct wp_client *client, uv_loop_t *loop, rd_kafka_t *rk); /* takes rk */
/* `run` and `done` are set by the caller. Never for a client that is closing. */
void wp_client_run(struct wp_client *client, struct wp_client_work *work);
/* Destroys the librdkafka client in the pool when all its works have ended, then calls `closed`. Its group is
 * not left, and nothing is waited for that it has still to send. */
void wp_client_close(struct wp_client *client, void (*closed)(void *ctx), void *ctx);

#endif
