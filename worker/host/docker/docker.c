/* The `docker` driver: a container of a Docker engine, made, watched and removed through its API. One thread:
 * the loop's.
 *
 *   QUEUED -> MAKING -> PROBING -> RUNNING
 *      |        |          |          |
 *      v        +----------+----------+-> REMOVING -> gone, told as `over`: FAILED, DIED or GONE
 *     GONE
 *
 * MAKING is create and start; PROBING waits until it is ready. Containers are named by their ids, so that one
 * that exists already is adopted (409). A step's answer finds its container by the id: who was removed
 * meanwhile is not there any more. Removing is tried until the engine says that it is gone; then all was
 * told. The engine's events tell of deaths; after each gap of them, and at every list, the engine is asked
 * what there is. */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include "core/clock.h"
#include "core/log.h"
#include "host/claims.h"
#include "host/definition.h"
#include "host/docker/internal.h"

#define REACH_MS 1000  /* for one look at a container's port */
#define CLOSE_MS 20000 /* close() takes no longer: an engine removes some ten a second */

struct step { /* the context of a call */
    struct wp_runtime *runtime;
    char *id; /* owned */
    void (*next)(struct container *container, const struct wp_docker_client_answer *answer);
};

static void remove_from_engine(struct container *container);

struct container *wp_docker_find(struct wp_runtime *runtime, struct wp_str id) {
    struct container *container;
    HASH_FIND(hh, runtime->containers, id.ptr, id.len, container);
    return container;
}

const char *wp_docker_text(const json_t *json, const char *key) {
    const char *text = json_string_value(json_object_get(json, key));
    return text ? text : "";
}

/* --- phases --------------------------------------------------------------------------------------------- */

void wp_docker_set_phase(struct container *container, enum phase phase) {
    struct wp_runtime *runtime = container->runtime;
    bool was = container->phase == MAKING || container->phase == PROBING;
    bool is = phase == MAKING || phase == PROBING;
    if (container->phase == QUEUED && phase != QUEUED)
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): only the last has no next */
        DL_DELETE(runtime->queue, container);
    runtime->making += (int)is - (int)was;
    container->phase = phase;
    container->changed = ++runtime->changes;
    uv_timer_stop(&container->timer);
}

static void on_timer_closed(uv_handle_t *handle) {
    struct container *container = handle->data;
    free(container->id);
    free(container->philosophy);
    free(container);
}

/* The one place where a container leaves the books; it is in no queue any more. */
static void forget(struct container *container) {
    HASH_DEL(container->runtime->containers, container);
    uv_close((uv_handle_t *)&container->timer, on_timer_closed);
}

struct container *wp_docker_add(struct wp_runtime *runtime, struct wp_str id, struct wp_str philosophy,
                                enum phase phase) {
    struct container *container = wp_calloc(1, sizeof *container);
    container->runtime = runtime;
    container->id = wp_strndup(id);
    container->philosophy = wp_strndup(philosophy);
    container->phase = QUEUED;
    uv_timer_init(runtime->loop, &container->timer);
    container->timer.data = container;
    HASH_ADD_KEYPTR(hh, runtime->containers, container->id, id.len, container);
    DL_APPEND(runtime->queue, container);
    if (phase != QUEUED) wp_docker_set_phase(container, phase);
    return container;
}

/* One call at a time. `next` is not called for one that is to be removed. */
static void on_step(void *ctx, const struct wp_docker_client_answer *answer) {
    struct step step = *(struct step *)ctx;
    free(ctx);
    struct container *container = step.runtime->closed ? NULL : wp_docker_find(step.runtime, wp_str(step.id));
    free(step.id);
    if (!container) return;
    container->step = false;
    if (container->unwanted) {
        container->unwanted = false;
        remove_from_engine(container);
        return;
    }
    step.next(container, answer);
}

static struct step *begin_step(struct container *container,
                               void (*next)(struct container *container,
                                            const struct wp_docker_client_answer *answer)) {
    struct step *step = wp_calloc(1, sizeof *step);
    wp_assert(!container->step);
    *step = (struct step){container->runtime, wp_strdup(container->id), next};
    container->step = true;
    return step;
}

