/* Owns the parts of ops/; makes, starts and stops them in order. The loop's thread. */
#include "ops/ops.h"
#include "core/clock.h"
#include "ops/http.h"
#include "ops/metrics.h"
#include "ops/optimizer.h"
#include "ops/prewarm.h"
#include "ops/sweeper.h"
#include "ops/tuning.h"
#include <stdio.h>
#include <stdlib.h>

struct wp_ops {
    struct ops_base base;
    struct shared shared;
    struct warnings warnings; /* of the last metrics round */
    struct ops_snapshot snapshot;
    struct shared_reader *reader;
    struct http *http;
    struct sweeper *sweeper;
    struct prewarm *prewarm;
    struct optimizer *optimizer;
    struct tuning *tuning;
    struct metrics *metrics;
    bool started;
};

enum wp_err wp_ops_new(struct wp_ops **ret_ops, uv_loop_t *loop, const struct wp_config *config,
                       struct wp_stats *stats, struct wp_link *const links[WP_SLOTS],
                       struct wp_producer *producer, struct wp_wire *wire, struct wp_error *error) {
    struct wp_ops *ops = wp_calloc(1, sizeof *ops);
    struct ops_base *base = &ops->base;
    *base = (struct ops_base){.loop = loop,
                              .config = config,
                              .stats = stats,
                              .producer = producer,
                              .wire = wire,
                              .started_wall_ms = wp_clock_wall_ms()};
    for (int i = 0; i < WP_SLOTS; i++) base->links[i] = links[i];
    wp_worker_name(config, base->worker_id);
    ops->snapshot = (struct ops_snapshot){.base = base, .shared = &ops->shared, .warnings = &ops->warnings};
    ops->reader = shared_reader_new(base, &ops->shared);
    enum wp_err err = http_new(&ops->http, &ops->snapshot, ops->reader, error);
    if (err) {
        shared_reader_free(ops->reader);
        free(ops);
        return err;
    }
    ops->optimizer = optimizer_new(base);
    ops->tuning = tuning_new(base);
    ops->snapshot.optimizer = optimizer_result(ops->optimizer);
    ops->snapshot.tuning_applied = tuning_applied(ops->tuning);
    ops->metrics = metrics_new(&ops->snapshot, ops->reader, &ops->warnings, ops->tuning);
    *ret_ops = ops;
    return WP_OK;
}

void wp_ops_start(struct wp_ops *ops) {
    ops->sweeper = sweeper_new(&ops->base);
    ops->prewarm = prewarm_new(&ops->base);
    optimizer_start(ops->optimizer);
    metrics_start(ops->metrics);
    ops->started = true;
}

void wp_ops_configure(struct wp_ops *ops) {
    if (!ops->started) return;
    sweeper_configure(ops->sweeper);
    prewarm_configure(ops->prewarm);
    optimizer_configure(ops->optimizer);
    metrics_configure(ops->metrics);
}

void wp_ops_on_reload(struct wp_ops *ops, unsigned (*ask)(void *ctx), void *ctx) {
    if (ops->http) http_on_reload(ops->http, ask, ctx);
}

void wp_ops_reloaded(struct wp_ops *ops, unsigned round, bool ok, const char *json) {
    if (ops->http) http_reloaded(ops->http, round, ok ? 200 : 422, json);
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
