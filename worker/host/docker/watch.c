/* Watches the engine's containers: reads its stream of events, and its list after each gap of the stream, at
 * every reconcile, and every few seconds, for deaths that the stream did not report. Pings the engine,
 * because one that hangs answers nothing and closes nothing. */
#include "host/docker/watch.h"
#include <stdlib.h>
#include <string.h>
#include "core/clock.h"
#include "core/log.h"
#include "host/definition.h"
#include "host/docker/deaths.h"
#include "host/docker/images.h"
#include "host/docker/init.h"
#include "host/docker/start.h"

#define ABANDONED_US 10000000
#define PING_EVERY_MS 2000
#define UNANSWERED                                                                                           \
    2 /* pings in a row after which the engine is away: one may be lost to a pause of this worker */
#define LIST_EVERY 3 /* pings */
#define LIST_MS 5000 /* for an answer with the list */

struct listing { /* a request for the engine's list */
    struct wp_runtime *runtime;
    wp_runtime_listed listed; /* a reconcile's callback; NULL: a list of the driver's own, after a gap */
    void (*done)(void *ctx, bool ok);
    void *ctx;
    uint64_t changes; /* runtime->changes when it was asked for */
};

static void note_silence(struct wp_runtime *runtime, const struct wp_docker_client_answer *answer) {
    snprintf(runtime->watch.why, sizeof runtime->watch.why, "%s",
             *answer->error ? answer->error : "the Docker engine has ended its stream of events");
}

/* ---- the events ---- */

/* Somebody else has paused it, or resumed it. While a call of ours is under way its answer says what it is.
 */
static void notice_paused(struct docker_container *container, bool paused) {
    if (container->phase != RUNNING || container->step || container->cleaning || container->paused == paused)
        return;
    wp_docker_set_paused(container, paused);
    wp_log(WP_LOG_WARN, paused ? "container_paused_by_hand" : "container_resumed_by_hand", "container=%s",
           container->id);
    wp_deferred_add(&container->runtime->deferred, wp_str(container->id),
                    paused ? WP_CONTAINER_PAUSED : WP_CONTAINER_RUNNING, "", "");
}

static void handle(struct docker_container *container, const char *action, const json_t *attributes) {
    if (strcmp(action, "die") == 0)
        wp_docker_exited(container, wp_docker_text(attributes, "exitCode"));
    else if (strcmp(action, "destroy") == 0)
        wp_docker_removed(container);
    else if (strcmp(action, "rename") == 0)
        wp_docker_renamed(container, wp_docker_text(attributes, "name"));
    else if (strcmp(action, "kill") == 0)
        wp_docker_signalled(container, wp_docker_text(attributes, "signal"));
    else if (strcmp(action, "oom") == 0)
        wp_docker_out_of_memory(container);
    else if (strcmp(action, "health_status: unhealthy") == 0)
        wp_docker_unhealthy(container);
    else if (strcmp(action, "pause") == 0 || strcmp(action, "unpause") == 0)
        notice_paused(container, strcmp(action, "pause") == 0);
}

/* Its name is what it is known by: under another one it is nobody's, and the next list has it removed. */
static struct docker_container *find_renamed(struct wp_runtime *runtime, const json_t *attributes) {
    const char *old = wp_docker_text(attributes, "oldName");
    return wp_docker_find(runtime, wp_str(old[0] == '/' ? old + 1 : old));
}

static void on_event(void *ctx, struct wp_str line) {
    struct wp_runtime *runtime = ctx;
    json_t *event = json_loadb(line.ptr, line.len, 0, NULL);
    const json_t *attributes = json_object_get(json_object_get(event, "Actor"), "Attributes");
    const char *action = wp_docker_text(event, "Action");
    struct docker_container *container =
        strcmp(action, "rename") == 0 ? find_renamed(runtime, attributes)
                                      : wp_docker_find(runtime, wp_str(wp_docker_text(attributes, "name")));
    if (container) handle(container, action, attributes);
    json_decref(event);
}

static void list_again(struct wp_runtime *runtime);
static void read_events(struct wp_runtime *runtime);

static void on_events_opened(void *ctx) {
    struct wp_runtime *runtime = ctx;
    runtime->watch.retry_ms = 0;
    runtime->watch.lost = false;
    list_again(runtime);
}

static void on_events_retry(uv_timer_t *timer) {
    read_events(timer->data);
}

static void on_events_over(void *ctx, const struct wp_docker_client_answer *answer) {
    struct wp_runtime *runtime = ctx;
    if (runtime->closing) return;
    wp_log(WP_LOG_WARN, "engine_events_lost", "reason=%s",
           *answer->error ? answer->error : "the engine ended them");
    runtime->watch.lost = runtime->watch.retry_ms > 0;
    note_silence(runtime, answer);
    runtime->watch.retry_ms = wp_docker_next_retry(runtime->watch.retry_ms);
    uv_timer_start(&runtime->watch.retry, on_events_retry, (uint64_t)runtime->watch.retry_ms, 0);
}

