/* Lists and removes the containers of a host that another one replaces. Calls the client, and watch.c for the
 * filter. */
#include "host/docker/left.h"
#include <stdlib.h>
#include "core/log.h"
#include "host/docker/watch.h"

#define LIST_MS 5000 /* for an answer with the list */

struct call {
    struct wp_runtime *runtime;
    wp_runtime_left left; /* NULL: of a removal */
    void (*done)(void *ctx, bool ok);
    void *ctx;
};

static void notify(const struct call *call, const json_t *rows) {
    size_t i;
    const json_t *row;
    json_array_foreach(rows, i, row) {
        const char *name = json_string_value(json_array_get(json_object_get(row, "Names"), 0));
        if (name && name[0] == '/') call->left(call->ctx, wp_str(name + 1));
    }
}

static void on_list(void *ctx, const struct wp_docker_client_answer *answer) {
    struct call call = *(struct call *)ctx;
    free(ctx);
    json_t *rows = answer->status == 200 ? json_loadb(answer->body.ptr, answer->body.len, 0, NULL) : NULL;
    bool ok = json_is_array(rows);
    if (ok) notify(&call, rows);
    if (!ok && !call.runtime->closed) wp_log(WP_LOG_WARN, "engine_list_failed", "reason=%s", answer->error);
    json_decref(rows);
    call.done(call.ctx, ok);
}

static void on_removed(void *ctx, const struct wp_docker_client_answer *answer) {
    struct call call = *(struct call *)ctx;
    free(ctx);
    call.done(call.ctx, answer->status == 204 || answer->status == 404);
}

static struct call *call_new(struct wp_runtime *runtime, wp_runtime_left left,
                             void (*done)(void *ctx, bool ok), void *ctx) {
    struct call *call = wp_calloc(1, sizeof *call);
    *call = (struct call){runtime, left, done, ctx};
    return call;
}

void wp_docker_left(struct wp_runtime *runtime, const char *host, wp_runtime_left left,
                    void (*done)(void *ctx, bool ok), void *ctx) {
    char *filters = wp_docker_filters(runtime->config, host, false),
         *path = wp_format("/containers/json?all=1&filters=%s", filters);
    wp_docker_client_get(runtime->engine, path, LIST_MS, on_list, call_new(runtime, left, done, ctx));
    free(path);
    free(filters);
}

void wp_docker_remove_left(struct wp_runtime *runtime, struct wp_str id, void (*done)(void *ctx, bool ok),
                           void *ctx) {
    char *path = wp_format("/containers/%.*s?force=1&v=1", (int)id.len, id.ptr);
    wp_docker_client_call(runtime->engine, "DELETE", path, NULL, on_removed,
                          call_new(runtime, NULL, done, ctx));
    free(path);
}
