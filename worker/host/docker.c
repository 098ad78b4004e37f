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
#include <uthash.h>
#include <utlist.h>
#include "core/clock.h"
#include "core/log.h"
#include "host/definition.h"
#include "host/engine.h"
#include "host/notices.h"

#define PROBE_MS 25        /* between two looks at one that is not ready */
#define RETRY_FIRST_MS 200 /* what the engine did not take is tried again, ever more slowly */
#define RETRY_MOST_MS 10000
#define CLOSE_MS 20000 /* close() takes no longer: an engine removes some ten a second */

enum phase { QUEUED, MAKING, PROBING, RUNNING, REMOVING };

struct container {
    struct wp_runtime *runtime;
    char *id, *philosophy; /* owned */
    struct wp_limits limits;
    enum phase phase;
    enum wp_container_state over; /* while REMOVING */
    bool step;                    /* a call of it is under way */
    bool unwanted;                /* to be removed when that is answered */
    char address[64], detail[192];
    char exec[80]; /* of the test for a file */
    int64_t probing_since_us;
    int64_t retry_ms;
    uint64_t changed; /* runtime->changes when it became what it is */
    bool seen;        /* in the list that is read */
    uv_timer_t timer; /* the next look, or the next try */
    int handles;
    struct container *prev, *next; /* in the queue */
    UT_hash_handle hh;
};

struct listing { /* of a reconcile; waits for the engine's answer */
    struct wp_runtime *runtime;
    wp_runtime_listed listed; /* NULL: the driver's own, after a gap of events */
    void (*done)(void *ctx, bool ok);
    void *ctx;
    uint64_t changes; /* runtime->changes when it was asked for */
};

struct wp_runtime {
    uv_loop_t *loop;
    const struct wp_config *config; /* borrowed */
    struct wp_engine *engine;
    struct wp_notices notices;
    char *filters; /* owned: our labels, as the engine's filters, escaped for a URL */
    int making, creates;
    struct container *containers; /* by id */
    struct container *queue;
    uint64_t changes;
    uv_timer_t events_retry;
    int64_t events_retry_ms;
    bool closing, closed; /* no more creates; no more of anything */
    int handles;
};

struct step { /* the context of a call */
    struct wp_runtime *runtime;
    char *id; /* owned */
    void (*next)(struct container *container, const struct wp_engine_answer *answer);
};

static void start_queued(struct wp_runtime *runtime);
static void remove_from_engine(struct container *container);

static struct container *find(struct wp_runtime *runtime, struct wp_str id) {
    struct container *container;
    HASH_FIND(hh, runtime->containers, id.ptr, id.len, container);
    return container;
}

static const char *text_at(const json_t *json, const char *key) {
    const char *text = json_string_value(json_object_get(json, key));
    return text ? text : "";
}

/* --- phases --------------------------------------------------------------------------------------------- */

