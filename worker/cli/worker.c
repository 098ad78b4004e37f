/* `warmpool worker`: owns the loop; starts the parts of a worker on it in order, and stops them in reverse.
 */
#include "kafka/admin.h"
#include "kafka/conf.h"
#include "kafka/health.h"
#include "cli/command.h"
#include "cli/hangup.h"
#include "cli/keep_secrets.h"
#include "cli/last_resort.h"
#include "cli/options.h"
#include "cli/reload_result.h"
#include "cli/reloading.h"
#include "cli/service.h"
#include "core/clock.h"
#include "core/log.h"
#include "pipeline/pipeline.h"
#include "host/host.h"
#include "registry/schemas.h"
#include "ops/ops.h"
#include "store/names.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    TOPICS_TIMEOUT_MS = 10000,
    TOPICS_RETRY_MS = 1000,
    FLUSH_MS = 5000,
    TRACE_FLUSH_MS = 2000,
    END_MS = 1000, /* for the end itself, when nothing under way is waited for */
    WATCH_MS = 250,
    MESSAGE_BYTES_MIN = 1000, /* librdkafka's minimum of message.max.bytes */
    SWEEP_PARTITION = 0,
    STOP_SIGNALS = 2
};

struct worker {
    uv_loop_t loop;
    struct wp_config config; /* in force */
    struct wp_config_sources sources;
    struct wp_reloading *reloading;
    unsigned reload_asked; /* the latest round that somebody waits for */
    struct wp_service service;
    struct wp_stats stats;
    struct wp_wire *wire;
    struct wp_registry *registry; /* NULL: none is configured */
    struct wp_link *links[WP_SLOTS];
    struct wp_names *names; /* the group is joined once they are held */
    struct wp_pipeline *pipeline;
    struct wp_consumer *consumer;
    struct wp_producer *producer;
    struct wp_host *host;
    struct wp_ops *ops;
    struct wp_exporter *exporter; /* of traces; NULL with an empty trace.url */
    uv_signal_t signals[STOP_SIGNALS];
    struct wp_hangup hangup;
    uv_timer_t retry, deadline, watch;
    uv_work_t topics; /* makes missing topics, in the thread pool */
    enum wp_err topics_err;
    struct wp_error topics_error;
    int64_t message_limit; /* smallest max.message.bytes of the topics; INT64_MAX: not known */
    char *message_topic;   /* owned; the topic with that limit */
    int64_t stop_at_us;    /* deadline of the stop; 0: not stopping */
    bool may_write;        /* the ids of the schemas that a worker writes are known */
    bool topics_running, topics_made, subscribed, stopping, ending;
    int stopping_parts; /* how many of host and pipeline the stop still waits for */
    int exit_code;
};

static void update_redis_health(struct worker *w) {
    struct wp_health *health = &w->stats.redis;
    health->ready = true;
    health->reason[0] = '\0';
    for (int i = 0; i < WP_SLOTS; i++) {
        if (w->links[i] && wp_link_ready(w->links[i]) && !*wp_link_reason(w->links[i])) continue;
        health->ready = false;
        snprintf(health->reason, sizeof health->reason, "%s",
                 w->links[i] ? wp_link_reason(w->links[i]) : "not connected yet");
    }
}

static void on_link_state(void *ctx, enum wp_slot slot, bool ready) {
    struct worker *w = ctx;
    update_redis_health(w);
    if (w->pipeline) wp_pipeline_link_state(w->pipeline, slot, ready);
    if (ready && slot == WP_SLOT_POOL && w->names) wp_names_ask(w->names);
}

/* Makes missing topics, before the group is joined. Runs in the thread pool, again and again until the broker
 * answers. */
static void make_topics(uv_work_t *work) {
    struct worker *w = work->data;
    w->topics_err = wp_admin_ensure_topics(&w->config, TOPICS_TIMEOUT_MS, &w->topics_error);
    free(w->message_topic);
    w->message_topic = NULL;
    if (!w->topics_err)
        w->topics_err =
            wp_admin_message_limit(&w->config, &w->message_limit, &w->message_topic, &w->topics_error);
}

/* Lowers the producer's limit to the smallest limit of the topics: a record that only the broker refuses
 * would be retried for ever, one that the producer refuses becomes a dead letter. */
