/* Gives each container of a philosophy with pool.clean the init of worker/init/ as its first process, and
 * keeps the link to it. The program, the socket and later the claim are in the container's own folder, which
 * the engine mounts read-only. Calls the client by table.c. */
#include "host/docker/init.h"
#include <stdlib.h>
#include <string.h>
#include "core/ends.h"
#include "core/log.h"
#include "host/claims.h"
#include "host/definition.h"
#include "host/init_program.h"

enum wp_err wp_docker_init_open(struct wp_runtime *runtime, struct wp_error *error) {
    const struct wp_config *config = runtime->config;
    char *root = wp_claims_root(config, wp_config_cleans_any(config));
    runtime->folder = wp_claims_folder(root, config->host.name);
    enum wp_err err = WP_OK;
    if (wp_config_cleans_any(config)) {
        if (!*config->host.claims && strncmp(config->docker.url, "unix://", 7) != 0)
            err = wp_fail(
                error, WP_ERR_CONFIG,
                "pool.clean: the engine at docker.url = %s needs a folder that it and this worker see; name "
                "it in host.claims (docker.claims_volume when it is a volume), or set pool.clean = false",
                config->docker.url);
        if (err == WP_OK) err = wp_claims_open(root, runtime->folder, error);
        if (err == WP_OK) err = wp_init_program_write(runtime->folder, error);
    }
    free(root);
    return err;
}

void wp_docker_init_close(struct wp_runtime *runtime) {
    free(runtime->folder);
}

/* ---- before it runs ---- */

static void on_broken(void *ctx, const char *why) {
    struct docker_container *container = ctx;
    char detail[192];
    if (container->phase == RUNNING)
        snprintf(detail, sizeof detail, "%s: %.160s", wp_end_words[WP_END_NOT_PREPARED], why);
    else
        snprintf(detail, sizeof detail, "%s", why);
    wp_docker_end(container, container->phase == RUNNING ? WP_CONTAINER_DIED : WP_CONTAINER_FAILED, detail);
}

static enum wp_err listen_for(struct docker_container *container, const char *key, bool is_new,
                              struct wp_error *error) {
    const struct wp_runtime *runtime = container->runtime;
    enum wp_err err = wp_claims_make(runtime->folder, container->id, error);
    if (err == WP_OK && is_new) err = wp_init_program_link(runtime->folder, container->id, error);
    if (err == WP_OK)
        err = wp_init_link_open(&container->init, runtime->loop, runtime->folder, container->id, key, is_new,
                                on_broken, container, error);
    return err;
}

enum wp_err wp_docker_init_prepare(struct docker_container *container, struct wp_error *error) {
    if (container->init || !wp_config_cleans(container->runtime->config, container->philosophy)) return WP_OK;
    wp_init_link_new_key(container->key);
    return listen_for(container, container->key, true, error);
}

bool wp_docker_init_needs_image(const struct docker_container *container) {
    return container->init && !*wp_definition_command(container->runtime->config, container->philosophy);
}

static void append_all(json_t *list, const json_t *more) {
    size_t i;
    json_t *word;
    json_array_foreach(more, i, word) json_array_append(list, word);
}

/* Several containers have what is mounted (source:target[:ro]): the init leaves it alone. */
static void append_targets(json_t *list, const json_t *binds) {
    size_t i;
    json_t *bind;
    json_array_foreach(binds, i, bind) {
        const char *target = strchr(json_string_value(bind), ':');
        if (target) json_array_append_new(list, json_stringn(target + 1, strcspn(target + 1, ":")));
    }
}

bool wp_docker_init_add(const struct docker_container *container, json_t *body, const json_t *image) {
    if (!container->init) return true;
    const json_t *from = image ? json_object_get(image, "Config") : body;
    json_t *first = json_pack("[s]", WP_INIT_FOLDER "/" WP_INIT_PROGRAM), *rest = json_array();
    append_targets(first, json_object_get(json_object_get(body, "HostConfig"), "Binds"));
    json_array_append_new(first, json_string("--"));
    append_all(rest, json_object_get(from, "Entrypoint"));
    append_all(rest, json_object_get(from, "Cmd"));
    bool runs = json_array_size(rest) > 0;
    json_object_set_new(json_object_get(body, "HostConfig"), "Init", json_false()); /* not the engine's */
    json_object_set_new(body, "Entrypoint", first);
    json_object_set_new(body, "Cmd", rest);
    json_object_set_new(json_object_get(body, "Labels"), WP_LABEL_KEY, json_string(container->key));
    return runs;
}

void wp_docker_init_adopt(struct docker_container *container, const json_t *labels) {
    const char *key = wp_docker_text(labels, WP_LABEL_KEY);
    struct wp_error error = {0};
    snprintf(container->key, sizeof container->key, "%s", key);
    if (strlen(key) != WP_INIT_KEY || !*container->runtime->folder) { /* it was made without an init */
        wp_init_link_close(container->init);
        container->init = NULL;
    } else if (container->init) {
        wp_init_link_set_key(container->init, key);
    } else if (listen_for(container, key, false, &error) != WP_OK) {
        wp_log(WP_LOG_WARN, "init_not_reached", "container=%s reason=%s", container->id, error.text);
    } else {
        container->adopted = true;
    }
}

/* ---- when it is ready ---- */

static void after_keep(void *ctx, const char *why) {
    struct docker_container *container = ctx;
    if (why && container->adopted) {
        wp_log(WP_LOG_WARN, "init_not_reached", "container=%s reason=%s", container->id, why);
        wp_init_link_close(container->init);
        container->init = NULL;
    } else if (why) {
        wp_docker_end(container, WP_CONTAINER_FAILED, why);
        return;
    }
    container->kept(container);
}

void wp_docker_init_keep(struct docker_container *container,
                         void (*next)(struct docker_container *container)) {
    container->kept = next;
    if (container->init && !container->paused)
        wp_init_link_keep(container->init, after_keep);
    else
        next(container);
}
