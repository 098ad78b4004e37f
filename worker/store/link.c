/* Owns the state of a link's connection: reconnects with backoff, and drops the connection when Redis does
 * not answer. Calls its parts, which report by callbacks: dial opens connections, greeting prepares a new
 * one, calls is the queue of calls under way, slot_clock and slot_settings. The loop's thread.
 *
 *   DOWN -> CONNECTING -> GREETING (AUTH, SELECT) -> LOADING (function libraries, settings) -> READY
 *     ^         |             |                        |                                    |
 *     +---------+-------------+----- failure, backoff -+------------------------------------+
 */
#include "store/link.h"
#include <stdlib.h>
#include "core/clock.h"
#include "core/log.h"
#include "store/calls.h"
#include "store/connect.h"
#include "store/dial.h"
#include "store/greeting.h"
#include "store/refusal.h"
#include "store/slot_clock.h"
#include "store/slot_settings.h"

enum {
    BACKOFF_FIRST_MS = 50,
    BACKOFF_MAX_MS = 500,
    REFUSED_US = 2000000,     /* without another refusal for this long the server serves again */
    REFUSED_LOG_US = 1000000, /* between two log lines about refusals */
    WATCH_MS = 250,
    REFUSAL_MAX = 600
};

enum link_state { LINK_DOWN, LINK_CONNECTING, LINK_GREETING, LINK_LOADING, LINK_READY, LINK_CLOSED };

struct refused { /* the latest call that the connected server refused to run */
    int64_t us;  /* when; 0: the server serves calls */
    int64_t logged_us;
    char logged[REFUSAL_MAX];       /* the reason in the latest log line */
    const struct wp_function *what; /* that was called */
    bool events_logged;             /* a log line has said that a call with events was refused: they wait */
};

struct wp_link {
    uv_loop_t *loop;
    const struct wp_config *config;
    enum wp_slot slot;
    struct wp_stats *stats;
    wp_link_state state_changed;
    void *ctx;
    struct wp_redis_url url;
    const char *url_key;
    char *root;
    struct wp_dial dial;
    struct wp_greeting greeting;
    struct wp_calls calls;
    struct wp_slot_clock clock;
    struct wp_slot_settings settings;
    redisAsyncContext *redis;
    enum link_state state;
    int64_t state_since_us;
    struct refused refused;
    uv_timer_t retry, watch;
    int64_t watched_us; /* when on_watch ran last: shows whether the loop was stalled */
    int backoff_ms;
    int open_parts; /* the two timers and the dial */
    bool freed;
    char reason[1600];
};

/* ---- the state ---- */

bool wp_link_ready(const struct wp_link *link) {
    return link->state == LINK_READY;
}

const char *wp_link_reason(const struct wp_link *link) {
    return link->reason;
}

static const char *slot_name(const struct wp_link *link) {
    return link->slot == WP_SLOT_POOL ? "pool" : "cache";
}

static void be_ready(struct wp_link *link) {
    link->backoff_ms = BACKOFF_FIRST_MS;
    link->refused.us = 0;
    link->refused.events_logged = false;
    link->reason[0] = '\0';
    wp_calls_open(&link->calls, link->redis);
    wp_log(WP_LOG_INFO, "redis_ready", "slot=%s url=%s", slot_name(link), link->dial.shown);
    link->state_changed(link->ctx, link->slot, true);
}

static void be_lost(struct wp_link *link) {
    link->stats->redis_reconnects++;
    wp_log(WP_LOG_WARN, "redis_lost", "slot=%s url=%s reason=%s", slot_name(link), link->dial.shown,
           link->reason);
    link->state_changed(link->ctx, link->slot, false);
}

static void set_state(struct wp_link *link, enum link_state state) {
    bool was_ready = link->state == LINK_READY;
    link->state = state;
    link->state_since_us = wp_clock_us();
    if (state == LINK_READY)
        be_ready(link);
    else if (was_ready)
        be_lost(link);
}