static void fit_messages(struct worker *w) {
    char bytes[24];
    int64_t limit = w->message_limit < MESSAGE_BYTES_MIN ? MESSAGE_BYTES_MIN : w->message_limit;
    if (wp_kafka_message_max(&w->config) <= limit) return;
    snprintf(bytes, sizeof bytes, "%lld", (long long)limit);
    wp_log(WP_LOG_WARN, "messages_limited", "topic=%s bytes=%s reason=%s", w->message_topic, bytes,
           "its max.message.bytes is below kafka.message.max.bytes; raise it, or lower the latter");
    wp_settings_set(&w->config.kafka, "message.max.bytes", bytes);
    wp_producer_renew(w->producer);
    wp_pipeline_configure(w->pipeline);
}

static void on_retry(uv_timer_t *timer);

static void retry(struct worker *w, const char *reason) {
    wp_kafka_trouble(&w->stats, WP_TROUBLE_BROKERS, reason);
    uv_timer_start(&w->retry, on_retry, TOPICS_RETRY_MS, 0);
}

static void join(struct worker *w) {
    struct wp_error error = {0};
    if (!w->topics_made || w->subscribed || w->stopping || !w->may_write || !wp_names_held(w->names)) return;
    if (wp_consumer_subscribe(w->consumer, &error)) {
        retry(w, error.text);
        return;
    }
    w->subscribed = true;
    wp_log(WP_LOG_INFO, "subscribed", "group=%s", wp_settings_get(&w->config.kafka, "group.id"));
}

static void on_topics(uv_work_t *work, int status) {
    struct worker *w = work->data;
    (void)status;
    w->topics_running = false;
    if (w->stopping) return;
    if (w->topics_err) {
        retry(w, w->topics_error.text);
        return;
    }
    fit_messages(w);
    w->topics_made = true;
    wp_kafka_trouble(&w->stats, WP_TROUBLE_BROKERS, NULL); /* joining may still wait for the names */
    join(w);
}

static void on_retry(uv_timer_t *timer) {
    struct worker *w = timer->data;
    w->topics.data = w;
    w->topics_running = uv_queue_work(&w->loop, &w->topics, make_topics, on_topics) == 0;
}

/* ---- names, and the ids of schemas ---- */

static void on_names_held(void *ctx) {
    struct worker *w = ctx;
    if (w->host && w->may_write) wp_host_link_ready(w->host);
    join(w);
}

/* Nothing is published before. */
static void on_may_write(void *ctx) {
    struct worker *w = ctx;
    if (w->stopping) return;
    w->may_write = true;
    wp_ops_start(w->ops);
    if (wp_names_held(w->names)) on_names_held(w);
}

static void on_schema_refused(void *ctx, const char *why) {
    struct worker *w = ctx;
    fprintf(stderr, "warmpool worker: %s\n", why);
    w->exit_code = 2;
    uv_stop(&w->loop);
}

/* Only wire.write = confluent needs ids. */
static void find_write_ids(struct worker *w) {
    static const struct wp_registry_handler handler = {.ready = on_may_write, .refused = on_schema_refused};
    if (w->registry)
        wp_registry_find_write_ids(w->registry, wp_schemas_of_worker(), &handler, w);
    else
        on_may_write(w);
}

/* Drops the host: its containers belong to the other worker now, or end with the host. Of two members with
 * one worker.id Kafka fences the older, so the consumer needs nothing here. */
static void on_name_lost(void *ctx) {
    struct worker *w = ctx;
    if (w->stopping) return;
    wp_host_free(w->host);
    w->host = NULL;
}

/* Joins the group with a new consumer. The old one has lost its partitions already. */
static void replace_consumer(struct worker *w) {
    struct wp_error error = {0};
    struct wp_consumer *consumer;
    wp_log(WP_LOG_WARN, "kafka_joining_again", "worker_id=%s reason=%s", w->config.worker.id,
           "it was fenced, and no other member of the group has its id");
    if (wp_consumer_new(&consumer, &w->loop, &w->config, &w->stats, &wp_pipeline_consumer_handler,
                        w->pipeline, &error)) {
        wp_log(WP_LOG_ERROR, "kafka_consumer_failed", "error=%s", error.text);
        return;
    }
    wp_consumer_free(w->consumer);
    w->consumer = consumer;
    wp_pipeline_attach(w->pipeline, consumer, w->producer);
    wp_kafka_trouble(&w->stats, WP_TROUBLE_FENCED, NULL);
    w->subscribed = false;
    join(w);
}

