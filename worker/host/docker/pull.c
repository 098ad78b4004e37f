#include "host/docker/pull.h"
#include <stdlib.h>
#include <string.h>
#include "core/clock.h"
#include "core/log.h"
#include "host/docker/credentials.h"
#include "host/docker/image_name.h"

#define LOG_EVERY_US 10000000 /* between two lines of progress */

struct layer {
    char id[72];
    int64_t current, total; /* bytes downloaded */
    UT_hash_handle hh;
};

struct docker_pull {
    struct wp_runtime *runtime; /* borrowed, as the next two */
    const char *image;
    uint64_t *bytes;
    wp_docker_pull_over over;
    void *ctx;
    struct layer *layers;
    int64_t begun_us, heard_us, logged_us;
    bool newer;        /* the engine has downloaded something: its tag had moved, or it had no such image */
    char failure[512]; /* the engine's words inside its stream; empty: none */
    char helper[64];   /* see struct wp_credentials */
    bool authorised;   /* credentials were sent */
};

/* --- progress ---------------------------------------------------------------------------------------------
 */

static struct layer *layer_of(struct docker_pull *pull, const char *id) {
    struct layer *layer;
    HASH_FIND_STR(pull->layers, id, layer);
    if (layer) return layer;
    layer = wp_calloc(1, sizeof *layer);
    snprintf(layer->id, sizeof layer->id, "%s", id);
    HASH_ADD_STR(pull->layers, id, layer);
    return layer;
}

static void note_bytes(struct docker_pull *pull, struct layer *layer, int64_t current) {
    if (current <= layer->current) return; /* a download that began anew */
    *pull->bytes += (uint64_t)(current - layer->current);
    layer->current = current;
}

static int64_t sum(const struct docker_pull *pull, int64_t *ret_total) {
    int64_t current = 0;
    *ret_total = 0;
    for (const struct layer *layer = pull->layers; layer; layer = layer->hh.next) {
        current += layer->current;
        *ret_total += layer->total;
    }
    return current;
}

int wp_docker_pull_percent(const struct docker_pull *pull) {
    int64_t total, current = sum(pull, &total);
    return total > 0 ? (int)(100 * current / total) : -1;
}

static void log_progress(struct docker_pull *pull) {
    int64_t now = wp_clock_us(), total, current = sum(pull, &total);
    if (now - pull->logged_us < LOG_EVERY_US) return;
    pull->logged_us = now;
    wp_log(WP_LOG_INFO, "image_pulling", "image=%s bytes=%lld of=%lld s=%lld", pull->image,
           (long long)current, (long long)total, (long long)((now - pull->begun_us) / 1000000));
}

/* {"status": "Downloading", "progressDetail": {"current": 1, "total": 2}, "id": "6e9f..."} */
static void note_progress(struct docker_pull *pull, const json_t *line, const char *status) {
    const json_t *detail = json_object_get(line, "progressDetail");
    const char *id = wp_docker_text(line, "id");
    int64_t total = json_integer_value(json_object_get(detail, "total"));
    bool downloading = strcmp(status, "Downloading") == 0,
         complete = strcmp(status, "Download complete") == 0;
    if (!*id || (!downloading && !complete)) return;
    struct layer *layer = layer_of(pull, id);
    if (downloading && total > 0) layer->total = total;
    note_bytes(pull, layer,
               downloading ? json_integer_value(json_object_get(detail, "current")) : layer->total);
}

/* An error inside the stream: its status was 200 before anything was tried. */
static void note_failure(struct docker_pull *pull, const json_t *line) {
    const char *error = wp_docker_text(line, "error"),
               *detail = wp_docker_text(json_object_get(line, "errorDetail"), "message");
    if (*error || *detail) snprintf(pull->failure, sizeof pull->failure, "%s", *detail ? detail : error);
}

static void on_line(void *ctx, struct wp_str text) {
    struct docker_pull *pull = ctx;
    json_t *line = json_loadb(text.ptr, text.len, 0, NULL);
    const char *status = wp_docker_text(line, "status");
    pull->heard_us = wp_clock_us();
    pull->newer = pull->newer || strncmp(status, "Status: Downloaded newer", 24) == 0;
    note_failure(pull, line);
    note_progress(pull, line, status);
    log_progress(pull);
    json_decref(line);
}

/* --- its end ----------------------------------------------------------------------------------------------
 */

static bool says(const char *why, const char *const *words) {
    while (*words && !strcasestr(why, *words)) words++;
    return *words != NULL;
}