char *wp_docker_filters(const struct wp_config *config, const char *host, bool events) {
    char *owner = wp_definition_owner(config);
    json_t *filters = json_pack("{s:[o, o]}", "label", json_sprintf(WP_LABEL_PREFIX "=%s", owner),
                                json_sprintf(WP_LABEL_HOST "=%s", host));
    if (events) {
        json_object_set_new(filters, "type", json_pack("[s]", "container"));
        json_object_set_new(filters, "event",
                            json_pack("[s, s, s, s, s, s, s, s]", "die", "destroy", "kill", "oom",
                                      "health_status", "pause", "unpause", "rename"));
    }
    char *text = json_dumps(filters, JSON_COMPACT), *escaped = wp_docker_client_escape(wp_str(text));
    json_decref(filters);
    free(text);
    free(owner);
    return escaped;
}

static void read_events(struct wp_runtime *runtime) {
    char *filters = wp_docker_filters(runtime->config, runtime->config->host.name, true),
         *path = wp_format("/events?filters=%s", filters);
    wp_docker_client_watch(runtime->engine, path, on_events_opened, on_event, on_events_over, runtime);
    free(path);
    free(filters);
}

/* ---- the engine's list ---- */

/* A container that is not in the table is left from an earlier worker: it is probed again, ready or not. */
static struct docker_container *adopt(struct wp_runtime *runtime, const char *id, const json_t *row) {
    const char *philosophy = wp_docker_text(json_object_get(row, "Labels"), WP_LABEL_POOL),
               *state = wp_docker_text(row, "State");
    struct docker_container *container = wp_docker_add(runtime, wp_str(id), wp_str(philosophy), MAKING, 0);
    wp_docker_own(container); /* the list holds only containers with our labels */
    if (strcmp(state, "running") == 0 || strcmp(state, "paused") == 0) {
        wp_docker_init_adopt(container, json_object_get(row, "Labels"));
        wp_docker_probe(container);
    } else if (strcmp(state, "created") == 0) {
        wp_docker_end(container, WP_CONTAINER_FAILED, "its worker ended before it was started");
    } else {
        wp_docker_adopted_dead(container, wp_docker_text(row, "Status"));
    }
    return container;
}

struct orphan { /* created with our labels and not started, and not by this worker */
    char *name; /* owned */
    int64_t since_us;
    UT_hash_handle hh;
};

static void forget_orphans(struct wp_runtime *runtime) {
    struct orphan *orphan, *next;
    HASH_ITER(hh, runtime->watch.orphans, orphan, next) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the table goes with its last one only */
        HASH_DEL(runtime->watch.orphans, orphan);
        free(orphan->name);
        free(orphan);
    }
}

/* True when the orphan has been one for ABANDONED_US. A younger one may be about to be started: by another
 * worker of this host's name, or by this one, once Redis wants it (its create finds the name taken and adopts
 * it). */
static bool is_abandoned(struct wp_runtime *runtime, const char *name) {
    struct orphan *orphan;
    HASH_FIND_STR(runtime->watch.orphans, name, orphan);
    if (!orphan) {
        orphan = wp_calloc(1, sizeof *orphan);
        orphan->name = wp_strdup(name);
        orphan->since_us = wp_clock_us();
        HASH_ADD_KEYPTR(hh, runtime->watch.orphans, orphan->name, strlen(name), orphan);
    }
    if (wp_clock_us() - orphan->since_us < ABANDONED_US) return false;
    HASH_DEL(runtime->watch.orphans, orphan);
    free(orphan->name);
    free(orphan);
    return true;
}

static void see(struct wp_runtime *runtime, const json_t *row, uint64_t asked_at) {
    const char *name = json_string_value(json_array_get(json_object_get(row, "Names"), 0));
    const char *id = name && name[0] == '/' ? name + 1 : "", *state = wp_docker_text(row, "State");
    struct docker_container *container = wp_docker_find(runtime, wp_str(id));
    if (!*id || strcmp(state, "removing") == 0) return; /* it will be gone soon */
    if (!container && strcmp(state, "created") == 0 && !is_abandoned(runtime, id)) return;
    if (!container)
        container = adopt(runtime, id, row);
    else if (container->changed <= asked_at && (strcmp(state, "exited") == 0 || strcmp(state, "dead") == 0))
        wp_docker_found_dead(container);
    else if (container->changed <= asked_at)
        notice_paused(container, strcmp(state, "paused") == 0);
    container->seen = true;
}

