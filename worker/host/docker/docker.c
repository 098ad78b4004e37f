/* The `docker` driver, which makes, watches and removes containers through the API of a Docker engine: its
 * verbs, open and close. Calls all other files of this folder. One thread: the loop's.
 *
 * A container's name at the engine is its id, so that one that exists already is adopted (409). The engine's
 * events report deaths; after each gap of them, and at every reconcile, the engine lists its containers. */
#include <stdlib.h>
#include "core/clock.h"
#include "core/log.h"
#include "host/claims.h"
#include "host/definition.h"
#include "host/docker/bind.h"
#include "host/docker/images.h"
#include "host/docker/init.h"
#include "host/docker/left.h"
#include "host/docker/made.h"
#include "host/docker/output.h"
#include "host/docker/start.h"
#include "host/docker/watch.h"

#define CLOSE_MS 20000 /* longest time of close(): an engine removes about ten containers a second */

/* ---- the verbs ---- */

static void docker_create(struct wp_runtime *runtime, const struct wp_container_spec *spec) {
    struct docker_container *container = wp_docker_find(runtime, spec->id);
    if (container) { /* READY follows by itself when it is not ready yet */
        if (container->phase == RUNNING)
            wp_deferred_add(&runtime->deferred, spec->id, WP_CONTAINER_READY, container->address, "");
        container->reported = false; /* the end of one that is being removed follows, too */
        return;
    }
    wp_docker_start(runtime, spec);
}

static void docker_destroy(struct wp_runtime *runtime, struct wp_str id) {
    struct docker_container *container = wp_docker_find(runtime, id);
    if (container && container->phase == QUEUED) {
        wp_docker_end_queued(container, WP_CONTAINER_GONE, "");
        return;
    }
    /* Unknown here: the engine knows whether it exists. */
    if (!container) container = wp_docker_add(runtime, id, WP_STR(""), MAKING, 0);
    wp_docker_remove(container);
}

static double ms_between(int64_t from_us, int64_t till_us) {
    return (double)(till_us - from_us) / 1000.0;
}

static bool docker_facts(struct wp_runtime *runtime, struct wp_str id, struct wp_container_facts *ret) {
    const struct docker_container *c = wp_docker_find(runtime, id);
    if (!c || c->phase != RUNNING) return false;
    *ret = (struct wp_container_facts){.image = c->made.image, .outdated = wp_docker_made_outdated(c)};
    if (!c->start.begun_us || !c->start.ready_us) return true;
    ret->queue_ms = ms_between(c->start.asked_us, c->start.begun_us);
    ret->create_ms = ms_between(c->start.begun_us, c->start.made_us);
    ret->start_ms = ms_between(c->start.made_us, c->start.started_us);
    ret->ready_ms = ms_between(c->start.started_us, c->start.ready_us);
    return true;
}

/* ---- the driver ---- */

static void on_handle_closed(uv_handle_t *handle) {
    struct wp_runtime *runtime = handle->data;
    if (--runtime->handles == 0) free(runtime);
}

static enum wp_err docker_open(struct wp_runtime **ret_runtime, uv_loop_t *loop,
                               const struct wp_config *config, wp_runtime_notify notify, void *ctx,
                               struct wp_error *error) {
    if (wp_definition_check(config, error) != WP_OK) return error->code;
    struct wp_runtime *runtime = wp_calloc(1, sizeof *runtime);
    *runtime = (struct wp_runtime){.loop = loop,
                                   .config = config,
                                   .creates = wp_runtime_creates(&wp_runtime_docker, config),
                                   .handles = 5};
    if (wp_docker_init_open(runtime, error) != WP_OK ||
        wp_docker_client_open(&runtime->engine, loop, config, error) != WP_OK) {
        wp_docker_init_close(runtime);
        free(runtime);
        return error->code;
    }
    wp_deferred_open(&runtime->deferred, loop, notify, ctx);
    wp_docker_start_open(runtime);
    wp_docker_images_open(runtime);
    wp_docker_made_open(runtime);
    wp_docker_output_configure(runtime);
    wp_docker_watch_open(runtime);
    *ret_runtime = runtime;
    return WP_OK;
}

static void docker_configure(struct wp_runtime *runtime) {
    runtime->creates = wp_runtime_creates(&wp_runtime_docker, runtime->config);
    wp_docker_images_configure(runtime);
    wp_docker_made_configure(runtime);
    wp_docker_output_configure(runtime);
    runtime->on_room(runtime); /* more may be made at once, or of another image */
}

/* What the engine was too slow for: these have no worker now. */
static void log_left(const struct wp_runtime *runtime) {
    int left = 0;
    for (const struct docker_container *c = runtime->containers; c; c = c->hh.next)
        left += c->phase == REMOVING;
    if (left > 0)
        wp_log(WP_LOG_WARN, "containers_left", "count=%d reason=%s", left,
               "the engine has not removed them in time; the next worker with this host.name does");
}

/* Keeps the containers. Waits for the removals under way. */
static void docker_close(struct wp_runtime *runtime) {
    if (!runtime) return;
    runtime->closing = true;
    wp_docker_client_drain(runtime->engine, CLOSE_MS);
    log_left(runtime);
    runtime->closed = true;
    wp_docker_client_close(runtime->engine);
    struct docker_container *container, *next;
    HASH_ITER(hh, runtime->containers, container, next) wp_docker_forget(container);
    wp_docker_start_close(runtime, on_handle_closed);
    wp_docker_init_close(runtime);
    wp_docker_images_close(runtime, on_handle_closed);
    wp_docker_watch_close(runtime, on_handle_closed);
    wp_deferred_close(&runtime->deferred, on_handle_closed, runtime);
}

const struct wp_runtime_driver wp_runtime_docker = {
    .name = "docker",
    .default_creates = 4,
    .outlives = true,
    .has_folders = true,
    .check = wp_definition_check,
    .open = docker_open,
    .configure = docker_configure,
    .create = docker_create,
    .destroy = docker_destroy,
    .pause = wp_docker_pause,
    .resume = wp_docker_resume,
    .run = wp_docker_run,
    .clean = wp_docker_clean,
    .facts = docker_facts,
    .can_make = wp_docker_can_make,
    .lacks = wp_docker_lacks,
    .report = wp_docker_report,
    .away = wp_docker_away,
    .list = wp_docker_list,
    .left = wp_docker_left,
    .remove_left = wp_docker_remove_left,
    .close = docker_close,
};