static void set_phase(struct container *container, enum phase phase) {
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

static struct container *add(struct wp_runtime *runtime, struct wp_str id, struct wp_str philosophy,
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
    if (phase != QUEUED) set_phase(container, phase);
    return container;
}

/* One call at a time. `next` is not called for one that is to be removed. */
static void on_step(void *ctx, const struct wp_engine_answer *answer) {
    struct step step = *(struct step *)ctx;
    free(ctx);
    struct container *container = step.runtime->closed ? NULL : find(step.runtime, wp_str(step.id));
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

static void ask(struct container *container, const char *method, char *path, const char *body,
                void (*next)(struct container *container, const struct wp_engine_answer *answer)) {
    struct step *step = wp_calloc(1, sizeof *step);
    wp_assert(!container->step);
    *step = (struct step){container->runtime, wp_strdup(container->id), next};
    container->step = true;
    wp_engine_call(container->runtime->engine, method, path, body, on_step, step);
    free(path);
}

/* --- the end of one ------------------------------------------------------------------------------------- */

static void be_over(struct container *container) {
    struct wp_runtime *runtime = container->runtime;
    wp_notices_add(&runtime->notices, wp_str(container->id), container->over, "",
                   container->over == WP_CONTAINER_GONE ? "" : container->detail);
    forget(container);
    start_queued(runtime);
}

static void on_retry_removal(uv_timer_t *timer) {
    remove_from_engine(timer->data);
}

static void after_removal(struct container *container, const struct wp_engine_answer *answer) {
    if (answer->status == 204 || answer->status == 404) {
        be_over(container);
        return;
    }
    if (answer->status != 409) /* 409: it is being removed already */
        wp_log(WP_LOG_WARN, "container_not_removed", "container=%s reason=%s", container->id, answer->error);
    container->retry_ms = container->retry_ms == 0 ? RETRY_FIRST_MS : 2 * container->retry_ms;
    if (container->retry_ms > RETRY_MOST_MS) container->retry_ms = RETRY_MOST_MS;
    uv_timer_start(&container->timer, on_retry_removal, (uint64_t)container->retry_ms, 0);
}

static void remove_from_engine(struct container *container) {
    ask(container, "DELETE", wp_format("/containers/%s?force=1&v=1", container->id), NULL, after_removal);
}

/* It goes, and this is what will be said of it then. */
static void end(struct container *container, enum wp_container_state over, const char *detail) {
    container->over = over;
    snprintf(container->detail, sizeof container->detail, "%s", detail);
    set_phase(container, REMOVING);
    if (container->step)
        container->unwanted = true;
    else
        remove_from_engine(container);
    start_queued(container->runtime);
}

/* --- until it is ready ------------------------------------------------------------------------------------
 */

static void look(struct container *container);

static void on_look_again(uv_timer_t *timer) {
    look(timer->data);
}

static void look_again(struct container *container, const char *why) {
    const struct wp_config *config = container->runtime->config;
    int64_t waited_ms = (wp_clock_us() - container->probing_since_us) / 1000;
    if (waited_ms < config->docker.ready_timeout_ms) {
        uv_timer_start(&container->timer, on_look_again, PROBE_MS, 0);
        return;
    }
    char detail[192];
    snprintf(detail, sizeof detail, "not ready within docker.ready_timeout_ms = %lld: %s",
             (long long)config->docker.ready_timeout_ms, why);
    end(container, WP_CONTAINER_FAILED, detail);
}

static void become_ready(struct container *container) {
    set_phase(container, RUNNING);
    wp_notices_add(&container->runtime->notices, wp_str(container->id), WP_CONTAINER_READY,
                   container->address, "");
    start_queued(container->runtime);
}

static void fail(struct container *container, const struct wp_engine_answer *answer, const char *what) {
    char detail[192];
    snprintf(detail, sizeof detail, "%s: %s", what, answer->error);
    end(container, WP_CONTAINER_FAILED, detail);
}

static void after_test(struct container *container, const struct wp_engine_answer *answer) {
    json_t *exec = answer->status == 200 ? json_loadb(answer->body.ptr, answer->body.len, 0, NULL) : NULL;
    const json_t *code = json_object_get(exec, "ExitCode");
    if (json_is_integer(code) && json_integer_value(code) == 0 &&
        json_is_false(json_object_get(exec, "Running")))
        become_ready(container);
    else
        look_again(container, "the file that docker.ready names is not there");
    json_decref(exec);
}

static void after_test_ran(struct container *container, const struct wp_engine_answer *answer) {
    if (answer->status != 200) {
        look_again(container, answer->error);
        return;
    }
    ask(container, "GET", wp_format("/exec/%s/json", container->exec), NULL, after_test);
}

static void after_test_made(struct container *container, const struct wp_engine_answer *answer) {
    json_t *json = answer->status == 201 ? json_loadb(answer->body.ptr, answer->body.len, 0, NULL) : NULL;
    const char *id = text_at(json, "Id");
    if (!*id) {
        look_again(container, answer->error);
    } else {
        snprintf(container->exec, sizeof container->exec, "%s", id);
        ask(container, "POST", wp_format("/exec/%s/start", container->exec), "{\"Detach\": false}",
            after_test_ran);
    }
    json_decref(json);
}

static void test_file(struct container *container, const char *path) {
    json_t *body = json_pack("{s:b, s:b, s:[s, s, s]}", "AttachStdout", true, "AttachStderr", true, "Cmd",
                             "test", "-e", path);
    char *text = json_dumps(body, 0);
    ask(container, "POST", wp_format("/containers/%s/exec", container->id), text, after_test_made);
    free(text);
    json_decref(body);
}

/* How an agent reaches it: its address on its network, else its name. */
static void keep_address(struct container *container, const json_t *inspected) {
    const json_t *networks = json_object_get(json_object_get(inspected, "NetworkSettings"), "Networks"),
                 *network;
    const char *name;
    snprintf(container->address, sizeof container->address, "container:%.50s", container->id);
    json_object_foreach((json_t *)networks, name, network) {
        const char *ip = text_at(network, "IPAddress");
        if (*ip) snprintf(container->address, sizeof container->address, "%s", ip);
    }
}

static void after_look(struct container *container, const struct wp_engine_answer *answer) {
    if (answer->status != 200) {
        fail(container, answer, "it could not be inspected");
        return;
    }
    json_t *inspected = json_loadb(answer->body.ptr, answer->body.len, 0, NULL);
    const json_t *state = json_object_get(inspected, "State");
    const char *path, *health = text_at(json_object_get(state, "Health"), "Status");
    enum wp_ready ready = wp_definition_ready(container->runtime->config, container->philosophy, &path);
    keep_address(container, inspected);
    if (!json_is_true(json_object_get(state, "Running"))) {
        char detail[192];
        snprintf(detail, sizeof detail, "it exited with status %lld before it was ready",
                 (long long)json_integer_value(json_object_get(state, "ExitCode")));
        end(container, WP_CONTAINER_FAILED, detail);
    } else if (ready == WP_READY_FILE) {
        test_file(container, path);
    } else if (ready == WP_READY_RUNNING || strcmp(health, "healthy") == 0) {
        become_ready(container);
    } else {
        look_again(container,
                   *health ? "its health check says that it is not" : "its image has no HEALTHCHECK");
    }
    json_decref(inspected);
}

static void look(struct container *container) {
    ask(container, "GET", wp_format("/containers/%s/json", container->id), NULL, after_look);
}

static void probe(struct container *container) {
    container->probing_since_us = wp_clock_us();
    set_phase(container, PROBING);
    look(container);
}

/* --- making -----------------------------------------------------------------------------------------------
 */

static void after_start(struct container *container, const struct wp_engine_answer *answer) {
    if (answer->status == 204 || answer->status == 304)
        probe(container);
    else
        fail(container, answer, "it could not be started");
}

static void start(struct container *container) {
    ask(container, "POST", wp_format("/containers/%s/start", container->id), NULL, after_start);
}

/* The name is taken: by a create of ours whose answer was lost, or by somebody else's. */
static void after_conflict(struct container *container, const struct wp_engine_answer *answer) {
    if (answer->status != 200) {
        fail(container, answer, "its name is taken, and by whom is not known");
        return;
    }
    json_t *inspected = json_loadb(answer->body.ptr, answer->body.len, 0, NULL);
    const json_t *labels = json_object_get(json_object_get(inspected, "Config"), "Labels");
    char *owner = wp_definition_owner(container->runtime->config);
    bool ours = strcmp(text_at(labels, WP_LABEL_PREFIX), owner) == 0 &&
                strcmp(text_at(labels, WP_LABEL_HOST), container->runtime->config->host.name) == 0;
    free(owner);
    if (ours) {
        start(container);
    } else { /* not ours to remove */
        container->over = WP_CONTAINER_FAILED;
        snprintf(container->detail, sizeof container->detail,
                 "its name is taken by a container of somebody else");
        set_phase(container, REMOVING);
        be_over(container);
    }
    json_decref(inspected);
}

static void after_create(struct container *container, const struct wp_engine_answer *answer) {
    if (answer->status == 201) {
        start(container);
    } else if (answer->status == 409) {
        ask(container, "GET", wp_format("/containers/%s/json", container->id), NULL, after_conflict);
    } else if (answer->status == 404) {
        char detail[192];
        snprintf(detail, sizeof detail, "the image %s is not on host %s",
                 wp_definition_image(container->runtime->config, container->philosophy),
                 container->runtime->config->host.name);
        end(container, WP_CONTAINER_FAILED, detail);
    } else {
        fail(container, answer, "it could not be created");
    }
}

static void make(struct container *container) {
    struct wp_runtime *runtime = container->runtime;
    struct wp_container_spec spec = {wp_str(container->id), wp_str(container->philosophy), container->limits};
    json_t *body = wp_definition_body(runtime->config, &spec);
    char *text = json_dumps(body, JSON_COMPACT);
    set_phase(container, MAKING);
    ask(container, "POST", wp_format("/containers/create?name=%s", container->id), text, after_create);
    free(text);
    json_decref(body);
}

static void start_queued(struct wp_runtime *runtime) {
    while (runtime->queue && runtime->making < runtime->creates && !runtime->closing) make(runtime->queue);
}

/* --- deaths -----------------------------------------------------------------------------------------------
 */

static void die(struct container *container, const char *detail) {
    if (container->phase == RUNNING)
        end(container, WP_CONTAINER_DIED, detail);
    else if (container->phase == PROBING)
        end(container, WP_CONTAINER_FAILED, detail);
}

static void on_event(void *ctx, struct wp_str line) {
    struct wp_runtime *runtime = ctx;
    json_t *event = json_loadb(line.ptr, line.len, 0, NULL);
    const json_t *attributes = json_object_get(json_object_get(event, "Actor"), "Attributes");
    struct container *container = find(runtime, wp_str(text_at(attributes, "name")));
    char detail[192];
    if (container && strcmp(text_at(event, "Action"), "die") == 0) {
        snprintf(detail, sizeof detail, "it exited with status %s%s", text_at(attributes, "exitCode"),
                 container->phase == PROBING ? " before it was ready" : "");
        die(container, detail);
    } else if (container) {
        die(container, "it was removed by somebody else");
    }
    json_decref(event);
}

static void list_again(struct wp_runtime *runtime);

static void on_events_opened(void *ctx) {
    struct wp_runtime *runtime = ctx;
    runtime->events_retry_ms = 0;
    list_again(runtime);
}

static void watch_events(struct wp_runtime *runtime);

static void on_events_retry(uv_timer_t *timer) {
    watch_events(timer->data);
}

static void on_events_over(void *ctx, const struct wp_engine_answer *answer) {
    struct wp_runtime *runtime = ctx;
    if (runtime->closing) return;
    wp_log(WP_LOG_WARN, "engine_events_lost", "reason=%s",
           *answer->error ? answer->error : "the engine ended them");
    runtime->events_retry_ms = runtime->events_retry_ms == 0 ? RETRY_FIRST_MS : 2 * runtime->events_retry_ms;
    if (runtime->events_retry_ms > RETRY_MOST_MS) runtime->events_retry_ms = RETRY_MOST_MS;
    uv_timer_start(&runtime->events_retry, on_events_retry, (uint64_t)runtime->events_retry_ms, 0);
}

static char *escape(const char *text) {
    struct wp_buf out = {0};
    for (const char *at = text; *at; at++) wp_buf_printf(&out, "%%%02X", (unsigned char)*at);
    return out.data; /* printf ends it with a NUL */
}

/* {"label": [ours, of this host], ...} */
static char *filters_of(const struct wp_config *config, bool events) {
    char *owner = wp_definition_owner(config);
    json_t *filters = json_pack("{s:[o, o]}", "label", json_sprintf(WP_LABEL_PREFIX "=%s", owner),
                                json_sprintf(WP_LABEL_HOST "=%s", config->host.name));
    if (events) {
        json_object_set_new(filters, "type", json_pack("[s]", "container"));
        json_object_set_new(filters, "event", json_pack("[s, s]", "die", "destroy"));
    }
    char *text = json_dumps(filters, JSON_COMPACT), *escaped = escape(text);
    json_decref(filters);
    free(text);
    free(owner);
    return escaped;
}

static void watch_events(struct wp_runtime *runtime) {
    char *filters = filters_of(runtime->config, true), *path = wp_format("/events?filters=%s", filters);
    wp_engine_watch(runtime->engine, path, on_events_opened, on_event, on_events_over, runtime);
    free(path);
    free(filters);
}

/* --- what there is
 * ------------------------------------------------------------------------------------------ */

/* One that we do not know: of a worker before us. Ready or not, it has to be seen again. */
static struct container *adopt(struct wp_runtime *runtime, const char *id, const char *philosophy,
                               const char *state) {
    struct container *container = add(runtime, wp_str(id), wp_str(philosophy), MAKING);
    if (strcmp(state, "running") == 0)
        probe(container);
    else if (strcmp(state, "created") == 0)
        end(container, WP_CONTAINER_FAILED, "its worker ended before it was started");
    else
        end(container, WP_CONTAINER_DIED, "it ended while nobody watched it");
    return container;
}

static void see(struct wp_runtime *runtime, const json_t *row, uint64_t asked_at) {
    const char *name = json_string_value(json_array_get(json_object_get(row, "Names"), 0));
    const char *id = name && name[0] == '/' ? name + 1 : "", *state = text_at(row, "State");
    struct container *container = find(runtime, wp_str(id));
    if (!*id || strcmp(state, "removing") == 0) return; /* what is removed already is nothing to wait for */
    if (!container)
        container = adopt(runtime, id, text_at(json_object_get(row, "Labels"), WP_LABEL_POOL), state);
    else if (container->changed <= asked_at && (strcmp(state, "exited") == 0 || strcmp(state, "dead") == 0))
        die(container, "it ended while nobody watched it");
    container->seen = true;
}

static void tell_listed(const struct listing *listing) {
    static const enum wp_container_state states[] = {[QUEUED] = WP_CONTAINER_STARTING,
                                                     [MAKING] = WP_CONTAINER_STARTING,
                                                     [PROBING] = WP_CONTAINER_STARTING,
                                                     [RUNNING] = WP_CONTAINER_READY,
                                                     [REMOVING] = WP_CONTAINER_GONE};
    struct container *container, *next;
    HASH_ITER(hh, listing->runtime->containers, container, next) {
        listing->listed(listing->ctx, wp_str(container->id), states[container->phase],
                        wp_str(container->phase == RUNNING ? container->address : ""));
    }
}

static void compare(struct listing *listing, const json_t *rows) {
    struct wp_runtime *runtime = listing->runtime;
    struct container *container, *next;
    size_t i;
    const json_t *row;
    HASH_ITER(hh, runtime->containers, container, next) container->seen = false;
    json_array_foreach(rows, i, row) see(runtime, row, listing->changes);
    HASH_ITER(hh, runtime->containers, container, next) {
        if (!container->seen && container->changed <= listing->changes)
            die(container, "not found by its host");
    }
}

static void on_list(void *ctx, const struct wp_engine_answer *answer) {
    struct listing *listing = ctx;
    json_t *rows = answer->status == 200 ? json_loadb(answer->body.ptr, answer->body.len, 0, NULL) : NULL;
    bool ok = json_is_array(rows);
    if (listing->runtime->closed) {
        json_decref(rows);
        free(listing);
        return;
    }
    if (ok) compare(listing, rows);
    if (!ok) wp_log(WP_LOG_WARN, "engine_list_failed", "reason=%s", answer->error);
    if (ok && listing->listed) tell_listed(listing);
    if (listing->done) listing->done(listing->ctx, ok);
    json_decref(rows);
    free(listing);
}

static void docker_list(struct wp_runtime *runtime, wp_runtime_listed listed,
                        void (*done)(void *ctx, bool ok), void *ctx) {
    struct listing *listing = wp_calloc(1, sizeof *listing);
    *listing = (struct listing){runtime, listed, done, ctx, runtime->changes};
    char *path = wp_format("/containers/json?all=1&filters=%s", runtime->filters);
    wp_engine_call(runtime->engine, "GET", path, NULL, on_list, listing);
    free(path);
}

static void list_again(struct wp_runtime *runtime) {
    docker_list(runtime, NULL, NULL, NULL);
}

/* --- the verbs --------------------------------------------------------------------------------------------
 */

static void docker_create(struct wp_runtime *runtime, const struct wp_container_spec *spec) {
    struct container *container = find(runtime, spec->id);
    if (container) { /* one that is not ready yet will say so by itself */
        if (container->phase == RUNNING)
            wp_notices_add(&runtime->notices, spec->id, WP_CONTAINER_READY, container->address, "");
        return;
    }
    container = add(runtime, spec->id, spec->philosophy, QUEUED);
    container->limits = spec->limits;
    start_queued(runtime);
}

static void docker_destroy(struct wp_runtime *runtime, struct wp_str id) {
    struct container *container = find(runtime, id);
    if (container && container->phase == QUEUED) {
        wp_notices_add(&runtime->notices, id, WP_CONTAINER_GONE, "", "");
        set_phase(container, REMOVING);
        forget(container);
        return;
    }
    if (!container)
        container = add(runtime, id, WP_STR(""), MAKING); /* the engine knows whether there is one */
    if (container->phase == REMOVING)
        container->over = WP_CONTAINER_GONE;
    else
        end(container, WP_CONTAINER_GONE, "");
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
    struct wp_engine *engine;
    if (wp_definition_check(config, error) != WP_OK || wp_engine_open(&engine, loop, config, error) != WP_OK)
        return error->code;
    struct wp_runtime *runtime = wp_calloc(1, sizeof *runtime);
    *runtime = (struct wp_runtime){.loop = loop, .config = config, .engine = engine, .handles = 2};
    runtime->filters = filters_of(config, false);
    runtime->creates =
        config->host.creates > 0 ? (int)config->host.creates : wp_runtime_docker.default_creates;
    wp_notices_open(&runtime->notices, loop, notify, ctx);
    uv_timer_init(loop, &runtime->events_retry);
    runtime->events_retry.data = runtime;
    watch_events(runtime);
    *ret_runtime = runtime;
    return WP_OK;
}

/* The containers stay, unless they were asked to go: then their removal is waited for. */
static void docker_close(struct wp_runtime *runtime) {
    if (!runtime) return;
    runtime->closing = true;
    wp_engine_drain(runtime->engine, CLOSE_MS);
    runtime->closed = true;
    wp_engine_close(runtime->engine);
    struct container *container, *next;
    HASH_ITER(hh, runtime->containers, container, next) forget(container);
    free(runtime->filters);
    wp_notices_close(&runtime->notices, on_handle_closed, runtime);
    uv_close((uv_handle_t *)&runtime->events_retry, on_handle_closed);
}

const struct wp_runtime_driver wp_runtime_docker = {
    .name = "docker",
    .default_creates = 4,
    .open = docker_open,
    .create = docker_create,
    .destroy = docker_destroy,
    .list = docker_list,
    .close = docker_close,
};
