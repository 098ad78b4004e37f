/* Makes clients; runs work with a client off the loop, and ends it. */
#include "kafka/client.h"
#include "kafka/conf.h"
#include "kafka/oauth.h"
#include "core/buf.h"
#include "core/err.h"

/* A reader chooses its own offsets, and is to see where the log ends. */
static const char *const reader_properties[][2] = {{"group.id", "warmpool-reader"}, /* never joined */
                                                   {"group.instance.id", ""},
                                                   {"auto.offset.reset", "earliest"},
                                                   {"enable.partition.eof", "true"},
                                                   {NULL, NULL}};
/* wp_consumer_partition.position needs the ends of logs. */
static const char *const member_properties[][2] = {{"enable.partition.eof", "true"}, {NULL, NULL}};
static const char *const none[][2] = {{NULL, NULL}};

static const char *const (*const kind_properties[])[2] = {[WP_CLIENT_MEMBER] = member_properties,
                                                          [WP_CLIENT_READER] = reader_properties,
                                                          [WP_CLIENT_ADMIN] = none,
                                                          [WP_CLIENT_PRODUCER] = none};

static bool set_all(rd_kafka_conf_t *conf, const char *const (*properties)[2], char *why, size_t size) {
    for (; properties && (*properties)[0]; properties++)
        if (rd_kafka_conf_set(conf, (*properties)[0], (*properties)[1], why, size) != RD_KAFKA_CONF_OK)
            return false;
    return true;
}

static void set_callbacks(rd_kafka_conf_t *conf, const struct wp_client_options *options) {
    rd_kafka_conf_set_opaque(conf, options->opaque);
    if (options->on_error) rd_kafka_conf_set_error_cb(conf, options->on_error);
    if (options->on_rebalance) rd_kafka_conf_set_rebalance_cb(conf, options->on_rebalance);
    if (options->on_commit) rd_kafka_conf_set_offset_commit_cb(conf, options->on_commit);
    if (options->on_delivery) rd_kafka_conf_set_dr_msg_cb(conf, options->on_delivery);
}

rd_kafka_t *wp_client_make(const struct wp_config *config, enum wp_client_kind kind,
                           const struct wp_client_options *options, struct wp_error *error) {
    bool producer = kind == WP_CLIENT_PRODUCER;
    char why[256] = "";
    rd_kafka_conf_t *conf = wp_kafka_conf(config, !producer, error);
    if (!conf) return NULL;
    if (options) set_callbacks(conf, options);
    rd_kafka_t *rk = NULL;
    if (set_all(conf, kind_properties[kind], why, sizeof(why)) &&
        (!options || set_all(conf, options->properties, why, sizeof(why))))
        rk = rd_kafka_new(producer ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    if (rk && wp_oauth_start(rk, &config->kafka, error) == WP_OK) return rk; /* owns conf */
    if (rk) {
        rd_kafka_destroy(rk);
        return NULL;
    }
    rd_kafka_conf_destroy(conf);
    (void)wp_fail(error, WP_ERR_CONFIG, "kafka.*: librdkafka makes no %s of these properties: %s",
                  producer ? "producer" : "consumer", why);
    return NULL;
}

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