/* Periodic checks. The reason why Redis is not ready may change while it is down. The owner of partition 0 of
 * container-event sweeps for all workers. */
static void on_watch(uv_timer_t *timer) {
    struct worker *w = timer->data;
    update_redis_health(w);
    if (!w->stopping) wp_service_look(&w->service, &w->stats);
    wp_ops_set_sweeper(w->ops, wp_pipeline_owns(w->pipeline, WP_TOPIC_EVENT, SWEEP_PARTITION));
    if (!w->stopping && wp_names_held(w->names) && wp_consumer_can_be_replaced(w->consumer))
        replace_consumer(w);
}

/* A host does nothing before this worker holds its names and may write. */
static bool has_begun(const struct worker *w) {
    return w->host && w->may_write && wp_names_held(w->names);
}

/* Stopping: no new events are taken, those taken are finished (or left to the next worker), then the loop
 * ends. */
static void end_loop(void *ctx) {
    struct worker *w = ctx;
    if (!w->ending) uv_stop(&w->loop); /* while ending, the loop runs until its handles are closed */
}

/* Releases the names when the last part has stopped, so that the next worker with them may begin. */
static void part_stopped(void *ctx) {
    struct worker *w = ctx;
    if (--w->stopping_parts == 0) wp_names_release(w->names, end_loop, w);
}

/* All events that were taken are finished: commits the last offsets and leaves the group. */
static void on_idle(void *ctx) {
    struct worker *w = ctx;
    if (w->subscribed)
        wp_consumer_close(w->consumer, part_stopped, w);
    else
        part_stopped(w);
}

static void on_deadline(uv_timer_t *timer) {
    struct worker *w = timer->data;
    wp_log(WP_LOG_WARN, "stop_timeout", "ms=%lld", (long long)w->config.worker.stop_ms);
    uv_stop(&w->loop);
}

static void stop(void *ctx, int number) {
    struct worker *w = ctx;
    if (w->stopping) return;
    w->stopping = true;
    wp_log(WP_LOG_INFO, "stopping", "signal=%d", number);
    wp_service_stopping();
    w->stopping_parts = has_begun(w) ? 2 : 1;
    if (has_begun(w)) wp_host_stop(w->host, part_stopped, w);
    w->stop_at_us = wp_clock_us() + w->config.worker.stop_ms * 1000;
    wp_end_in_any_case(w->config.worker.stop_ms);
    wp_consumer_stop(w->consumer);
    uv_timer_start(&w->deadline, on_deadline, (uint64_t)(w->config.worker.stop_ms * 3 / 4), 0);
    wp_pipeline_stop(w->pipeline, on_idle, w);
}

static void on_signal(uv_signal_t *handle, int number) {
    stop(handle->data, number);
}

/* ---- the configuration, read again ---- */

static enum wp_err check_config(void *ctx, const struct wp_config *config, struct wp_error *error) {
    (void)ctx;
    return config->host.name[0] ? wp_host_check(config, error) : WP_OK;
}

/* Each part renews what it has kept of the configuration; all else is read from it at each use. */
static void apply_config(void *ctx) {
    const struct worker *w = ctx;
    wp_options_apply_log(&w->config);
    wp_pipeline_configure(w->pipeline);
    if (w->host) wp_host_configure(w->host);
    wp_ops_configure(w->ops);
}

static void on_reloaded(void *ctx, unsigned round, const struct wp_reload_result *result) {
    struct worker *w = ctx;
    char *json = wp_reload_result_json(result);
    if (round == w->reload_asked && !w->stopping)
        wp_service_reloaded(&w->service, result->ok ? NULL : result->error);
    wp_ops_reloaded(w->ops, round, result->ok, json);
    free(json);
}

static const struct wp_reloading_handler reload_handler = {check_config, apply_config, on_reloaded};

static unsigned ask_reload(void *ctx) {
    struct worker *w = ctx;
    if (w->stopping) return 0;
    wp_service_reloading(&w->service);
    w->reload_asked = wp_reloading_ask(w->reloading);
    return w->reload_asked;
}

