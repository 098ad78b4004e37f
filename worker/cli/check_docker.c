/* Checks what a host needs of its Docker engine. */
#include "cli/check_docker.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "core/buf.h"
#include "host/definition.h"
#include "host/docker/client.h"
#include "host/docker/credentials.h"
#include "host/docker/image_name.h"

enum { ANSWER_MS = 10000 };

struct image_query {
    struct wp_check *check;
    const char *image; /* borrowed; NULL: the engine itself */
    bool answered;
};

static void on_version(struct wp_check *check, const struct wp_docker_client_answer *answer) {
    json_t *version = json_loadb(answer->body.ptr, answer->body.len, 0, NULL);
    const char *number = json_string_value(json_object_get(version, "Version"));
    const char *api = json_string_value(json_object_get(version, "ApiVersion"));
    wp_check_say(check, WP_CHECK_OK, "docker", "engine %s (API %s) at %s", number ? number : "?",
                 api ? api : "?", check->config->docker.url);
    json_decref(version);
}

static void would_be_pulled(struct wp_check *check, const char *image) {
    struct wp_str registry = wp_image_name(image).registry;
    const char *file = check->config->docker.config;
    struct wp_credentials credentials;
    struct wp_error error;
    if (wp_credentials_read(&credentials, file, registry, &error) != WP_OK) {
        wp_check_say(check, WP_CHECK_FAILED, "image", "%s is not there and cannot be pulled: %s", image,
                     error.text);
    } else if (*credentials.helper) {
        wp_check_say(
            check, WP_CHECK_OK, "image",
            "%s is not there; the host pulls it from %.*s without credentials: %s names the helper %s, which "
            "is not run here",
            image, (int)registry.len, registry.ptr, file, credentials.helper);
    } else {
        wp_check_say(check, WP_CHECK_OK, "image", "%s is not there; the host pulls it from %.*s %s%s", image,
                     (int)registry.len, registry.ptr,
                     credentials.auth ? "with the credentials in " : "without credentials",
                     credentials.auth ? file : "");
    }
    wp_credentials_done(&credentials);
}

static void on_missing(struct wp_check *check, const char *image) {
    if (wp_definition_pull(check->config, image) != WP_PULL_NEVER)
        would_be_pulled(check, image);
    else
        wp_check_say(check, WP_CHECK_FAILED, "image",
                     "%s is not there; docker pull it, or set docker.pull = missing, or docker.image", image);
}

static void on_answer(void *ctx, const struct wp_docker_client_answer *answer) {
    struct image_query *query = ctx;
    struct wp_check *check = query->check;
    query->answered = true;
    if (answer->status == 200 && !query->image)
        on_version(check, answer);
    else if (answer->status == 200)
        wp_check_say(check, WP_CHECK_OK, "image", "%s is there%s", query->image,
                     wp_definition_pull(check->config, query->image) == WP_PULL_ALWAYS
                         ? ", and is pulled when the host starts (docker.pull = always)"
                         : "");
    else if (answer->status == 404 && query->image)
        on_missing(check, query->image);
    else if (query->image)
        wp_check_say(check, WP_CHECK_FAILED, "image", "%s: %s; see docker.image", query->image,
                     answer->error);
    else
        wp_check_say(check, WP_CHECK_FAILED, "docker", "%s%s", answer->error,
                     strstr(answer->error, WP_DOCKER_DENIED) ? "" : "; start it, or set docker.url");
}

static void ask(struct wp_docker_client *engine, struct wp_check *check, const char *image) {
    struct image_query query = {.check = check, .image = image};
    char *path = image ? wp_format("/images/%s/json", image) : wp_strdup("/version");
    wp_docker_client_call(engine, "GET", path, NULL, on_answer, &query);
    wp_docker_client_drain(engine, ANSWER_MS);
    if (!query.answered)
        wp_check_say(check, WP_CHECK_FAILED, image ? "image" : "docker",
                     "the engine at %s has not answered in %d s", check->config->docker.url,
                     ANSWER_MS / 1000);
    free(path);
}

void wp_check_docker(struct wp_check *check) {
    const struct wp_config *config = check->config;
    struct wp_docker_client *engine;
    struct wp_error error;
    uv_loop_t loop;
    uv_loop_init(&loop);
    if (wp_definition_check(config, &error) != WP_OK ||
        wp_docker_client_open(&engine, &loop, config, &error) != WP_OK) {
        wp_check_say(check, WP_CHECK_FAILED, "docker", "%s", error.text);
    } else {
        int before = check->failed;
        ask(engine, check, NULL);
        if (check->failed == before) {
            ask(engine, check, config->docker.image);
            for (size_t i = 0; i < config->docker.image_of.count; i++)
                ask(engine, check, config->docker.image_of.list[i].value);
        }
        wp_docker_client_close(engine);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
}
