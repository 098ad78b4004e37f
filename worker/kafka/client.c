/* Work with a librdkafka client off the loop, and its end. */
#include "kafka/client.h"
#include "core/buf.h"
#include "core/err.h"

void wp_client_init(struct wp_client *client, uv_loop_t *loop, rd_kafka_t *rk) {
    *client = (struct wp_client){.loop = loop, .rk = rk};
}

/* Destroying waits until the client's threads have ended. */
static void destroy_run(uv_work_t *uv) {
    struct wp_client *client = uv->data;
    rd_kafka_destroy_flags(client->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

static void destroy_done(uv_work_t *uv, int status) {
    (void)status;
    struct wp_client *client = uv->data;
    client->closed(client->ctx);
}

static void destroy_when_unused(struct wp_client *client) {
    if (!client->closing || client->works > 0) return;
    client->destroy.data = client;
    wp_assert(uv_queue_work(client->loop, &client->destroy, destroy_run, destroy_done) == 0);
}

static void work_run(uv_work_t *uv) {
    struct wp_client_work *work = uv->data;
    work->run(work);
}

static void work_done(uv_work_t *uv, int status) {
    struct wp_client_work *work = uv->data;
    struct wp_client *client = work->client;
    work->done(work, status == 0 && !client->closing);
    client->works--;
    destroy_when_unused(client);
}

void wp_client_run(struct wp_client *client, struct wp_client_work *work) {
    wp_assert(!client->closing);
    work->client = client;
    work->uv.data = work;
    client->works++;
    wp_assert(uv_queue_work(client->loop, &work->uv, work_run, work_done) == 0);
}

void wp_client_close(struct wp_client *client, void (*closed)(void *ctx), void *ctx) {
    client->closing = true;
    client->closed = closed;
    client->ctx = ctx;
    destroy_when_unused(client);
}