static void reload(void *ctx) {
    if (ask_reload(ctx) == 0) wp_log(WP_LOG_INFO, "reload_ignored", "reason=%s", "the worker is stopping");
}

static void on_forgotten(void *ctx) {
    wp_pipeline_recover(ctx);
}

static enum wp_err start(struct worker *w, struct wp_error *error) {
    enum wp_err err;
    if ((err = wp_wire_new(&w->wire, &w->config, error))) return err;
    if (w->config.wire.registry.url[0])
        w->registry = wp_registry_new(&w->loop, &w->config, &w->stats, w->wire);
    for (enum wp_slot slot = 0; slot < WP_SLOTS; slot++)
        if ((err = wp_link_new(&w->links[slot], &w->loop, &w->config, slot, &w->stats, on_link_state, w,
                               error)))
            return err;
    if (w->config.trace.url[0] &&
        (err = wp_exporter_new(&w->exporter, &w->loop, &w->config, &w->stats, error)))
        return err;
    const struct wp_names_handler names = {.held = on_names_held, .lost = on_name_lost};
    w->names = wp_names_new(&w->loop, &w->config, &w->stats, w->links[WP_SLOT_POOL], &names, w);
    if ((err = wp_pipeline_new(&w->pipeline, &w->loop, &w->config, &w->stats, w->wire, w->links, error)))
        return err;
    if ((err = wp_producer_new(&w->producer, &w->loop, &w->config, &w->stats, wp_pipeline_delivered,
                               w->pipeline, error)))
        return err;
    if ((err = wp_consumer_new(&w->consumer, &w->loop, &w->config, &w->stats, &wp_pipeline_consumer_handler,
                               w->pipeline, error)))
        return err;
    wp_pipeline_attach(w->pipeline, w->consumer, w->producer);
    wp_pipeline_trace(w->pipeline, w->exporter);
    if (w->config.host.name[0] != '\0' &&
        (err = wp_host_new(&w->host, &w->loop, &w->config, &w->stats, w->links[WP_SLOT_POOL], w->producer,
                           w->wire, error)))
        return err;
    if (w->host) wp_host_on_forgotten(w->host, on_forgotten, w->pipeline);
    if (w->host) wp_host_trace(w->host, w->exporter);
    if ((err = wp_ops_new(&w->ops, &w->loop, &w->config, &w->stats, w->links, w->producer, w->wire, error)))
        return err;
    wp_ops_on_reload(w->ops, ask_reload, w);
    return WP_OK;
}

/* How long the last spans may take: half of the time left. */
static int64_t trace_flush_ms(const struct worker *w) {
    int64_t left = w->stop_at_us == 0 ? 0 : (w->stop_at_us - wp_clock_us()) / 2000;
    return left > TRACE_FLUSH_MS ? TRACE_FLUSH_MS : left;
}

/* How long the last flush may take: half of the time left for the stop, and less before Kafka was reached,
 * when no event was handled and it would most likely be in vain. */
static int flush_ms(const struct worker *w) {
    int64_t left = w->stop_at_us == 0 ? FLUSH_MS : (w->stop_at_us - wp_clock_us()) / 2000;
    int64_t most = w->topics_made ? FLUSH_MS : END_MS / 2;
    return left < 0 ? 0 : left > most ? (int)most : (int)left;
}

static void end(struct worker *w) {
    w->ending = true;
    if (w->stopping && has_begun(w)) wp_host_leave(w->host);
    wp_ops_stop(w->ops); /* its last record has the figures of all that was finished */
    wp_consumer_free(w->consumer);
    if (w->producer) {
        size_t left = wp_producer_flush(w->producer, flush_ms(w));
        if (left > 0)
            wp_log(WP_LOG_WARN, "records_not_flushed", "count=%zu",
                   left); /* the next worker publishes them again */
    }
    if (w->exporter) wp_exporter_flush(w->exporter, trace_flush_ms(w));
    wp_ops_free(w->ops);
    wp_host_free(w->host);
    wp_pipeline_free(w->pipeline);
    wp_exporter_free(w->exporter);
    wp_producer_free(w->producer);
    for (int i = 0; i < WP_SLOTS; i++) wp_link_free(w->links[i]);
    wp_names_free(w->names);
    wp_registry_free(w->registry);
}

