/* Owns the parts of ops/: what is started and stopped, in order. The loop's thread. */
#include "ops/ops.h"
#include "core/clock.h"
#include "ops/http.h"
#include "ops/metrics.h"
#include "ops/optimizer.h"
#include "ops/prewarm.h"
#include "ops/shared.h"
#include "ops/sweeper.h"
#include "ops/tuning.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void name_worker(struct wp_ops *ops) {
    char host[64] = "worker";
    if (ops->config->worker.id[0] != '\0') {
        snprintf(ops->worker_id, sizeof ops->worker_id, "%s", ops->config->worker.id);
        return;
    }
    gethostname(host, sizeof host - 1);
    snprintf(ops->worker_id, sizeof ops->worker_id, "%s-%d", host, (int)getpid());
}

bool wp_ops_publish_to(struct wp_ops *ops, enum wp_topic topic, int32_t partition, struct wp_str key,
                       const void *event) {
    struct wp_buf bytes = {0};
    struct wp_error error;
    wp_wire_encode(ops->wire, topic, event, &bytes);
    struct wp_record record = {
        .topic = topic, .key = key, .value = wp_buf_str(&bytes), .partition = partition};
    enum wp_err err = wp_producer_send(ops->producer, &record, &error);
    wp_buf_done(&bytes);
    return err == WP_OK;
}

bool wp_ops_publish(struct wp_ops *ops, enum wp_topic topic, struct wp_str key, const void *event) {
    return wp_ops_publish_to(ops, topic, -1, key, event);
}

enum wp_err wp_ops_new(struct wp_ops **ret_ops, uv_loop_t *loop, const struct wp_config *config,
                       struct wp_stats *stats, struct wp_link *const links[WP_SLOTS],
                       struct wp_producer *producer, struct wp_wire *wire, struct wp_error *error) {
    struct wp_ops *ops = wp_calloc(1, sizeof *ops);
    *ops = (struct wp_ops){.loop = loop,
                           .config = config,
                           .stats = stats,
                           .producer = producer,
                           .wire = wire,
                           .started_wall_ms = wp_clock_wall_ms()};
    for (int i = 0; i < WP_SLOTS; i++) ops->links[i] = links[i];
    name_worker(ops);
    enum wp_err err = http_new(&ops->http, ops, error);
    if (err) {
        free(ops);
        return err;
    }
    ops->reader = shared_reader_new(ops);
    ops->optimizer = optimizer_new(ops);
    ops->tuning = tuning_new(ops);
    ops->metrics = metrics_new(ops);
    *ret_ops = ops;
    return WP_OK;
}

void wp_ops_start(struct wp_ops *ops) {
    ops->sweeper = sweeper_new(ops);
    ops->prewarm = prewarm_new(ops);
    optimizer_start(ops->optimizer);
    metrics_start(ops->metrics);
    ops->started = true;
}

void wp_ops_set_sweeper(struct wp_ops *ops, bool owner) {
    if (ops->sweeper) sweeper_set_owner(ops->sweeper, owner);
}

void wp_ops_stop(struct wp_ops *ops) {
    if (!ops || !ops->started) return;
    ops->started = false;
    sweeper_stop(ops->sweeper);
    prewarm_stop(ops->prewarm);
    optimizer_stop(ops->optimizer);
    metrics_stop(ops->metrics);
}

void wp_ops_free(struct wp_ops *ops) {
    if (!ops) return;
    http_free(ops->http);
    sweeper_free(ops->sweeper);
    prewarm_free(ops->prewarm);
    optimizer_free(ops->optimizer);
    metrics_free(ops->metrics);
    shared_reader_free(ops->reader);
    tuning_free(ops->tuning);
    warnings_done(&ops->warnings);
    json_decref(ops->shared.pool);
    json_decref(ops->shared.cache);
    free(ops);
}