static void set_reason(struct wp_link *link, const char *what) {
    snprintf(link->reason, sizeof link->reason, "Redis at %s (%s): %s", link->dial.shown, link->url_key,
             what);
}

/* ---- the connection ---- */

static void on_retry(uv_timer_t *timer);

/* Half of the pause is random, so that workers that lost the same Redis do not all come back at once. */
static void retry_later(struct wp_link *link) {
    if (link->freed) return;
    uint64_t half = (uint64_t)link->backoff_ms / 2;
    uv_timer_start(&link->retry, on_retry, half + uv_hrtime() / 1000 % (half + 1), 0);
    link->backoff_ms = link->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : link->backoff_ms * 2;
}

static void on_retry(uv_timer_t *timer) {
    struct wp_link *link = timer->data;
    if (wp_dial_busy(&link->dial)) { /* the resolver has not answered the try before yet */
        retry_later(link);
        return;
    }
    set_state(link, LINK_CONNECTING);
    wp_dial_start(&link->dial);
}

/* Returns the connection, which the caller frees; NULL: there is none. */
static redisAsyncContext *take_connection(struct wp_link *link) {
    redisAsyncContext *redis = link->redis;
    link->redis = NULL;
    wp_greeting_stop(&link->greeting);
    wp_calls_close(&link->calls);
    return redis;
}

/* The connection is lost, or none could be made. redisAsyncFree answers every call under way with NULL. */
static void down(struct wp_link *link, const char *why) {
    set_reason(link, why);
    redisAsyncContext *redis = take_connection(link);
    set_state(link, LINK_DOWN);
    if (redis) redisAsyncFree(redis);
    retry_later(link);
}

static void drop(struct wp_link *link, const char *why) {
    if (link->redis) down(link, why);
}

static void on_disconnected(const redisAsyncContext *redis, int status) {
    struct wp_link *link = redis->data;
    (void)status;
    if (link->redis != redis) return; /* dropped by us */
    link->redis = NULL;               /* hiredis frees it itself */
    down(link, redis->errstr && redis->errstr[0] ? redis->errstr : "the connection was closed");
}

static void on_connected(const redisAsyncContext *redis, int status) {
    struct wp_link *link = redis->data;
    if (link->redis != redis) return;
    if (status != REDIS_OK) {
        link->redis = NULL; /* hiredis frees it itself */
        down(link, redis->errstr[0] ? redis->errstr : "no connection");
        return;
    }
    set_state(link, LINK_GREETING);
    wp_greeting_start(&link->greeting, link->redis);
}

static void on_opened(void *ctx, redisAsyncContext *redis) {
    struct wp_link *link = ctx;
    redis->data = link;
    link->redis = redis;
    set_state(link, LINK_CONNECTING); /* its time begins now, not when sentinels were asked */
    redisAsyncSetDisconnectCallback(redis, on_disconnected);
    /* Last, because hiredis calls it at once when there is an error. */
    redisAsyncSetConnectCallback(redis, on_connected);
}

static void on_moved(void *ctx, const char *why) {
    drop(ctx, why);
}

static void on_not_opened(void *ctx, const char *why) {
    down(ctx, why);
}

/* ---- the greeting ---- */

static void on_selected(void *ctx) {
    set_state(ctx, LINK_LOADING);
}

static void on_greeted(void *ctx) {
    set_state(ctx, LINK_READY);
}

static void on_greeting_failed(void *ctx, const char *why) {
    drop(ctx, why);
}

/* ---- calls ---- */

static void serves_again(struct wp_link *link) {
    link->refused.us = 0;
    link->refused.events_logged = false;
    if (link->state == LINK_READY) link->reason[0] = '\0';
}

