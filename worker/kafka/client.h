/* Makes every librdkafka client, and runs blocking requests of a client in the loop's thread pool: the client
 * lives until the last of them has ended. Runs on the loop's thread, except where a comment names another. */
#ifndef WP_KAFKA_CLIENT_H
#define WP_KAFKA_CLIENT_H
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <uv.h>
#include "core/config.h"

enum wp_client_kind {
    WP_CLIENT_MEMBER,   /* of the consumer group */
    WP_CLIENT_READER,   /* reads partitions that its user names, from offsets that it names; is in no group */
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
    int works;      /* requests that run in the pool or wait for a thread of it */
    bool closing;   /* no further work is taken */
    uv_work_t destroy;
    void (*closed)(void *ctx);
    void *ctx;
};

/* A blocking request. Embedded as the first member of a struct with its arguments and results, which `done`
 * frees. */
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
/* Destroys the librdkafka client in the pool when all its works have ended, then calls `closed`. Does not
 * leave the group, and does not wait for records that are still to be sent. */
void wp_client_close(struct wp_client *client, void (*closed)(void *ctx), void *ctx);

#endif
