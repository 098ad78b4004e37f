/* Says why a container ended: by its exit status, the engine's word about memory, and the signals that were
 * sent through the engine. Calls the client, table.c. */
#include "host/docker/deaths.h"
#include <stdlib.h>
#include <string.h>
#include "core/clock.h"
#include "core/ends.h"
#include "core/log.h"
#include "host/definition.h"

#define WHY_MS 1000        /* for the engine's answer about the reason */
#define OOM_LATE_MS 500    /* that `oom` may come after `die` */
#define RECENT_US 60000000 /* a signal, or a process that ran out of memory, explains an end this long */
#define SIGNAL_STATUS 128  /* + the number of a signal: the exit status of what it ended */
#define SIGNALS 64
#define KILLED (SIGNAL_STATUS + 9)

struct ended {        /* what is known about an end */
    long status;      /* -1: not known */
    bool oom;         /* the engine says so: of any process, at any time */
    bool removed;     /* somebody else is removing it, or has done so */
    double memory_mb; /* its limit; 0: not known, or none */
};

static bool is_recent(int64_t at_us) {
    return at_us > 0 && wp_clock_us() - at_us < RECENT_US;
}

static bool is_signal(const struct ended *ended) {
    return ended->status > SIGNAL_STATUS && ended->status <= SIGNAL_STATUS + SIGNALS;
}

static enum wp_end end_of(const struct docker_container *container, const struct ended *ended) {
    const struct docker_end *end = &container->end;
    bool by_engine = is_recent(end->signal_us) && end->signal_us >= end->oom_us;
    if (ended->removed) return WP_END_REMOVED;
    if (by_engine) return WP_END_KILLED;
    if (ended->status == KILLED && (ended->oom || end->oom_us > 0)) return WP_END_OUT_OF_MEMORY;
    return is_signal(ended) ? WP_END_KILLED : WP_END_EXITED;
}

/* A sentence, without its end. */
static void describe(char *out, size_t size, const struct docker_container *container,
                     const struct ended *ended, enum wp_end as) {
    const struct docker_end *end = &container->end;
    char status[40] = "";
    if (ended->status >= 0) snprintf(status, sizeof status, " with status %ld", ended->status);
    if (as == WP_END_REMOVED)
        snprintf(out, size, "somebody else removed it");
    else if (as == WP_END_OUT_OF_MEMORY && ended->memory_mb > 0)
        snprintf(out, size, "it needed more than its memory limit of %g MB, and ended%s", ended->memory_mb,
                 status);
    else if (as == WP_END_OUT_OF_MEMORY)
        snprintf(out, size, "it needed more memory than there was, and ended%s", status);
    else if (as == WP_END_KILLED && is_recent(end->signal_us))
        snprintf(out, size, "signal %s was sent to it through the engine, and it ended%s", end->signal,
                 status);
    else if (as == WP_END_KILLED)
        snprintf(out, size, "signal %ld ended it, not sent through the engine; it ended%s",
                 ended->status - SIGNAL_STATUS, status);
    else
        snprintf(out, size, "it exited%s%s", status,
                 is_recent(end->oom_us) ? ", after a process in it had run out of memory" : "");
}

/* Begins its removal, and says its death, or that it failed before it was ready. */
static void end(struct docker_container *container, enum wp_end as, const char *sentence) {
    char detail[sizeof container->detail];
    if (container->phase == PROBING) {
        snprintf(detail, sizeof detail, "%.160s before it was ready", sentence);
        wp_docker_end(container, WP_CONTAINER_FAILED, detail);
    } else {
        snprintf(detail, sizeof detail, "%s: %.160s", wp_end_words[as], sentence);
        wp_docker_end(container, WP_CONTAINER_DIED, detail);
    }
}

static void say(struct docker_container *container, const struct ended *ended, enum wp_end as) {
    char sentence[160];
    describe(sentence, sizeof sentence, container, ended, as);
    end(container, as, sentence);
}

static void on_waited(uv_timer_t *timer) {
    struct docker_container *container = timer->data;
    struct ended ended = {.status = KILLED, .memory_mb = container->end.memory_mb};
    container->end.waiting = false;
    say(container, &ended, end_of(container, &ended));
}

/* What somebody on the machine has killed looks the same as what the kernel has, until `oom` comes. */
static void end_with(struct docker_container *container, const struct ended *ended) {
    enum wp_end as = end_of(container, ended);
    if (as != WP_END_KILLED || ended->status != KILLED || is_recent(container->end.signal_us)) {
        say(container, ended, as);
        return;
    }
    container->end.waiting = true;
    container->end.memory_mb = ended->memory_mb;
    uv_timer_start(&container->timer, on_waited, OOM_LATE_MS, 0);
}

