/* The docker driver's steps around a lease: pause, resume, clean, and the reset command, in a container that
 * is ready. */
#include "host/docker/bind.h"
#include <stdlib.h>
#include <string.h>
#include "core/ends.h"
#include "core/log.h"
#include "host/docker/exec.h"

static struct docker_container *find_ready(struct wp_runtime *runtime, struct wp_str id) {
    struct docker_container *container = wp_docker_find(runtime, id);
    return container && container->phase == RUNNING ? container : NULL; /* else its end is reported */
}

static void notify_later(struct docker_container *container, enum wp_container_state state) {
    wp_deferred_add(&container->runtime->deferred, wp_str(container->id), state, "", "");
}

static void end(struct docker_container *container, const char *what, const char *why) {
    char detail[192];
    snprintf(detail, sizeof detail, "%s: %s%s", wp_end_words[WP_END_NOT_PREPARED], what, why);
    wp_docker_end(container, WP_CONTAINER_DIED, detail);
}

/* The engine refused to pause or resume, perhaps because the container was paused or running already: inspect
 * shows its state. */
static void after_inspect(struct docker_container *container, const struct wp_docker_client_answer *answer) {
    json_t *inspected =
        answer->status == 200 ? json_loadb(answer->body.ptr, answer->body.len, 0, NULL) : NULL;
    const json_t *state = json_object_get(inspected, "State");
    bool runs = json_is_true(json_object_get(state, "Running"));
    wp_docker_set_paused(container, json_is_true(json_object_get(state, "Paused")));
    json_decref(inspected);
    if (!runs || (container->paused && container->resuming))
        end(container, "it could not be unpaused", "");
    else
        notify_later(container, container->paused ? WP_CONTAINER_PAUSED : WP_CONTAINER_RUNNING);
}

static void after_change(struct docker_container *container, const struct wp_docker_client_answer *answer) {
    if (answer->status == 204) {
        wp_docker_set_paused(container, !container->resuming);
        notify_later(container, container->paused ? WP_CONTAINER_PAUSED : WP_CONTAINER_RUNNING);
        return;
    }
    wp_log(WP_LOG_WARN, container->resuming ? "container_not_resumed" : "container_not_paused",
           "container=%s reason=%s", container->id, answer->error);
    wp_docker_ask(container, "GET", wp_format("/containers/%s/json", container->id), NULL, after_inspect);
}

static void change(struct wp_runtime *runtime, struct wp_str id, bool resume) {
    struct docker_container *container = find_ready(runtime, id);
    if (!container) return;
    container->resuming = resume;
    wp_docker_ask(container, "POST",
                  wp_format("/containers/%s/%s", container->id, resume ? "unpause" : "pause"), NULL,
                  after_change);
}

void wp_docker_pause(struct wp_runtime *runtime, struct wp_str id) {
    change(runtime, id, false);
}

void wp_docker_resume(struct wp_runtime *runtime, struct wp_str id) {
    change(runtime, id, true);
}

static void after_clean(void *ctx, const char *why) {
    struct docker_container *container = ctx;
    container->cleaning = false;
    if (why)
        end(container, "it could not be cleaned: ", why);
    else
        notify_later(container, WP_CONTAINER_CLEANED);
}

void wp_docker_clean(struct wp_runtime *runtime, struct wp_str id) {
    struct docker_container *container = find_ready(runtime, id);
    if (!container || container->cleaning) return;
    if (!container->init) {
        end(container, "it could not be cleaned: it was made with pool.clean = false, or its init is lost",
            "");
        return;
    }
    container->cleaning = true;
    wp_init_link_clean(container->init, after_clean);
}

static void after_command(struct docker_container *container, int code, const char *why) {
    char detail[64];
    snprintf(detail, sizeof detail, "its reset command ended with status %d", code);
    if (code == 0)
        notify_later(container, WP_CONTAINER_RAN);
    else if (code > 0)
        end(container, detail, "");
    else
        end(container, "its reset command could not be run: ", why);
}

void wp_docker_run(struct wp_runtime *runtime, struct wp_str id, const char *command) {
    struct docker_container *container = find_ready(runtime, id);
    const char *const argv[] = {"/bin/sh", "-c", command, NULL};
    if (container) wp_docker_exec(container, argv, after_command);
}
