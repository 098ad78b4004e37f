/* The `process` driver: a container is a program with a process group of its own, below a shim that is the
 * worker's child (init/shim.h). Calls the other files of this folder. One thread: the loop's.
 *
 *   QUEUED -> STARTING -> RUNNING -> gone (DIED)
 *               |  |         |
 *               |  +---------+-----> ENDING  -> gone (GONE): SIGTERM, then WP_SHIM_KILL after GRACE_MS
 *               +------------------> FAILING -> gone (FAILED): not ready in time, WP_SHIM_KILL
 *
 * On SIGCHLD each known shim is checked, and no other child of the process. A shim ends when all processes of
 * its container have ended. Events are deferred: see deferred.h. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uthash.h>
#include <utlist.h>
#include "core/buf.h"
#include "core/clock.h"
#include "core/ends.h"
#include "host/process/child.h"
#include "host/process/clean.h"
#include "host/deferred.h"
#include "host/init_program.h"
#include "init/shim.h"

#define GRACE_MS 1000   /* between SIGTERM and SIGKILL */
#define CLOSE_MS 5000   /* longest time of close() */
#define CLEAN_MS 4000   /* longest time of clean */
#define AGAIN_MS 2      /* until it is looked whether those that were killed are gone */
#define MIN_DATA_MB 4.0 /* with less a shell cannot start, nor report the reason */
#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

enum process_phase { QUEUED, STARTING, RUNNING, FAILING, ENDING };

struct process_container {
    struct wp_runtime *runtime;
    char *id, *philosophy; /* owned */
    struct wp_limits limits;
    enum process_phase phase;
    int64_t asked_us, begun_us, runs_us, ready_us; /* steps of its start; 0: not yet */
    struct wp_child child; /* shim 0 while QUEUED; status_fd -1 once the pipe has no more to report */
    bool waits_for_line;   /* process.ready, as it was at its start */
    char detail[160];
    struct wp_kept kept,
        going; /* with pool.clean: what was there when it became ready; what clean has killed */
    int64_t clean_until_us;
    uv_poll_t status;
    uv_timer_t timer; /* the deadline of its start, the next look of clean, that of its end */
    int handles;      /* not yet closed by the loop */
    struct process_container *prev, *next; /* in the queue */
    int64_t turn_us;                       /* its order there: wp_runtime_turn_us */
    UT_hash_handle hh;
};

struct wp_runtime {
    uv_loop_t *loop;
    const struct wp_config *config;       /* borrowed */
    int starting, creates;                /* creates under way, and their maximum */
    int init_fd;                          /* the program of shims */
    struct process_container *containers; /* by id */
    struct process_container *queue;
    struct wp_deferred deferred;
    uv_signal_t child_ended;
    int handles;
};

/* --- events
 * ---------------------------------------------------------------------------------------------------------
 */

static void notify_later(struct wp_runtime *runtime, struct wp_str id, enum wp_container_state state,
                         pid_t pid, const char *detail) {
    char address[32] = "";
    if (pid > 0) snprintf(address, sizeof address, "pid:%d", (int)pid);
    wp_deferred_add(&runtime->deferred, id, state, address, detail);
}

/* --- a container's end
 * ---------------------------------------------------------------------------------------------- */

static void handle_closed(uv_handle_t *handle) {
    struct process_container *container = handle->data;
    if (--container->handles > 0) return;
    free(container->id);
    free(container->philosophy);
    wp_kept_done(&container->kept);
    wp_kept_done(&container->going);
    free(container);
}

static void stop_listening(struct process_container *container) {
    if (container->child.status_fd < 0) return;
    uv_close((uv_handle_t *)&container->status, handle_closed);
    close(container->child.status_fd);
    container->child.status_fd = -1;
}

/* The only place that takes a container out of the table; it is freed when the loop has closed its handles.
 */
static void forget(struct process_container *container) {
    struct wp_runtime *runtime = container->runtime;
    if (container->phase == QUEUED) DL_DELETE(runtime->queue, container);
    HASH_DEL(runtime->containers, container);
    stop_listening(container);
    uv_close((uv_handle_t *)&container->timer, handle_closed);
}

