/* Owns the rounds of reading the configuration again: see reloading.h. */
#include "cli/reloading.h"
#include <stdlib.h>
#include "core/log.h"

struct wp_reloading {
    uv_loop_t *loop;
    struct wp_config *config; /* in force; borrowed, as the next two */
    const struct wp_config_sources *sources;
    const struct wp_reloading_handler *handler;
    void *ctx;
    /* As the sources said, of keys that wait for a restart at the start of the worker: the worker itself
     * lowers kafka.message.max.bytes in `config`. */
    struct wp_config as_read;
    uv_work_t work;
    struct wp_config fresh; /* of the round under way, as the thread pool has read it */
    enum wp_err err;
    struct wp_error error;
    unsigned round; /* the number of the latest one */
    bool running, again, freed;
};

static void start(struct wp_reloading *reloading);

static void release(struct wp_reloading *reloading) {
    if (!reloading->freed || reloading->running) return;
    wp_config_done(&reloading->as_read);
    free(reloading);
}

static void read_sources(uv_work_t *work) {
    struct wp_reloading *reloading = work->data;
    reloading->err = wp_config_sources_load(reloading->sources, &reloading->fresh, &reloading->error);
}

/* Takes over what `fresh` has of keys that do not wait for a restart. Frees fresh. */
static enum wp_err take_over(struct wp_reloading *reloading, struct wp_config *fresh,
                             struct wp_error *error) {
    struct wp_config wanted;
    struct wp_error inner;
    wp_config_copy(&wanted, reloading->config);
    wp_config_exchange(&wanted, fresh);
    wp_config_done(fresh);
    enum wp_err err = wp_config_check(&wanted, &inner);
    if (err != WP_OK)
        wp_fail(error, err, "%s (with the old values of keys that wait for a restart)", inner.text);
    else
        err = reloading->handler->check(reloading->ctx, &wanted, error);
    if (err == WP_OK) {
        struct wp_config copy;
        wp_config_exchange(reloading->config, &wanted);
        wp_config_copy(&copy, reloading->config);
        wp_config_exchange(&reloading->as_read, &copy);
        wp_config_done(&copy);
        reloading->handler->apply(reloading->ctx);
    }
    wp_config_done(&wanted);
    return err;
}

static const char *shown(const char *value) {
    return value ? value : "(not set)";
}

static void log_changes(const struct wp_config_changes *changes) {
    for (size_t i = 0; i < changes->count; i++) {
        const struct wp_config_change *change = &changes->list[i];
        bool waits = change->applies == WP_APPLIES_AT_RESTART;
        wp_log(waits ? WP_LOG_WARN : WP_LOG_INFO, waits ? "config_needs_restart" : "config_changed",
               "key=%s before=%s after=%s applies=%s", change->key, shown(change->before),
               shown(change->after), wp_applies_word(change->applies));
    }
}

static void log_result(const struct wp_reload_result *result) {
    const char *file = result->file ? result->file : "(no file)";
    if (!result->ok) {
        wp_log(WP_LOG_ERROR, "reload_failed", "file=%s error=%s kept=%s", file, result->error,
               "the configuration from before");
        return;
    }
    log_changes(result->changes);
    wp_log(WP_LOG_INFO, "reloaded", "file=%s changed=%zu needs_restart=%zu", file,
           result->changes->count - result->changes->waiting, result->changes->waiting);
}

static void end_round(struct wp_reloading *reloading) {
    struct wp_config_changes changes = {0};
    enum wp_log_level before = wp_log_level();
    if (reloading->err == WP_OK) {
        wp_config_compare(&reloading->as_read, &reloading->fresh, &changes);
        reloading->err = take_over(reloading, &reloading->fresh, &reloading->error);
        if (reloading->err != WP_OK) wp_config_changes_done(&changes);
    }
    const struct wp_reload_result result = {.ok = reloading->err == WP_OK,
                                            .error = reloading->error.text,
                                            .file = reloading->sources->file,
                                            .changes = &changes};
    enum wp_log_level now = wp_log_level();
    wp_log_set_level(before < now ? before : now); /* a change of the level itself is seen, whichever way */
    log_result(&result);
    wp_log_set_level(now);
    reloading->handler->done(reloading->ctx, reloading->round, &result);
    wp_config_changes_done(&changes);
}

static void on_read(uv_work_t *work, int status) {
    struct wp_reloading *reloading = work->data;
    (void)status;
    reloading->running = false;
    if (reloading->freed) {
        if (reloading->err == WP_OK) wp_config_done(&reloading->fresh);
        release(reloading);
        return;
    }
    end_round(reloading);
    if (reloading->again) start(reloading);
}

static void start(struct wp_reloading *reloading) {
    reloading->again = false;
    reloading->running = true;
    reloading->round++;
    reloading->work.data = reloading;
    wp_assert(uv_queue_work(reloading->loop, &reloading->work, read_sources, on_read) == 0);
}

struct wp_reloading *wp_reloading_new(uv_loop_t *loop, struct wp_config *config,
                                      const struct wp_config_sources *sources,
                                      const struct wp_reloading_handler *handler, void *ctx) {
    struct wp_reloading *reloading = wp_calloc(1, sizeof(*reloading));
    *reloading = (struct wp_reloading){
        .loop = loop, .config = config, .sources = sources, .handler = handler, .ctx = ctx};
    wp_config_copy(&reloading->as_read, config);
    return reloading;
}

unsigned wp_reloading_ask(struct wp_reloading *reloading) {
    if (!reloading->running) {
        start(reloading);
        return reloading->round;
    }
    reloading->again = true;
    return reloading->round + 1;
}

void wp_reloading_free(struct wp_reloading *reloading) {
    if (!reloading) return;
    reloading->freed = true;
    release(reloading);
}