void wp_docker_ask(struct container *container, const char *method, char *path, const char *body,
                   void (*next)(struct container *container, const struct wp_docker_client_answer *answer)) {
    wp_docker_client_call(container->runtime->engine, method, path, body, on_step,
                          begin_step(container, next));
    free(path);
}

void wp_docker_reach(struct container *container, const char *url, bool connect_only,
                     void (*next)(struct container *container,
                                  const struct wp_docker_client_answer *answer)) {
    wp_docker_client_reach(container->runtime->engine, url, connect_only, REACH_MS, on_step,
                           begin_step(container, next));
}

/* --- the end of one ------------------------------------------------------------------------------------- */

void wp_docker_be_over(struct container *container) {
    struct wp_runtime *runtime = container->runtime;
    wp_notices_add(&runtime->notices, wp_str(container->id), container->over, "",
                   container->over == WP_CONTAINER_GONE ? "" : container->detail);
    forget(container);
    wp_docker_start_queued(runtime);
}

static void on_retry_removal(uv_timer_t *timer) {
    remove_from_engine(timer->data);
}

static void after_removal(struct container *container, const struct wp_docker_client_answer *answer) {
    if (answer->status == 204 || answer->status == 404) {
        wp_docker_be_over(container);
        return;
    }
    if (answer->status != 409) /* 409: it is being removed already */
        wp_log(WP_LOG_WARN, "container_not_removed", "container=%s reason=%s", container->id, answer->error);
    container->retry_ms = wp_docker_next_retry(container->retry_ms);
    uv_timer_start(&container->timer, on_retry_removal, (uint64_t)container->retry_ms, 0);
}

bool wp_docker_is_ours(const struct wp_runtime *runtime, const struct wp_docker_client_answer *inspected) {
    json_t *found = json_loadb(inspected->body.ptr, inspected->body.len, 0, NULL);
    const json_t *labels = json_object_get(json_object_get(found, "Config"), "Labels");
    char *owner = wp_definition_owner(runtime->config);
    bool ours = strcmp(wp_docker_text(labels, WP_LABEL_PREFIX), owner) == 0 &&
                strcmp(wp_docker_text(labels, WP_LABEL_HOST), runtime->config->host.name) == 0;
    free(owner);
    json_decref(found);
    return ours;
}

static void after_owner(struct container *container, const struct wp_docker_client_answer *answer) {
    if (answer->status != 200) {
        after_removal(container, answer);
        return;
    }
    container->ours = wp_docker_is_ours(container->runtime, answer);
    if (container->ours)
        remove_from_engine(container);
    else
        wp_docker_be_over(container);
}

/* What has the name may be somebody else's as long as it is not known to be ours. */
static void remove_from_engine(struct container *container) {
    if (container->ours)
        wp_docker_ask(container, "DELETE", wp_format("/containers/%s?force=1&v=1", container->id), NULL,
                      after_removal);
    else
        wp_docker_ask(container, "GET", wp_format("/containers/%s/json", container->id), NULL, after_owner);
}

/* It goes, and this is what will be said of it then. */
void wp_docker_end(struct container *container, enum wp_container_state over, const char *detail) {
    container->over = over;
    snprintf(container->detail, sizeof container->detail, "%s", detail);
    wp_docker_set_phase(container, REMOVING);
    if (container->step)
        container->unwanted = true;
    else
        remove_from_engine(container);
    wp_docker_start_queued(container->runtime);
}

/* --- the verbs --------------------------------------------------------------------------------------------
 */

static void docker_create(struct wp_runtime *runtime, const struct wp_container_spec *spec) {
    struct container *container = wp_docker_find(runtime, spec->id);
    if (container) { /* one that is not ready yet will say so by itself */
        if (container->phase == RUNNING)
            wp_notices_add(&runtime->notices, spec->id, WP_CONTAINER_READY, container->address, "");
        return;
    }
    container = wp_docker_add(runtime, spec->id, spec->philosophy, QUEUED);
    container->limits = spec->limits;
    container->asked_us = wp_clock_us();
    wp_docker_start_queued(runtime);
}