static void set_phase(struct process_container *container, enum process_phase phase) {
    if (container->phase == STARTING) container->runtime->starting--;
    container->phase = phase;
    if (container->phase == STARTING) container->runtime->starting++;
}

static void describe_end(struct process_container *container, int status) {
    enum wp_end end = WIFSIGNALED(status) ? WP_END_KILLED : WP_END_EXITED;
    bool starting = container->phase == STARTING;
    if (container->detail[0]) return; /* a reason is known already: why it was killed, or could not be run */
    snprintf(container->detail, sizeof container->detail, "%s%s%s %d%s", starting ? "" : wp_end_words[end],
             starting ? "" : ": ",
             end == WP_END_KILLED ? "the process was ended by signal" : "the process exited with status",
             end == WP_END_KILLED ? WTERMSIG(status) : WEXITSTATUS(status),
             starting ? " before it was ready" : "");
}

/* Reaps the shim, which has ended with everything below it: waitpid returns at once. */
static int collect_status(struct process_container *container) {
    int status = 0;
    waitpid(container->child.shim, &status, 0);
    return status;
}

static void read_status_pipe(struct process_container *container);
static void start_queued(struct wp_runtime *runtime);

static void reap(struct process_container *container) {
    struct wp_runtime *runtime = container->runtime;
    if (container->child.status_fd >= 0) read_status_pipe(container); /* the pipe may hold the reason */
    describe_end(container, collect_status(container));
    enum wp_container_state state = WP_CONTAINER_FAILED;
    if (container->phase == RUNNING) state = WP_CONTAINER_DIED;
    if (container->phase == ENDING) state = WP_CONTAINER_GONE;
    notify_later(runtime, wp_str(container->id), state, 0,
                 state == WP_CONTAINER_GONE ? "" : container->detail);
    set_phase(container, ENDING);
    forget(container);
}

static void on_child_ended(uv_signal_t *signal, int number) {
    (void)number;
    struct wp_runtime *runtime = signal->data;
    struct process_container *container, *next;
    HASH_ITER(hh, runtime->containers, container, next) {
        if (container->child.shim > 0 && wp_child_ended(container->child.shim)) reap(container);
    }
    start_queued(runtime);
}

static void on_grace_over(uv_timer_t *timer) {
    struct process_container *container = timer->data;
    kill(container->child.shim, WP_SHIM_KILL);
}

/* --- a container's start
 * -------------------------------------------------------------------------------------------- */

static void on_not_ready(uv_timer_t *timer) {
    struct process_container *container = timer->data;
    snprintf(container->detail, sizeof container->detail, "not ready within process.ready_timeout_ms = %lld",
             (long long)container->runtime->config->process.ready_timeout_ms);
    set_phase(container, FAILING);
    kill(container->child.shim, WP_SHIM_KILL);
}

static void become_ready(struct process_container *container) {
    if (container->phase != STARTING || wp_child_ended(container->child.shim))
        return; /* SIGCHLD reports its end */
    uv_timer_stop(&container->timer);
    container->ready_us = wp_clock_us();
    set_phase(container, RUNNING);
    if (wp_config_cleans(container->runtime->config, container->philosophy))
        wp_kept_set(&container->kept, container->child.shim);
    notify_later(container->runtime, wp_str(container->id), WP_CONTAINER_READY, container->child.program, "");
    start_queued(container->runtime);
}

static void on_ran(uv_timer_t *timer) {
    become_ready(timer->data);
}

static void give_up(struct process_container *container, const char *what, const char *why) {
    if (container->phase != STARTING) return;
    snprintf(container->detail, sizeof container->detail, "%s%s", what, why);
    set_phase(container, FAILING);
    kill(container->child.shim, WP_SHIM_KILL);
}

static void on_closed(uv_timer_t *timer) {
    give_up(timer->data, "it closed WARMPOOL_READY_FD without writing a line to it", "");
}