static void log_refusal(struct wp_link *link, const struct wp_function *function, const char *text) {
    struct refused *refused = &link->refused;
    int64_t now = wp_clock_us();
    bool is_new = strcmp(refused->logged, text) != 0 && now - refused->logged_us >= REFUSED_LOG_US;
    bool events_wait = function->events && !refused->events_logged;
    if ((refused->us && !is_new && !events_wait) || link->state != LINK_READY) return;
    refused->events_logged = refused->events_logged || function->events;
    refused->logged_us = now;
    (void)snprintf(refused->logged, sizeof refused->logged, "%s", text);
    wp_log(WP_LOG_WARN, "redis_refuses", "function=%s url=%s reason=%s", function->name, link->dial.shown,
           text);
}

/* A refused call does not drop the connection, because functions that read or free memory may still be
 * called. The refusal becomes the link's reason, and the worker is not ready. */
static void note_refusal(struct wp_link *link, const struct wp_function *function, const redisReply *reply) {
    char text[REFUSAL_MAX];
    if (reply->type != REDIS_REPLY_ERROR || !wp_refusal_describe(function, reply->str, text, sizeof text)) {
        if (link->refused.us && function == link->refused.what) serves_again(link);
        return;
    }
    log_refusal(link, function, text);
    set_reason(link, text);
    link->refused.us = wp_clock_us();
    link->refused.what = function;
}

/* A tick needs settings in the slot. */
static void tick(struct wp_link *link) {
    if (wp_slot_settings_exist(&link->settings)) wp_slot_clock_tick(&link->clock);
}

static void on_answered(void *ctx, const struct wp_function *function, const redisReply *reply, bool gap) {
    struct wp_link *link = ctx;
    note_refusal(link, function, reply);
    if (gap) tick(link);
}

/* The reason to drop the connection after an error that a new connection mends, by loading the libraries and
 * sending the settings; NULL for other replies. */
static const char *mended_anew(const struct wp_link *link, const redisReply *reply) {
    if (reply->type != REDIS_REPLY_ERROR) return NULL;
    if (strncmp(reply->str, "ERR Function not found", 22) == 0)
        return "its functions are gone; they are loaded again";
    const struct wp_refusal_words *refusal = wp_refusal_of(reply->str);
    if (refusal && refusal->anew) return refusal->means;
    bool asks = strncmp(reply->str, "NOSETTINGS", 10) == 0 || strncmp(reply->str, "WRONGFORMAT", 11) == 0;
    return asks && wp_slot_settings_exist(&link->settings) ? reply->str : NULL;
}

static void on_ended(void *ctx, const redisReply *reply) {
    const char *why = mended_anew(ctx, reply);
    if (why) drop(ctx, why);
}

static void on_unreplicated(void *ctx, const char *why) {
    drop(ctx, why);
}

/* An error that a function raised about its events begins with WPFN; any other is due to the server's state.
 */
bool wp_link_is_transient(const redisReply *reply) {
    static const char about_events[] = "WPFN ";
    return reply->type == REDIS_REPLY_ERROR &&
           strncmp(reply->str, about_events, sizeof about_events - 1) != 0;
}

enum wp_err wp_link_call(struct wp_link *link, const char *function, const struct wp_str *args, size_t count,
                         wp_link_reply reply, void *ctx) {
    return wp_calls_send(&link->calls, function, args, count, reply, ctx);
}

void wp_link_settings(struct wp_link *link, const char *owner, int64_t read_ms, struct wp_str map) {
    wp_slot_settings_set(&link->settings, owner, read_ms, map);
}

bool wp_link_settings_in_force(const struct wp_link *link) {
    return link->settings.in_force;
}

/* ---- the watch ---- */

/* Drops the connection when a call has no answer for redis.timeout_ms, or when it does not become ready. */
static void drop_silent(struct wp_link *link, int64_t limit_us) {
    int64_t oldest_us = wp_calls_oldest_us(&link->calls);
    if (oldest_us && oldest_us < limit_us)
        drop(link, "no answer within redis.timeout_ms");
    else if (link->state != LINK_READY && link->state_since_us < limit_us)
        drop(link, "no connection within redis.timeout_ms");
}

