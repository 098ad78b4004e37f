/* A librdkafka client on a loop: what blocks runs in the loop's thread pool, and the client lives until the
 * last of it has ended. The loop's thread, except where a function is said to run in the pool. */
#ifndef WP_KAFKA_CLIENT_H
#define WP_KAFKA_CLIENT_H
#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <uv.h>

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