static void read_status_pipe(struct process_container *container) {
    int why = 0;
    switch (wp_child_status(&container->child, container->waits_for_line, &why)) {
    case WP_CHILD_SILENT:
        return;
    case WP_CHILD_RUNS: /* the shell runs, but its command may end at once, as when it is not found */
        if (container->phase == STARTING)
            uv_timer_start(&container->timer, on_ran,
                           (uint64_t)container->runtime->config->process.ready_after_ms, 0);
        break;
    case WP_CHILD_LINE:
        become_ready(container);
        break;
    case WP_CHILD_CLOSED: /* a process that exits closes it, too: wait for its exit status, which says more */
        if (container->phase == STARTING) uv_timer_start(&container->timer, on_closed, GRACE_MS, 0);
        break;
    case WP_CHILD_FAILED:
        give_up(container, "/bin/sh could not be started: ", strerror(why));
        break;
    }
    stop_listening(container);
}

static void on_status(uv_poll_t *poll, int status, int events) {
    (void)status;
    (void)events;
    read_status_pipe(poll->data);
}

/* The child does not inherit the worker's environment, which may hold passwords. */
static void add_variables(struct wp_buf *text, const struct process_container *container) {
    static const char *const inherited[] = {"HOME", "LANG", "LC_ALL", "TZ", "TMPDIR"};
    const char *path = getenv("PATH");
    wp_buf_printf(text, "PATH=%s%c", path ? path : DEFAULT_PATH, '\0');
    for (size_t i = 0; i < sizeof inherited / sizeof *inherited; i++) {
        const char *value = getenv(inherited[i]);
        if (value) wp_buf_printf(text, "%s=%s%c", inherited[i], value, '\0');
    }
    wp_buf_printf(text, "WARMPOOL_CONTAINER_ID=%s%c", container->id, '\0');
    wp_buf_printf(text, "WARMPOOL_PHILOSOPHY=%s%c", container->philosophy, '\0');
    wp_buf_printf(text, "WARMPOOL_MEMORY_MB=%g%c", container->limits.memory_mb, '\0');
    wp_buf_printf(text, "WARMPOOL_CPU_PERCENT=%g%c", container->limits.cpu_percent, '\0');
    wp_buf_printf(text, "WARMPOOL_READY_FD=%d%c", WP_SHIM_STATUS_FD, '\0');
    if (*container->runtime->config->host.claims)
        wp_buf_printf(text, "WARMPOOL_CLAIMS=%s/%s/%s%c", container->runtime->config->host.claims,
                      container->runtime->config->host.name, container->id, '\0');
}

static uint64_t data_bytes(double memory_mb) {
    if (!(memory_mb > 0)) return 0; /* absent, too */
    return (uint64_t)((memory_mb < MIN_DATA_MB ? MIN_DATA_MB : memory_mb) * 1024 * 1024);
}

static enum wp_err start_child(struct process_container *container, struct wp_error *error) {
    struct wp_runtime *runtime = container->runtime;
    struct wp_buf variables = {0};
    add_variables(&variables, container);
    container->waits_for_line = strcmp(runtime->config->process.ready, "notify") == 0;
    struct wp_child_spec spec = {.init_fd = runtime->init_fd,
                                 .command = runtime->config->process.command,
                                 .variables = wp_buf_str(&variables),
                                 .data_bytes = data_bytes(container->limits.memory_mb),
                                 .notify = container->waits_for_line};
    enum wp_err err = wp_child_start(&spec, &container->child, error);
    wp_buf_done(&variables);
    return err;
}

/* Starts a QUEUED container. One that cannot be started is reported as FAILED and forgotten. */
static void start(struct process_container *container) {
    struct wp_runtime *runtime = container->runtime;
    struct wp_error error = {0};
    container->begun_us = wp_clock_us();
    if (start_child(container, &error) != WP_OK) {
        notify_later(runtime, wp_str(container->id), WP_CONTAINER_FAILED, 0, error.text);
        forget(container);
        return;
    }
    DL_DELETE(runtime->queue, container);
    container->runs_us = wp_clock_us();
    set_phase(container, STARTING);
    uv_poll_init(runtime->loop, &container->status, container->child.status_fd);
    container->status.data = container;
    container->handles++;
    uv_poll_start(&container->status, UV_READABLE, on_status);
    uv_timer_start(&container->timer, on_not_ready, (uint64_t)runtime->config->process.ready_timeout_ms, 0);
}

static void start_queued(struct wp_runtime *runtime) {
    while (runtime->queue && runtime->starting < runtime->creates) start(runtime->queue);
}