/* What to do about a refusal for want of credentials. */
static char *mend_credentials(const struct docker_pull *pull, struct wp_str registry) {
    const char *file = pull->runtime->config->docker.config;
    if (!*file)
        return wp_format(
            "set docker.config to a file in the format of Docker's config.json with the credentials of "
            "%.*s, or mend docker.image",
            (int)registry.len, registry.ptr);
    if (*pull->helper)
        return wp_format("give user and password of %.*s in `auths` of %s: it names the credential helper "
                         "%s, which is not run here",
                         (int)registry.len, registry.ptr, file, pull->helper);
    return wp_format("%s the credentials of %.*s in %s; it is read again at each try",
                     pull->authorised ? "mend" : "add", (int)registry.len, registry.ptr, file);
}

static char *mend(const struct docker_pull *pull, const char *why) {
    static const char *const refused[] = {"unauthorized", "authentication required", "no basic auth",
                                          "denied",       "incorrect username",      NULL};
    static const char *const unknown[] = {"not found", "unknown", "invalid reference", "repository name",
                                          NULL};
    struct wp_str registry = wp_image_name(pull->image).registry;
    if (says(why, refused)) return mend_credentials(pull, registry);
    if (says(why, unknown)) return wp_strdup("push the image to its registry, or mend docker.image");
    return wp_format("see that %.*s answers and that the engine can reach it; it is tried again",
                     (int)registry.len, registry.ptr);
}

/* Why it failed; NULL: it did not. Owned by the caller. */
static char *failure_of(const struct docker_pull *pull, const struct wp_docker_client_answer *answer) {
    int64_t quiet_ms = (wp_clock_us() - pull->heard_us) / 1000,
            limit_ms = pull->runtime->config->docker.timeout_ms;
    if (*pull->failure) return wp_strdup(pull->failure);
    if (answer->status == 200) return NULL;
    if (answer->status == 0 && quiet_ms >= limit_ms)
        return wp_format("nothing was heard of it for docker.timeout_ms = %lld", (long long)limit_ms);
    return wp_strdup(answer->error);
}

static void free_pull(struct docker_pull *pull) {
    struct layer *layer, *next;
    HASH_ITER(hh, pull->layers, layer, next) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the table goes with its last layer only */
        HASH_DEL(pull->layers, layer);
        free(layer);
    }
    free(pull);
}

static void on_over(void *ctx, const struct wp_docker_client_answer *answer) {
    struct docker_pull *pull = ctx;
    int64_t total, current = sum(pull, &total);
    char *why = failure_of(pull, answer), *advice = why ? mend(pull, why) : NULL;
    if (!why)
        wp_log(WP_LOG_INFO, "image_pulled", "image=%s newer=%s bytes=%lld ms=%lld", pull->image,
               pull->newer ? "yes" : "no", (long long)current,
               (long long)((wp_clock_us() - pull->begun_us) / 1000));
    pull->over(pull->ctx, why, advice);
    free(why);
    free(advice);
    free_pull(pull);
}

/* --- its begin --------------------------------------------------------------------------------------------
 */

static void ask(struct docker_pull *pull, const struct wp_image_name *name, const char *auth) {
    char *repository = wp_docker_client_escape(name->repository), *tag = wp_docker_client_escape(name->tag),
         *path = wp_format("/images/create?fromImage=%s&tag=%s", repository, tag);
    wp_docker_client_pull(pull->runtime->engine, path, auth, on_line, on_over, pull);
    free(repository);
    free(tag);
    free(path);
}

struct docker_pull *wp_docker_pull_begin(struct wp_runtime *runtime, const char *image, uint64_t *bytes,
                                         wp_docker_pull_over over, void *ctx, struct wp_error *error) {
    struct wp_image_name name = wp_image_name(image);
    struct wp_credentials credentials;
    const char *file = runtime->config->docker.config;
    if (wp_credentials_read(&credentials, file, name.registry, error)) return NULL;
    struct docker_pull *pull = wp_calloc(1, sizeof *pull);
    int64_t now = wp_clock_us();
    *pull = (struct docker_pull){.runtime = runtime,
                                 .image = image,
                                 .bytes = bytes,
                                 .over = over,
                                 .ctx = ctx,
                                 .begun_us = now,
                                 .heard_us = now,
                                 .logged_us = now,
                                 .authorised = credentials.auth != NULL};
    snprintf(pull->helper, sizeof pull->helper, "%s", credentials.helper);
    wp_log(WP_LOG_INFO, "image_pull_started", "image=%s registry=%.*s credentials=%s", image,
           (int)name.registry.len, name.registry.ptr, credentials.auth ? file : "none");
    ask(pull, &name, credentials.auth);
    wp_credentials_done(&credentials);
    return pull;
}