static void notify_listed(const struct listing *listing) {
    static const enum wp_container_state states[] = {[QUEUED] = WP_CONTAINER_STARTING,
                                                     [MAKING] = WP_CONTAINER_STARTING,
                                                     [PROBING] = WP_CONTAINER_STARTING,
                                                     [RUNNING] = WP_CONTAINER_READY,
                                                     [REMOVING] = WP_CONTAINER_GONE};
    struct docker_container *container, *next;
    HASH_ITER(hh, listing->runtime->containers, container, next) {
        bool paused = container->phase == RUNNING && container->paused;
        bool ended = container->phase == REMOVING && container->reported; /* by itself: FAILED or DIED */
        listing->listed(listing->ctx, wp_str(container->id),
                        paused  ? WP_CONTAINER_PAUSED
                        : ended ? container->over
                                : states[container->phase],
                        wp_str(container->phase == RUNNING ? container->address : ""),
                        wp_str(ended ? container->detail : ""));
    }
}

static void compare(struct listing *listing, const json_t *rows) {
    struct wp_runtime *runtime = listing->runtime;
    struct docker_container *container, *next;
    size_t i;
    const json_t *row;
    HASH_ITER(hh, runtime->containers, container, next) container->seen = false;
    json_array_foreach(rows, i, row) see(runtime, row, listing->changes);
    HASH_ITER(hh, runtime->containers, container, next) {
        if (!container->seen && container->changed <= listing->changes) wp_docker_removed(container);
    }
}

static void on_list(void *ctx, const struct wp_docker_client_answer *answer) {
    struct listing *listing = ctx;
    listing->runtime->watch.listings--;
    json_t *rows = answer->status == 200 ? json_loadb(answer->body.ptr, answer->body.len, 0, NULL) : NULL;
    bool ok = json_is_array(rows);
    if (listing->runtime->closed) {
        json_decref(rows);
        free(listing);
        return;
    }
    listing->runtime->watch.list_unanswered = answer->status == 0;
    if (answer->status == 0) note_silence(listing->runtime, answer);
    if (ok) compare(listing, rows);
    if (!ok) wp_log(WP_LOG_WARN, "engine_list_failed", "reason=%s", answer->error);
    if (ok && listing->listed) notify_listed(listing);
    if (listing->done) listing->done(listing->ctx, ok);
    json_decref(rows);
    free(listing);
}

static void ask_for_list(struct wp_runtime *runtime, wp_runtime_listed listed,
                         void (*done)(void *ctx, bool ok), void *ctx) {
    struct listing *listing = wp_calloc(1, sizeof *listing);
    *listing = (struct listing){runtime, listed, done, ctx, runtime->changes};
    char *path = wp_format("/containers/json?all=1&filters=%s", runtime->watch.filters);
    runtime->watch.listings++;
    wp_docker_client_get(runtime->engine, path, LIST_MS, on_list, listing);
    free(path);
}

void wp_docker_list(struct wp_runtime *runtime, wp_runtime_listed listed, void (*done)(void *ctx, bool ok),
                    void *ctx) {
    wp_docker_images_look(runtime); /* mostly answered before the list */
    ask_for_list(runtime, listed, done, ctx);
}

static void list_again(struct wp_runtime *runtime) {
    wp_docker_list(runtime, NULL, NULL, NULL);
}

/* ---- pings ---- */

static void on_ping(void *ctx, const struct wp_docker_client_answer *answer) {
    struct wp_runtime *runtime = ctx;
    if (runtime->closed) return;
    runtime->watch.pinging = false;
    if (answer->status == 0) note_silence(runtime, answer);
    runtime->watch.unanswered = answer->status == 0 ? runtime->watch.unanswered + 1 : 0;
    if (answer->status != 0) wp_docker_images_look_for_missing(runtime); /* somebody may bring one */
    if (answer->status != 0 && ++runtime->watch.pings % LIST_EVERY == 0 && runtime->watch.listings == 0)
        ask_for_list(runtime, NULL, NULL, NULL);
}

static void ping(uv_timer_t *timer) {
    struct wp_runtime *runtime = timer->data;
    if (runtime->watch.pinging || runtime->closing) return;
    runtime->watch.pinging = true;
    wp_docker_client_get(runtime->engine, "/_ping", WP_DOCKER_PING_MS, on_ping, runtime);
}

const char *wp_docker_away(struct wp_runtime *runtime) {
    const struct docker_watch *watch = &runtime->watch;
    return watch->list_unanswered || watch->lost || watch->unanswered >= UNANSWERED ? watch->why : NULL;
}

void wp_docker_watch_open(struct wp_runtime *runtime) {
    runtime->watch.filters = wp_docker_filters(runtime->config, runtime->config->host.name, false);
    uv_timer_init(runtime->loop, &runtime->watch.retry);
    runtime->watch.retry.data = runtime;
    uv_timer_init(runtime->loop, &runtime->watch.ping);
    runtime->watch.ping.data = runtime;
    uv_timer_start(&runtime->watch.ping, ping, PING_EVERY_MS, PING_EVERY_MS);
    read_events(runtime);
}

void wp_docker_watch_close(struct wp_runtime *runtime, uv_close_cb closed) {
    free(runtime->watch.filters);
    forget_orphans(runtime);
    uv_close((uv_handle_t *)&runtime->watch.retry, closed);
    uv_close((uv_handle_t *)&runtime->watch.ping, closed);
}