/* --- the verbs
 * ------------------------------------------------------------------------------------------------------ */

static struct process_container *find(struct wp_runtime *runtime, struct wp_str id) {
    struct process_container *container;
    HASH_FIND(hh, runtime->containers, id.ptr, id.len, container);
    return container;
}

static int by_turn(const struct process_container *a, const struct process_container *b) {
    return a->turn_us <= b->turn_us ? -1 : 1;
}

static void process_create(struct wp_runtime *runtime, const struct wp_container_spec *spec) {
    struct process_container *container = find(runtime, spec->id);
    if (container) { /* adopted; READY follows by itself when it is not ready yet */
        if (container->phase == RUNNING)
            notify_later(runtime, spec->id, WP_CONTAINER_READY, container->child.program, "");
        return;
    }
    container = wp_calloc(1, sizeof *container);
    container->runtime = runtime;
    container->id = wp_strndup(spec->id);
    container->philosophy = wp_strndup(spec->philosophy);
    container->limits = spec->limits;
    container->phase = QUEUED;
    container->asked_us = wp_clock_us();
    container->child.status_fd = -1;
    uv_timer_init(runtime->loop, &container->timer);
    container->timer.data = container;
    container->handles = 1;
    HASH_ADD_KEYPTR(hh, runtime->containers, container->id, spec->id.len, container);
    container->turn_us = wp_runtime_turn_us(spec);
    DL_INSERT_INORDER(runtime->queue, container, by_turn);
    start_queued(runtime);
}

static void process_destroy(struct wp_runtime *runtime, struct wp_str id) {
    struct process_container *container = find(runtime, id);
    if (container && container->phase == ENDING) return; /* GONE follows */
    if (!container || container->phase == QUEUED) {
        notify_later(runtime, id, WP_CONTAINER_GONE, 0, "");
        if (container) forget(container);
        return;
    }
    set_phase(container, ENDING);
    kill(container->child.shim, SIGTERM);
    uv_timer_start(&container->timer, on_grace_over, GRACE_MS, 0);
    start_queued(runtime);
}

static void look_for_others(struct process_container *container);

static void on_look_again(uv_timer_t *timer) {
    look_for_others(timer->data);
}

/* Its folders are the machine's: they are left alone. */
static void look_for_others(struct process_container *container) {
    bool missed = false;
    if (wp_kept_are_gone(&container->kept, container->child.shim, &container->going, &missed)) {
        notify_later(container->runtime, wp_str(container->id), WP_CONTAINER_CLEANED, 0, "");
    } else if (wp_clock_us() < container->clean_until_us) {
        if (missed) wp_kept_end_others(&container->kept, container->child.shim, &container->going);
        uv_timer_start(&container->timer, on_look_again, AGAIN_MS, 0);
    } else {
        snprintf(container->detail, sizeof container->detail,
                 "%s: it could not be cleaned: its last user's processes do not end",
                 wp_end_words[WP_END_NOT_PREPARED]);
        kill(container->child.shim, WP_SHIM_KILL); /* DIED follows */
    }
}

static void process_clean(struct wp_runtime *runtime, struct wp_str id) {
    struct process_container *container = find(runtime, id);
    if (!container || container->phase != RUNNING) return; /* else its end is reported */
    container->clean_until_us = wp_clock_us() + CLEAN_MS * INT64_C(1000);
    wp_kept_end_others(&container->kept, container->child.shim, &container->going);
    look_for_others(container);
}

/* create_ms stays 0: a process is created and started in one step. */
static bool process_facts(struct wp_runtime *runtime, struct wp_str id, struct wp_container_facts *ret) {
    const struct process_container *container = find(runtime, id);
    if (!container || container->phase != RUNNING) return false;
    *ret = (struct wp_container_facts){.image = "",
                                       .queue_ms = (double)(container->begun_us - container->asked_us) / 1e3,
                                       .start_ms = (double)(container->runs_us - container->begun_us) / 1e3,
                                       .ready_ms = (double)(container->ready_us - container->runs_us) / 1e3};
    return true;
}

