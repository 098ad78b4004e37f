/* Owns the heartbeat of this worker's names, and stats->name_in_use. */
#include "store/names.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "core/clock.h"
#include "core/log.h"

enum { BEAT_MS = 1000, LASTS_MS = 4000, KINDS = 2, FIRST_NAME = 3 };

/* The prefix of a name in Redis, which is also its configuration key. */
static const char *const kinds[KINDS] = {"worker.id", "host.name"};

struct wp_names {
    struct wp_stats *stats;
    struct wp_link *link;
    struct wp_names_handler handler;
    void *ctx;
    char owner[200], where[160]; /* this process: a unique text; a text for messages */
    char texts[KINDS][80];       /* "worker.id NAME" */
    int count;
    int64_t since_us; /* when it began to wait for the names */
    bool asking;      /* a call is under way */
    bool tell;        /* `held` is to be called when the names are held */
    bool held, lost, released;
    void (*done)(void *ctx);
    void *done_ctx;
    uv_timer_t beat;
};

static void add(struct wp_names *names, const char *kind, const char *name) {
    if (*name) snprintf(names->texts[names->count++], sizeof names->texts[0], "%s %s", kind, name);
}

bool wp_names_held(const struct wp_names *names) {
    return names->held;
}

static void on_held(struct wp_names *names) {
    if (!names->held) {
        names->held = true;
        names->stats->name_in_use[0] = '\0';
        wp_log(WP_LOG_INFO, "names_held", "names=%d waited_ms=%lld", names->count,
               (long long)((wp_clock_us() - names->since_us) / 1000));
    }
    if (!names->tell) return;
    names->tell = false;
    names->handler.held(names->ctx);
}

static void on_in_use(struct wp_names *names, const char *name, const char *where) {
    char reason[sizeof names->stats->name_in_use];
    snprintf(
        reason, sizeof reason,
        "%s is in use by another live worker (%s); this one (%s) joins nothing until that one has ended: "
        "stop it, or give this one a name of its own",
        name, where, names->where);
    if (strcmp(reason, names->stats->name_in_use) == 0) return;
    snprintf(names->stats->name_in_use, sizeof reason, "%s", reason);
    wp_log(WP_LOG_WARN, "name_in_use", "reason=%s", reason);
}

static void on_lost(struct wp_names *names, const char *name, const char *where) {
    struct wp_stats *stats = names->stats;
    names->lost = true;
    uv_timer_stop(&names->beat);
    snprintf(
        stats->name_in_use, sizeof stats->name_in_use,
        "%s: another worker (%s) took the name while this one (%s) was not heard in Redis for longer than "
        "%d s; stop this one",
        name, where, names->where, LASTS_MS / 1000);
    wp_log(WP_LOG_ERROR, "name_lost", "reason=%s", stats->name_in_use);
    names->handler.lost(names->ctx);
}

/* {}: all are held; {name, where}: another worker has that one */
static void on_answer(void *ctx, const redisReply *reply, const char *error) {
    struct wp_names *names = ctx;
    (void)error; /* the link has logged it; wp_names_ask is called when it is ready again */
    names->asking = false;
    if (names->lost || names->released || !reply || reply->type != REDIS_REPLY_ARRAY) return;
    if (reply->elements < 2)
        on_held(names);
    else if (names->held)
        on_lost(names, reply->element[0]->str, reply->element[1]->str);
    else
        on_in_use(names, reply->element[0]->str, reply->element[1]->str);
}

static void on_released(void *ctx, const redisReply *reply, const char *error) {
    struct wp_names *names = ctx;
    (void)reply;
    (void)error; /* after an error the next worker waits until the last heartbeat expires */
    names->done(names->done_ctx);
}

static bool call(struct wp_names *names, int64_t lasts_ms, wp_link_reply reply) {
    char lasts[24];
    int length = snprintf(lasts, sizeof lasts, "%lld", (long long)lasts_ms * 1000);
    struct wp_str args[FIRST_NAME + KINDS] = {
        wp_str(names->owner), {lasts, (size_t)length}, wp_str(names->where)};
    for (int i = 0; i < names->count; i++) args[FIRST_NAME + i] = wp_str(names->texts[i]);
    return !wp_link_call(names->link, "hold", args, FIRST_NAME + (size_t)names->count, reply, names);
}

static void ask(struct wp_names *names) {
    if (!names->asking) names->asking = call(names, LASTS_MS, on_answer); /* false: wp_names_ask follows */
}

static void on_beat(uv_timer_t *timer) {
    ask(timer->data);
}

void wp_names_ask(struct wp_names *names) {
    if (names->lost || names->released) return;
    names->tell = true;
    if (names->count == 0)
        on_held(names);
    else
        ask(names);
}

static void name_process(struct wp_names *names) {
    char host[100] = "a machine without a name";
    (void)gethostname(host, sizeof host - 1);
    snprintf(names->where, sizeof names->where, "pid %ld on %s", (long)getpid(), host);
    snprintf(names->owner, sizeof names->owner, "%s %lld %lld", names->where, (long long)wp_clock_wall_ms(),
             (long long)wp_clock_us());
}

struct wp_names *wp_names_new(uv_loop_t *loop, const struct wp_config *config, struct wp_stats *stats,
                              struct wp_link *link, const struct wp_names_handler *handler, void *ctx) {
    struct wp_names *names = wp_calloc(1, sizeof *names);
    *names = (struct wp_names){
        .stats = stats, .link = link, .handler = *handler, .ctx = ctx, .since_us = wp_clock_us()};
    name_process(names);
    add(names, kinds[0], config->worker.id);
    add(names, kinds[1], config->host.name);
    names->held = names->count == 0;
    uv_timer_init(loop, &names->beat);
    names->beat.data = names;
    if (names->count > 0) uv_timer_start(&names->beat, on_beat, BEAT_MS, BEAT_MS);
    return names;
}

void wp_names_release(struct wp_names *names, void (*done)(void *ctx), void *ctx) {
    bool ours = names->held && !names->lost && names->count > 0;
    uv_timer_stop(&names->beat);
    names->released = true;
    names->done = done;
    names->done_ctx = ctx;
    if (!ours || !call(names, 0, on_released)) done(ctx);
}

static void on_closed(uv_handle_t *handle) {
    free(handle->data);
}

void wp_names_free(struct wp_names *names) {
    if (names) uv_close((uv_handle_t *)&names->beat, on_closed);
}
