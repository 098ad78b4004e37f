/* The queue of calls of Redis functions under way on a link's connection, in the order sent. With
 * redis.wait_replicas the answer to a call that writes is kept back until enough replicas have the change.
 * Reports by callbacks; does not make or own the connection. One thread: the loop's. */
#ifndef WP_STORE_CALLS_H
#define WP_STORE_CALLS_H
#include <hiredis/async.h>
#include "core/config.h"
#include "core/stats.h"
#include "core/str.h"
#include "store/functions.h"

/* As wp_link_reply: reply is borrowed; NULL when there is no answer (error says why). */
typedef void (*wp_calls_reply)(void *ctx, const redisReply *reply, const char *error);

struct wp_calls {
    const struct wp_config *config; /* borrowed, as all of these */
    enum wp_slot slot;
    const char *root;   /* the key that every function takes */
    const char *reason; /* why the connection is lost, set by the owner; empty: not known */
    struct wp_stats *stats;
    /* Called for each answer, before the call's own callback. gap: the first TIMEGAP refusal since an
     * acknowledged call. The slot needs to learn how much time has passed, which the next call tells it. */
    void (*answered)(void *ctx, const struct wp_function *function, const redisReply *reply, bool gap);
    /* Called for the same answer after the call's own callback, unless the connection was closed meanwhile.
     */
    void (*ended)(void *ctx, const redisReply *reply);
    /* Too few replicas have a change: the owner drops the connection. */
    void (*unreplicated)(void *ctx, const char *why);
    void *ctx;
    /* calls.c alone changes these */
    redisAsyncContext *redis; /* NULL: no calls are taken */
    struct redis_call *oldest, *youngest;
    int64_t acked_us; /* when the last acknowledged call that writes was sent; 0: there was none */
    int64_t gap_us;   /* Redis' clock in a TIMEGAP refusal since then; 0: there was none */
};

void wp_calls_open(struct wp_calls *calls, redisAsyncContext *redis); /* calls are taken from now on */
/* No calls are taken. Those under way fail when the owner frees the connection. */
void wp_calls_close(struct wp_calls *calls);
/* As wp_link_call. */
enum wp_err wp_calls_send(struct wp_calls *calls, const char *function, const struct wp_str *args,
                          size_t count, wp_calls_reply reply, void *ctx) WP_MUST_CHECK;
/* When the oldest call under way was sent; 0: there is none. */
int64_t wp_calls_oldest_us(const struct wp_calls *calls);
/* The first argument of timed functions (redis/frame.lua): the microseconds since the last acknowledged call
 * that writes was sent and, after a TIMEGAP refusal, the number in it. Empty before the first acknowledged
 * call. Borrows from buffer, of 48 bytes. */
struct wp_str wp_calls_elapsed(const struct wp_calls *calls, char *buffer, size_t size);
/* True when the reply is a TIMEGAP refusal, which the next call's elapsed time then answers. */
bool wp_calls_note_gap(struct wp_calls *calls, const redisReply *reply);

#endif