/* ENDING containers are listed as GONE, FAILING ones as FAILED. */
static void process_list(struct wp_runtime *runtime, wp_runtime_listed listed,
                         void (*done)(void *ctx, bool ok), void *ctx) {
    static const enum wp_container_state states[] = {[QUEUED] = WP_CONTAINER_STARTING,
                                                     [STARTING] = WP_CONTAINER_STARTING,
                                                     [RUNNING] = WP_CONTAINER_READY,
                                                     [FAILING] = WP_CONTAINER_FAILED,
                                                     [ENDING] = WP_CONTAINER_GONE};
    struct process_container *container, *next;
    HASH_ITER(hh, runtime->containers, container, next) {
        char address[32] = "";
        if (container->phase == RUNNING)
            snprintf(address, sizeof address, "pid:%d", (int)container->child.program);
        listed(ctx, wp_str(container->id), states[container->phase], wp_str(address), WP_STR(""));
    }
    done(ctx, true);
}

/* --- the driver
 * ----------------------------------------------------------------------------------------------------- */

static void runtime_handle_closed(uv_handle_t *handle) {
    struct wp_runtime *runtime = handle->data;
    if (--runtime->handles == 0) free(runtime);
}

static void close_handles(struct wp_runtime *runtime) {
    uv_close((uv_handle_t *)&runtime->child_ended, runtime_handle_closed);
    wp_deferred_close(&runtime->deferred, runtime_handle_closed, runtime);
}

static enum wp_err process_open(struct wp_runtime **ret_runtime, uv_loop_t *loop,
                                const struct wp_config *config, wp_runtime_notify notify, void *ctx,
                                struct wp_error *error) {
    struct wp_runtime *runtime = wp_calloc(1, sizeof *runtime);
    runtime->loop = loop;
    runtime->config = config;
    runtime->creates = wp_runtime_creates(&wp_runtime_process, config);
    if (wp_init_program_open(&runtime->init_fd, error) != WP_OK) {
        free(runtime);
        return WP_ERR_SYSTEM;
    }
    uv_signal_init(loop, &runtime->child_ended);
    wp_deferred_open(&runtime->deferred, loop, notify, ctx);
    runtime->child_ended.data = runtime;
    runtime->handles = 2;
    int failed = uv_signal_start(&runtime->child_ended, on_child_ended, SIGCHLD);
    if (failed) {
        close(runtime->init_fd);
        close_handles(runtime);
        return wp_fail(error, WP_ERR_SYSTEM, "process runtime: SIGCHLD cannot be watched: %s",
                       uv_strerror(failed));
    }
    *ret_runtime = runtime;
    return WP_OK;
}

static void process_configure(struct wp_runtime *runtime) {
    runtime->creates = wp_runtime_creates(&wp_runtime_process, runtime->config);
    start_queued(runtime);
}

static void signal_all(struct wp_runtime *runtime, int number) {
    for (struct process_container *c = runtime->containers; c; c = c->hh.next) {
        if (c->child.shim > 0) kill(c->child.shim, number);
    }
}

/* Reaps the containers that end before the deadline. */
static void reap_until(struct wp_runtime *runtime, int64_t deadline_us) {
    struct process_container *container, *next;
    HASH_ITER(hh, runtime->containers, container, next) {
        if (container->child.shim > 0 && !wp_child_wait(container->child.shim, deadline_us)) continue;
        if (container->child.shim > 0) collect_status(container);
        forget(container);
    }
}

static void process_close(struct wp_runtime *runtime) {
    if (!runtime) return;
    int64_t now = wp_clock_us();
    signal_all(runtime, SIGTERM);
    reap_until(runtime, now + (int64_t)GRACE_MS * 1000);
    signal_all(runtime, WP_SHIM_KILL);
    reap_until(runtime, now + (int64_t)CLOSE_MS * 1000);
    struct process_container *container, *next;
    HASH_ITER(hh, runtime->containers, container, next)
    forget(container); /* killed, but stuck in a system call */
    close(runtime->init_fd);
    close_handles(runtime);
}

const struct wp_runtime_driver wp_runtime_process = {
    .name = "process",
    .default_creates = 128,
    .open = process_open,
    .configure = process_configure,
    .create = process_create,
    .destroy = process_destroy,
    .clean = process_clean,
    .facts = process_facts,
    .list = process_list,
    .close = process_close,
};