/* Its end has not been said yet. */
static bool is_there(const struct docker_container *container) {
    return container->phase == RUNNING || container->phase == PROBING;
}

static bool is_alive(const struct docker_container *container) {
    return is_there(container) && !container->end.waiting;
}

/* ---- what the engine says when it is asked ---- */

static struct ended read_inspected(const json_t *inspected) {
    const json_t *state = json_object_get(inspected, "State"),
                 *limit = json_object_get(json_object_get(inspected, "HostConfig"), "Memory"),
                 *status = json_object_get(state, "ExitCode");
    return (struct ended){.status = json_is_integer(status) ? (long)json_integer_value(status) : -1,
                          .oom = json_is_true(json_object_get(state, "OOMKilled")),
                          .removed = strcmp(wp_docker_text(state, "Status"), "removing") == 0,
                          .memory_mb = (double)json_integer_value(limit) / 1048576};
}

void wp_docker_end_inspected(struct docker_container *container, const json_t *inspected) {
    struct ended ended = read_inspected(inspected);
    end_with(container, &ended);
}

struct question { /* why did it end? */
    struct wp_runtime *runtime;
    char *id; /* owned */
};

static void on_why(void *ctx, const struct wp_docker_client_answer *answer) {
    struct question question = *(struct question *)ctx;
    free(ctx);
    struct docker_container *container =
        question.runtime->closed ? NULL : wp_docker_find(question.runtime, wp_str(question.id));
    free(question.id);
    if (!container || !container->end.asking) return;
    container->end.asking = false;
    if (!is_alive(container)) return; /* its end was said meanwhile */
    struct ended ended = {.status = container->end.status, .removed = answer->status == 404};
    json_t *inspected =
        answer->status == 200 ? json_loadb(answer->body.ptr, answer->body.len, 0, NULL) : NULL;
    if (json_is_object(json_object_get(inspected, "State"))) ended = read_inspected(inspected);
    if (container->end.status >= 0) ended.status = container->end.status;
    json_decref(inspected);
    end_with(container, &ended);
}

/* Not a step of the container's (table.h): it may be in one, and its end is said all the same. */
static void ask_why(struct docker_container *container) {
    struct question *question = wp_calloc(1, sizeof *question);
    char *path = wp_format("/containers/%s/json", container->id);
    *question = (struct question){container->runtime, wp_strdup(container->id)};
    container->end.asking = true;
    wp_docker_client_get(container->runtime->engine, path, WHY_MS, on_why, question);
    free(path);
}

/* ---- what is seen of it ---- */

void wp_docker_exited(struct docker_container *container, const char *status) {
    if (!is_alive(container) || container->end.asking) return;
    container->end.status = *status ? strtol(status, NULL, 10) : -1;
    if (container->phase == RUNNING)
        wp_deferred_add(&container->runtime->deferred, wp_str(container->id), WP_CONTAINER_DYING, "", "");
    ask_why(container);
}

void wp_docker_found_dead(struct docker_container *container) {
    wp_docker_exited(container, "");
}

void wp_docker_removed(struct docker_container *container) {
    struct ended ended = {.status = -1, .removed = true};
    if (is_there(container)) say(container, &ended, WP_END_REMOVED);
}

void wp_docker_renamed(struct docker_container *container, const char *name) {
    char sentence[160];
    snprintf(sentence, sizeof sentence, "somebody else named it %.100s", name);
    if (is_there(container)) end(container, WP_END_REMOVED, sentence);
}

void wp_docker_signalled(struct docker_container *container, const char *signal) {
    if (!is_alive(container)) return;
    snprintf(container->end.signal, sizeof container->end.signal, "%s", signal);
    container->end.signal_us = wp_clock_us();
}

void wp_docker_out_of_memory(struct docker_container *container) {
    if (!is_alive(container) && !container->end.waiting) return;
    container->end.oom_us = wp_clock_us();
    wp_deferred_add(&container->runtime->deferred, wp_str(container->id), WP_CONTAINER_OUT_OF_MEMORY, "", "");
    if (container->end.waiting) on_waited(&container->timer);
}

/* Docker asks again and again whether it is healthy; before it is ready start.c waits for that. */
void wp_docker_unhealthy(struct docker_container *container) {
    const char *path;
    if (container->phase == RUNNING &&
        wp_definition_ready(container->runtime->config, container->philosophy, &path) == WP_READY_HEALTHY)
        end(container, WP_END_UNHEALTHY, "its health check says that it is not healthy any more");
}

void wp_docker_adopted_dead(struct docker_container *container, const char *status) {
    const char *number = strchr(status, '(');
    struct ended ended = {.status = number ? strtol(number + 1, NULL, 10) : -1};
    say(container, &ended, end_of(container, &ended));
}