static void close_own(struct worker *w) {
    for (size_t i = 0; i < STOP_SIGNALS; i++) uv_close((uv_handle_t *)&w->signals[i], NULL);
    wp_hangup_close(&w->hangup);
    wp_reloading_free(w->reloading);
    wp_service_close(&w->service);
    uv_close((uv_handle_t *)&w->retry, NULL);
    uv_close((uv_handle_t *)&w->watch, NULL);
}

static void on_end_late(uv_timer_t *timer) {
    uv_stop(timer->loop);
}

/* Runs the loop until its handles are closed. False when the thread pool still waits for answers of a broker
 * that does not answer: nobody needs them, but the threads use this process' memory. */
static bool close_loop(struct worker *w) {
    uv_timer_start(&w->deadline, on_end_late, w->topics_made ? FLUSH_MS : END_MS, 0);
    uv_unref((uv_handle_t *)&w->deadline);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    if (uv_loop_alive(&w->loop)) return false;
    uv_close((uv_handle_t *)&w->deadline, NULL);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    uv_loop_close(&w->loop);
    return true;
}

static void watch_signals(struct worker *w) {
    static const int numbers[STOP_SIGNALS] = {SIGTERM, SIGINT};
    for (size_t i = 0; i < STOP_SIGNALS; i++) {
        uv_signal_init(&w->loop, &w->signals[i]);
        w->signals[i].data = w;
        uv_signal_start(&w->signals[i], on_signal, numbers[i]);
    }
    wp_hangup_watch(&w->hangup, &w->loop, reload, stop, w);
}

static bool init_own(struct worker *w) {
    wp_keep_secrets();
    int failed = uv_loop_init(&w->loop);
    if (failed) {
        fprintf(stderr, "warmpool worker: no event loop: %s; raise the limit of open files\n",
                uv_strerror(failed));
        return false;
    }
    watch_signals(w);
    wp_service_start(&w->service, &w->loop);
    w->reloading = wp_reloading_new(&w->loop, &w->config, &w->sources, &reload_handler, w);
    uv_timer_init(&w->loop, &w->retry);
    uv_timer_init(&w->loop, &w->deadline);
    uv_timer_init(&w->loop, &w->watch);
    w->retry.data = w->deadline.data = w->watch.data = w;
    w->stats.started_us = wp_clock_us();
    update_redis_health(w);
    return true;
}

static int run(struct worker *w) {
    struct wp_error error = {0};
    if (!init_own(w)) return WP_EXIT_FAILED;
    if (start(w, &error)) {
        fprintf(stderr, "warmpool worker: %s\n", error.text);
        w->exit_code = 2;
    } else {
        wp_log(WP_LOG_INFO, "started", "version=%s librdkafka=%s pid=%d", WP_VERSION, rd_kafka_version_str(),
               (int)getpid());
        find_write_ids(w);
        uv_timer_start(&w->watch, on_watch, WATCH_MS, WATCH_MS);
        on_retry(&w->retry);
        uv_run(&w->loop, UV_RUN_DEFAULT);
    }
    end(w);
    close_own(w);
    bool closed = close_loop(w);
    wp_log(WP_LOG_INFO, "stopped", "exit=%d", w->exit_code);
    if (!closed) _exit(w->exit_code);
    wp_wire_free(w->wire);
    free(w->message_topic);
    return w->exit_code;
}

static int run_subcommand(int argc, char **argv);

const struct wp_subcommand wp_cli_worker = {
    .name = "worker",
    .summary = "handle events",
    .arguments = "",
    .text = "Handles events until SIGTERM: finishes what it took, commits, and ends with 0. With host.name "
            "set it also drives containers.",
    .lists_keys = true,
    .examples = "warmpool worker -c /etc/warmpool/warmpool.ini",
    .run = run_subcommand,
};

static int run_subcommand(int argc, char **argv) {
    struct worker *w = wp_calloc(1, sizeof *w);
    struct wp_parsed parsed;
    int code = 0;
    wp_hangup_hold();
    if (wp_options_parse_sources(&wp_cli_worker, argc, argv, &w->config, &parsed, &w->sources, &code)) {
        code = run(w);
        wp_config_done(&w->config);
        wp_config_sources_done(&w->sources);
    }
    free(w);
    return code;
}
