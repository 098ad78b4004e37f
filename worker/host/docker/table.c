/* Owns the table of containers: see table.h. An answer finds its container by the id, because the container
 * may have been removed meanwhile. A removal is repeated until the engine says that the container is gone. */
#include "host/docker/table.h"
#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include "core/log.h"
#include "host/definition.h"

#define REACH_MS 1000 /* for one probe of a container's port */

struct step { /* the context of a call */
    struct wp_runtime *runtime;
    char *id; /* owned */
    void (*next)(struct docker_container *container, const struct wp_docker_client_answer *answer);
};

static void begin_removal(struct docker_container *container);

struct docker_container *wp_docker_find(struct wp_runtime *runtime, struct wp_str id) {
    struct docker_container *container;
    HASH_FIND(hh, runtime->containers, id.ptr, id.len, container);
    return container;
}

const char *wp_docker_text(const json_t *json, const char *key) {
    const char *text = json_string_value(json_object_get(json, key));
    return text ? text : "";
}

/* ---- phases ---- */

static void close_init(struct docker_container *container) {
    wp_init_link_close(container->init);
    container->init = NULL;
}

void wp_docker_set_phase(struct docker_container *container, enum docker_phase phase) {
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
    if (phase == REMOVING) close_init(container);
}

static int by_turn(const struct docker_container *a, const struct docker_container *b) {
    return a->turn_us <= b->turn_us ? -1 : 1;
}

static void enqueue(struct docker_container *container) {
    DL_INSERT_INORDER(container->runtime->queue, container, by_turn);
}

void wp_docker_requeue(struct docker_container *container) {
    wp_docker_set_phase(container, QUEUED);
    enqueue(container);
}

void wp_docker_end_queued(struct docker_container *container, enum wp_container_state over,
                          const char *detail) {
    wp_deferred_add(&container->runtime->deferred, wp_str(container->id), over, "", detail);
    wp_docker_set_phase(container, REMOVING);
    wp_docker_forget(container);
}

static void on_timer_closed(uv_handle_t *handle) {
    struct docker_container *container = handle->data;
    free(container->id);
    free(container->philosophy);
    free(container->made.name);
    free(container->made.id);
    free(container->made.image);
    json_decref(container->claim);
    free(container);
}

void wp_docker_forget(struct docker_container *container) {
    close_init(container);
    HASH_DEL(container->runtime->containers, container);
    uv_close((uv_handle_t *)&container->timer, on_timer_closed);
}

struct docker_container *wp_docker_add(struct wp_runtime *runtime, struct wp_str id, struct wp_str philosophy,
                                       enum docker_phase phase, int64_t turn_us) {
    struct docker_container *container = wp_calloc(1, sizeof *container);
    container->runtime = runtime;
    container->id = wp_strndup(id);
    container->philosophy = wp_strndup(philosophy);
    container->phase = QUEUED;
    container->turn_us = turn_us;
    container->end.status = -1;
    uv_timer_init(runtime->loop, &container->timer);
    container->timer.data = container;
    HASH_ADD_KEYPTR(hh, runtime->containers, container->id, id.len, container);
    enqueue(container);
    if (phase != QUEUED) wp_docker_set_phase(container, phase);
    return container;
}

void wp_docker_own(struct docker_container *container) {
    container->ours = true;
}

void wp_docker_set_paused(struct docker_container *container, bool paused) {
    container->paused = paused;
    container->changed = ++container->runtime->changes;
}

/* The answer to a container's call. */
static void on_step(void *ctx, const struct wp_docker_client_answer *answer) {
    struct step step = *(struct step *)ctx;
    free(ctx);
    struct docker_container *container =
        step.runtime->closed ? NULL : wp_docker_find(step.runtime, wp_str(step.id));
    free(step.id);
    if (!container) return;
    container->step = false;
    if (container->unwanted) {
        container->unwanted = false;
        begin_removal(container);
        return;
    }
    step.next(container, answer);
}

static struct step *begin_step(struct docker_container *container,
                               void (*next)(struct docker_container *container,
                                            const struct wp_docker_client_answer *answer)) {
    struct step *step = wp_calloc(1, sizeof *step);
    wp_assert(!container->step);
    *step = (struct step){container->runtime, wp_strdup(container->id), next};
    container->step = true;
    return step;
}

void wp_docker_ask(struct docker_container *container, const char *method, char *path, const char *body,
                   void (*next)(struct docker_container *container,
                                const struct wp_docker_client_answer *answer)) {
    wp_docker_client_call(container->runtime->engine, method, path, body, on_step,
                          begin_step(container, next));
    free(path);
}

void wp_docker_reach(struct docker_container *container, const char *url, bool connect_only,
                     void (*next)(struct docker_container *container,
                                  const struct wp_docker_client_answer *answer)) {
    wp_docker_client_reach(container->runtime->engine, url, connect_only, REACH_MS, on_step,
                           begin_step(container, next));
}

/* ---- a container's end ---- */

static void report(struct docker_container *container) {
    container->reported = true;
    wp_deferred_add(&container->runtime->deferred, wp_str(container->id), container->over, "",
                    container->over == WP_CONTAINER_GONE ? "" : container->detail);
}

/* Nothing is left of the container. */
static void be_over(struct docker_container *container) {
    struct wp_runtime *runtime = container->runtime;
    if (!container->reported) report(container);
    wp_docker_forget(container);
    runtime->on_room(runtime);
}

static void remove_from_engine(struct docker_container *container);

static void on_retry_removal(uv_timer_t *timer) {
    remove_from_engine(timer->data);
}

static void after_removal(struct docker_container *container, const struct wp_docker_client_answer *answer) {
    if (answer->status == 204 || answer->status == 404) {
        be_over(container);
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

static void after_owner(struct docker_container *container, const struct wp_docker_client_answer *answer) {
    if (answer->status != 200) {
        after_removal(container, answer);
        return;
    }
    container->ours = wp_docker_is_ours(container->runtime, answer);
    if (container->ours)
        remove_from_engine(container);
    else
        be_over(container);
}

/* Inspects the container first when it is not known to be ours: somebody else's may have the name. */
static void remove_from_engine(struct docker_container *container) {
    if (container->ours)
        wp_docker_ask(container, "DELETE", wp_format("/containers/%s?force=1&v=1", container->id), NULL,
                      after_removal);
    else
        wp_docker_ask(container, "GET", wp_format("/containers/%s/json", container->id), NULL, after_owner);
}

void wp_docker_go_on(struct docker_container *container) {
    remove_from_engine(container);
}

/* What ended by itself may have written why, which is lost with it. */
static void begin_removal(struct docker_container *container) {
    bool by_itself = container->over != WP_CONTAINER_GONE && container->ours && !container->looked;
    if (by_itself && container->runtime->last_look) {
        container->looked = true;
        container->runtime->last_look(container);
    } else {
        remove_from_engine(container);
    }
}

void wp_docker_end(struct docker_container *container, enum wp_container_state over, const char *detail) {
    container->over = over;
    snprintf(container->detail, sizeof container->detail, "%s", detail);
    wp_docker_set_phase(container, REMOVING);
    if (over != WP_CONTAINER_GONE && !container->unanswered) report(container);
    if (container->step)
        container->unwanted = true;
    else
        begin_removal(container);
    container->runtime->on_room(container->runtime);
}

void wp_docker_remove(struct docker_container *container) {
    if (container->phase != REMOVING) {
        wp_docker_end(container, WP_CONTAINER_GONE, "");
        return;
    }
    container->over = WP_CONTAINER_GONE;
    container->reported = false;
}