static void on_watch(uv_timer_t *timer) {
    struct wp_link *link = timer->data;
    int64_t now = wp_clock_us();
    /* After the loop was stalled, answers may have come that it has not read yet. */
    bool stalled = link->watched_us && now - link->watched_us > INT64_C(2000) * WATCH_MS;
    link->watched_us = now;
    if (link->refused.us && now - link->refused.us > REFUSED_US) serves_again(link);
    if (stalled) return;
    drop_silent(link, now - link->config->redis.timeout_ms * 1000);
    if (wp_slot_settings_exist(&link->settings)) wp_slot_clock_watch(&link->clock);
    wp_slot_settings_watch(&link->settings);
    if (link->state == LINK_READY) wp_dial_watch(&link->dial);
}

/* ---- new and free ---- */

static void part_closed(struct wp_link *link) {
    if (--link->open_parts > 0) return;
    wp_redis_url_done(&link->url);
    wp_slot_settings_done(&link->settings);
    free(link->root);
    free(link);
}

static void on_dial_closed(void *ctx) {
    part_closed(ctx);
}

static void on_timer_closed(uv_handle_t *handle) {
    part_closed(handle->data);
}

static void wire_parts(struct wp_link *link) {
    link->dial = (struct wp_dial){.loop = link->loop,
                                  .config = link->config,
                                  .url = &link->url,
                                  .opened = on_opened,
                                  .failed = on_not_opened,
                                  .moved = on_moved,
                                  .closed = on_dial_closed,
                                  .ctx = link};
    wp_dial_init(&link->dial);
    link->greeting = (struct wp_greeting){.config = link->config,
                                          .url = &link->url,
                                          .slot = link->slot,
                                          .settings = &link->settings,
                                          .selected = on_selected,
                                          .done = on_greeted,
                                          .failed = on_greeting_failed,
                                          .ctx = link};
    link->calls = (struct wp_calls){.config = link->config,
                                    .slot = link->slot,
                                    .root = link->root,
                                    .reason = link->reason,
                                    .stats = link->stats,
                                    .answered = on_answered,
                                    .ended = on_ended,
                                    .unreplicated = on_unreplicated,
                                    .ctx = link};
    link->clock.calls = link->settings.calls = &link->calls;
    link->settings.clock = &link->clock;
}

static void start_timers(struct wp_link *link) {
    uv_timer_init(link->loop, &link->retry);
    uv_timer_init(link->loop, &link->watch);
    link->retry.data = link->watch.data = link;
    uv_timer_start(&link->retry, on_retry, 0, 0);
    uv_timer_start(&link->watch, on_watch, WATCH_MS, WATCH_MS);
}

enum wp_err wp_link_new(struct wp_link **ret_link, uv_loop_t *loop, const struct wp_config *config,
                        enum wp_slot slot, struct wp_stats *stats, wp_link_state state, void *ctx,
                        struct wp_error *error) {
    const char *text;
    const char *key = wp_redis_url_key(config, slot, &text);
    struct wp_redis_url url;
    enum wp_err err = wp_redis_url_parse(&url, key, text, error);
    if (err) return err;
    struct wp_link *link = wp_calloc(1, sizeof *link);
    *link = (struct wp_link){.loop = loop,
                             .config = config,
                             .slot = slot,
                             .stats = stats,
                             .state_changed = state,
                             .ctx = ctx,
                             .url = url,
                             .url_key = key,
                             .root = wp_redis_root(config, slot),
                             .backoff_ms = BACKOFF_FIRST_MS,
                             .open_parts = 3};
    wire_parts(link);
    set_reason(link, "not connected yet");
    start_timers(link);
    *ret_link = link;
    return WP_OK;
}

void wp_link_free(struct wp_link *link) {
    if (!link) return;
    link->freed = true;
    link->state = LINK_CLOSED;
    set_reason(link, "the worker is stopping");
    redisAsyncContext *redis = take_connection(link);
    if (redis) redisAsyncFree(redis);
    uv_close((uv_handle_t *)&link->retry, on_timer_closed);
    uv_close((uv_handle_t *)&link->watch, on_timer_closed);
    wp_dial_close(&link->dial);
}
