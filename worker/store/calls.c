/* The queue of calls under way: sends a call, and reports its answer. */
#include "store/calls.h"
#include <stdlib.h>
#include "core/buf.h"
#include "core/clock.h"
#include "store/replicas.h"

enum { MAX_ARGS = 168 };

struct redis_call { /* in the order sent; hiredis answers in that order */
    struct wp_calls *calls;
    struct redis_call *next;
    wp_calls_reply reply;
    void *ctx;
    int64_t sent_us;
    const struct wp_function *function;
    redisReply *kept; /* with redis.wait_replicas: the answer, until WAIT has answered too */
};

void wp_calls_open(struct wp_calls *calls, redisAsyncContext *redis) {
    calls->redis = redis;
}

void wp_calls_close(struct wp_calls *calls) {
    calls->redis = NULL;
}

int64_t wp_calls_oldest_us(const struct wp_calls *calls) {
    return calls->oldest ? calls->oldest->sent_us : 0;
}

struct wp_str wp_calls_elapsed(const struct wp_calls *calls, char *buffer, size_t size) {
    if (!calls->acked_us) return WP_STR("");
    long long elapsed = wp_clock_us() - calls->acked_us;
    int length = calls->gap_us ? snprintf(buffer, size, "%lld %lld", elapsed, (long long)calls->gap_us)
                               : snprintf(buffer, size, "%lld", elapsed);
    return (struct wp_str){buffer, (size_t)length};
}

bool wp_calls_note_gap(struct wp_calls *calls, const redisReply *reply) {
    static const char gap[] = "TIMEGAP ";
    if (reply->type != REDIS_REPLY_ERROR || strncmp(reply->str, gap, sizeof gap - 1) != 0) return false;
    calls->gap_us = strtoll(reply->str + sizeof gap - 1, NULL, 10);
    return true;
}

/* ---- the queue ---- */

static void append(struct wp_calls *calls, struct redis_call *call) {
    if (calls->youngest)
        calls->youngest->next = call;
    else
        calls->oldest = call;
    calls->youngest = call;
}

static void take_oldest(struct redis_call *call) {
    struct wp_calls *calls = call->calls;
    wp_assert(calls->oldest == call);
    calls->oldest = call->next;
    if (!calls->oldest) calls->youngest = NULL;
}

/* ---- answers ---- */

static void count_answer(struct wp_stats *stats, const struct redis_call *call, const redisReply *reply) {
    stats->redis_calls++;
    if (reply) wp_histogram_add(&stats->redis_call, wp_clock_us() - call->sent_us);
    if (!reply || reply->type == REDIS_REPLY_ERROR) stats->redis_errors++;
}

static void finish(struct redis_call *call, const redisReply *reply, const char *why) {
    struct wp_calls *calls = call->calls;
    bool acknowledged = reply && reply->type != REDIS_REPLY_ERROR && !call->function->read_only;
    count_answer(calls->stats, call, reply);
    bool before = calls->gap_us != 0, gap = reply && wp_calls_note_gap(calls, reply);
    if (acknowledged) {
        calls->acked_us = call->sent_us;
        calls->gap_us = 0;
    }
    if (reply) calls->answered(calls->ctx, call->function, reply, gap && !before);
    call->reply(call->ctx, reply, reply ? NULL : why);
    if (call->kept) freeReplyObject(call->kept);
    free(call);
}

static void on_reply(redisAsyncContext *redis, void *reply, void *data) {
    struct redis_call *call = data;
    struct wp_calls *calls = call->calls;
    take_oldest(call);
    finish(call, reply, calls->reason[0] ? calls->reason : "the connection to Redis was lost");
    if (reply && calls->redis == redis) calls->ended(calls->ctx, reply);
}

/* A copy that outlives the callback: hiredis frees its reply when the callback returns. */
static redisReply *copy_reply(const redisReply *from) {
    redisReply *to = calloc(1, sizeof *to);
    if (!to) wp_bug("out of memory", __FILE__, __LINE__);
    to->type = from->type;
    to->integer = from->integer;
    to->len = from->len;
    if (from->str) {
        to->str = wp_alloc(from->len + 1);
        memcpy(to->str, from->str, from->len + 1);
    }
    to->elements = from->elements;
    if (from->elements) to->element = wp_calloc(from->elements, sizeof *to->element);
    for (size_t i = 0; i < from->elements; i++) to->element[i] = copy_reply(from->element[i]);
    return to;
}

static void on_reply_before_wait(redisAsyncContext *redis, void *reply, void *data) {
    struct redis_call *call = data;
    (void)redis;
    if (reply) call->kept = copy_reply(reply);
}

static void on_waited(redisAsyncContext *redis, void *reply, void *data) {
    struct redis_call *call = data;
    struct wp_calls *calls = call->calls;
    bool enough = wp_replicas_enough(calls->config, reply);
    take_oldest(call);
    finish(call, enough ? call->kept : NULL, wp_replicas_too_few);
    if (reply && !enough && calls->redis == redis) calls->unreplicated(calls->ctx, wp_replicas_too_few);
}

/* ---- sending ---- */

static struct redis_call *call_new(struct wp_calls *calls, const struct wp_function *f, wp_calls_reply reply,
                                   void *ctx) {
    struct redis_call *call = wp_calloc(1, sizeof *call);
    *call = (struct redis_call){
        .calls = calls, .reply = reply, .ctx = ctx, .function = f, .sent_us = wp_clock_us()};
    return call;
}

/* FCALL function 1 {key} [elapsed] args */
static int send_function(struct wp_calls *calls, const struct wp_function *f, const struct wp_str *args,
                         size_t count, redisCallbackFn *then, struct redis_call *call) {
    char elapsed[48];
    struct wp_str passed = wp_calls_elapsed(calls, elapsed, sizeof elapsed);
    size_t first = f->timed ? 5 : 4;
    wp_assert(count + first <= MAX_ARGS);
    const char *argv[MAX_ARGS] = {f->read_only ? "FCALL_RO" : "FCALL", f->name, "1", calls->root, passed.ptr};
    size_t lengths[MAX_ARGS] = {f->read_only ? 8 : 5, strlen(f->name), 1, strlen(calls->root), passed.len};
    for (size_t i = 0; i < count; i++)
        argv[first + i] = args[i].ptr ? args[i].ptr : "", lengths[first + i] = args[i].len;
    return redisAsyncCommandArgv(calls->redis, then, call, (int)(first + count), argv, lengths);
}

enum wp_err wp_calls_send(struct wp_calls *calls, const char *function, const struct wp_str *args,
                          size_t count, wp_calls_reply reply, void *ctx) {
    if (!calls->redis) return WP_ERR_REDIS;
    const struct wp_function *f = wp_function_find(calls->slot, function);
    bool wait = !f->read_only && calls->config->redis.wait_replicas > 0;
    struct redis_call *call = call_new(calls, f, reply, ctx);
    if (send_function(calls, f, args, count, wait ? on_reply_before_wait : on_reply, call) != REDIS_OK) {
        free(call);
        return WP_ERR_REDIS;
    }
    append(calls, call);
    if (wait) wp_replicas_wait(calls->redis, calls->config, on_waited, call);
    return WP_OK;
}