static void docker_destroy(struct wp_runtime *runtime, struct wp_str id) {
    struct container *container = wp_docker_find(runtime, id);
    if (container && container->phase == QUEUED) {
        wp_notices_add(&runtime->notices, id, WP_CONTAINER_GONE, "", "");
        wp_docker_set_phase(container, REMOVING);
        forget(container);
        return;
    }
    if (!container)
        container =
            wp_docker_add(runtime, id, WP_STR(""), MAKING); /* the engine knows whether there is one */
    if (container->phase == REMOVING)
        container->over = WP_CONTAINER_GONE;
    else
        wp_docker_end(container, WP_CONTAINER_GONE, "");
}

static double ms_between(int64_t from_us, int64_t till_us) {
    return (double)(till_us - from_us) / 1000.0;
}

static bool docker_facts(struct wp_runtime *runtime, struct wp_str id, struct wp_container_facts *ret) {
    const struct container *c = wp_docker_find(runtime, id);
    if (!c || c->phase != RUNNING) return false;
    *ret = (struct wp_container_facts){.image = wp_definition_image(runtime->config, c->philosophy)};
    if (!c->begun_us || !c->ready_us) return true;
    ret->queue_ms = ms_between(c->asked_us, c->begun_us);
    ret->create_ms = ms_between(c->begun_us, c->made_us);
    ret->start_ms = ms_between(c->made_us, c->started_us);
    ret->ready_ms = ms_between(c->started_us, c->ready_us);
    return true;
}

static bool docker_away(struct wp_runtime *runtime) {
    return runtime->list_unanswered || runtime->events_lost;
}

/* --- the driver -------------------------------------------------------------------------------------------
 */

static void on_handle_closed(uv_handle_t *handle) {
    struct wp_runtime *runtime = handle->data;
    if (--runtime->handles == 0) free(runtime);
}

static enum wp_err docker_open(struct wp_runtime **ret_runtime, uv_loop_t *loop,
                               const struct wp_config *config, wp_runtime_notify notify, void *ctx,
                               struct wp_error *error) {
    struct wp_docker_client *engine;
    if (wp_definition_check(config, error) != WP_OK ||
        wp_docker_client_open(&engine, loop, config, error) != WP_OK)
        return error->code;
    struct wp_runtime *runtime = wp_calloc(1, sizeof *runtime);
    *runtime = (struct wp_runtime){.loop = loop, .config = config, .engine = engine, .handles = 2};
    runtime->filters = wp_docker_filters(config, false);
    if (!*config->docker.claims_volume)
        runtime->claims_source = wp_claims_folder(config->host.claims, config->host.name);
    runtime->creates =
        config->host.creates > 0 ? (int)config->host.creates : wp_runtime_docker.default_creates;
    wp_notices_open(&runtime->notices, loop, notify, ctx);
    wp_docker_images_open(runtime);
    uv_timer_init(loop, &runtime->events_retry);
    runtime->events_retry.data = runtime;
    wp_docker_watch(runtime);
    *ret_runtime = runtime;
    return WP_OK;
}

/* The containers stay, unless they were asked to go: then their removal is waited for. */
static void docker_close(struct wp_runtime *runtime) {
    if (!runtime) return;
    runtime->closing = true;
    wp_docker_client_drain(runtime->engine, CLOSE_MS);
    runtime->closed = true;
    wp_docker_client_close(runtime->engine);
    struct container *container, *next;
    HASH_ITER(hh, runtime->containers, container, next) forget(container);
    free(runtime->filters);
    free(runtime->claims_source);
    wp_docker_forget_strangers(runtime);
    free(runtime->images);
    wp_notices_close(&runtime->notices, on_handle_closed, runtime);
    uv_close((uv_handle_t *)&runtime->events_retry, on_handle_closed);
}

const struct wp_runtime_driver wp_runtime_docker = {
    .name = "docker",
    .default_creates = 4,
    .outlives = true,
    .open = docker_open,
    .create = docker_create,
    .destroy = docker_destroy,
    .pause = wp_docker_pause,
    .resume = wp_docker_resume,
    .run = wp_docker_run,
    .facts = docker_facts,
    .can_make = wp_docker_can_make,
    .away = docker_away,
    .list = wp_docker_list,
    .close = docker_close,
};
