/* Owns one asynchronous connection to a Redis primary: its state, the queue of calls under way, reconnecting.
 * The loop's thread.
 *
 *   DOWN -> CONNECTING -> GREETING (AUTH, SELECT) -> LOADING (function libraries, settings) -> READY
 *     ^         |             |                        |                                    |
 *     +---------+-------------+----- failure, backoff -+------------------------------------+
 */
#include "store/link.h"
#include "core/clock.h"
#include "core/log.h"
#include "store/connect.h"
#include "store/functions.h"
#include "store/library.h"
#include "store/refusal.h"
#include "store/tls.h"
#include "store/url.h"
#include <arpa/inet.h>
#include <hiredis/adapters/libuv.h>
#include <hiredis/async.h>
#include <stdlib.h>

enum {
    BACKOFF_FIRST_MS = 50,
    BACKOFF_MAX_MS = 500,
    REFUSED_US = 2000000, /* a refusal that does not come again for so long is over */
    WATCH_MS = 250,
    TICK_US = 1000000,
    TICK_MAX_US = 10000000,
    LOADS_MAX = 5
};

enum link_state { LINK_DOWN, LINK_CONNECTING, LINK_GREETING, LINK_LOADING, LINK_READY, LINK_CLOSED };

struct call { /* in the order sent; hiredis answers in that order */
    struct wp_link *link;
    struct call *next;
    wp_link_reply reply;
    void *ctx;
    int64_t sent_us;
    bool writes;
    const char *function;
    redisReply *kept; /* with redis.wait_replicas: the answer, until WAIT has answered too */
};

struct settings { /* what the slot is told of the configuration, at each connection */
    struct wp_buf map;
    char *owner;
    int64_t read_ms;
    char hash[17];
    bool in_force;
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
    redisAsyncContext *redis;
    enum link_state state;
    int loading; /* number of the library being looked at */
    int loads;   /* how often it was loaded */
    struct settings settings;
    int64_t ticked_us; /* when a tick was sent last */
    int64_t acked_us;  /* when the last acknowledged call that writes was sent; 0: there was none */
    struct call *oldest, **youngest;
    uv_timer_t retry, watch;
    uv_getaddrinfo_t resolve;
    bool resolving;           /* resolve is under way */
    unsigned tries;           /* of addresses that a name has */
    int64_t watched_us;       /* when the watch looked last: to notice that the loop stood still */
    int64_t refused_told_us;  /* when that was logged last */
    int64_t refused_us;       /* when the server refused a call last; 0: it serves */
    const char *refused_what; /* the function whose call it refused */
    int64_t state_since_us;
    int backoff_ms, open_handles;
    bool freed;
    char reason[1024];
};

static const char too_few_replicas[] = "fewer replicas than redis.wait_replicas have the change";

static void connect_now(struct wp_link *link);
static void load_next(struct wp_link *link);
static void be_ready(struct wp_link *link);
static void serves_again(struct wp_link *link);
static void send_tick(struct wp_link *link);

bool wp_link_ready(const struct wp_link *link) {
    return link->state == LINK_READY;
}
const char *wp_link_reason(const struct wp_link *link) {
    return link->reason;
}

static void set_state(struct wp_link *link, enum link_state state) {
    bool was_ready = link->state == LINK_READY;
    link->state = state;
    link->state_since_us = wp_clock_us();
    if (state == LINK_READY) {
        link->backoff_ms = BACKOFF_FIRST_MS;
        link->refused_us = 0;
        link->reason[0] = '\0';
        wp_log(WP_LOG_INFO, "redis_ready", "slot=%s url=%s", link->slot == WP_SLOT_POOL ? "pool" : "cache",
               link->url.shown);
        link->state_changed(link->ctx, link->slot, true);
    } else if (was_ready) {
        link->stats->redis_reconnects++;
        wp_log(WP_LOG_WARN, "redis_lost", "slot=%s url=%s reason=%s",
               link->slot == WP_SLOT_POOL ? "pool" : "cache", link->url.shown, link->reason);
        link->state_changed(link->ctx, link->slot, false);
    }
}

static void say_reason(struct wp_link *link, const char *what) {
    snprintf(link->reason, sizeof link->reason, "Redis at %s (%s): %s", link->url.shown, link->url_key, what);
}

static struct call *take_oldest(struct wp_link *link) {
    struct call *call = link->oldest;
    link->oldest = call->next;
    if (!link->oldest) link->youngest = &link->oldest;
    return call;
}

static void on_retry(uv_timer_t *timer) {
    connect_now(timer->data);
}

/* Half of the pause is drawn, so that workers that lost the same Redis do not come back all at once. */
static void retry_later(struct wp_link *link) {
    if (link->freed) return;
    uint64_t half = (uint64_t)link->backoff_ms / 2;
    uv_timer_start(&link->retry, on_retry, half + uv_hrtime() / 1000 % (half + 1), 0);
    link->backoff_ms = link->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : link->backoff_ms * 2;
}

/* Ends the connection; hiredis answers every call under way with NULL before it returns. */
static void drop(struct wp_link *link, const char *why) {
    redisAsyncContext *redis = link->redis;
    if (!redis) return;
    say_reason(link, why);
    link->redis = NULL;
    set_state(link, LINK_DOWN);
    redisAsyncFree(redis);
    retry_later(link);
}

static void on_disconnected(const redisAsyncContext *redis, int status) {
    struct wp_link *link = redis->data;
    (void)status;
    if (link->redis != redis) return; /* dropped by us */
    say_reason(link, redis->errstr && redis->errstr[0] ? redis->errstr : "the connection was closed");
    link->redis = NULL;
    set_state(link, LINK_DOWN);
    retry_later(link);
}

static bool failed(struct wp_link *link, redisAsyncContext *redis, const redisReply *reply,
                   const char *doing) {
    if (link->redis != redis) return true; /* an answer of a connection that was given up */
    if (!reply) return true;               /* on_disconnected follows */
    if (reply->type != REDIS_REPLY_ERROR) return false;
    char text[400];
    const struct wp_refusal_words *refusal = wp_refusal_of(reply->str);
    if (refusal && strncmp(reply->str, "NOPERM", 6) != 0)
        snprintf(text, sizeof text, "%s (%s)", refusal->means, reply->str);
    else /* what was tried says which right is missing */
        snprintf(text, sizeof text, "%s: %s", doing, reply->str);
    drop(link, text);
    return true;
}

static void send_wait(struct wp_link *link, redisCallbackFn *then, void *data) {
    redisAsyncCommand(link->redis, then, data, "WAIT %lld %lld", (long long)link->config->redis.wait_replicas,
                      (long long)link->config->redis.timeout_ms / 2);
}

static void on_loaded(redisAsyncContext *redis, void *reply, void *data) {
    struct wp_link *link = data;
    if (failed(link, redis, reply, "loading the function library (needs FUNCTION LOAD in the user's ACL)"))
        return;
    load_next(link); /* looks again: another worker may have loaded its own since */
}

/* FUNCTION LIST WITHCODE: [[library_name, N, engine, LUA, functions, [...], library_code, TEXT]]; "" when
 * there is none. */
static const char *text_loaded(const redisReply *reply) {
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0) return "";
    const redisReply *library = reply->element[0];
    for (size_t i = 0; i + 1 < library->elements; i += 2)
        if (library->element[i]->str && strcmp(library->element[i]->str, "library_code") == 0)
            return library->element[i + 1]->str ? library->element[i + 1]->str : "";
    return "";
}

static void load(struct wp_link *link, const struct wp_library *library, struct wp_str text, int replaced) {
    const char *argv[] = {"FUNCTION", "LOAD", "REPLACE", text.ptr};
    const size_t lengths[] = {8, 4, 7, text.len};
    if (++link->loads > LOADS_MAX) {
        drop(link, "another worker keeps loading other function libraries: end the older one");
        return;
    }
    wp_log(WP_LOG_INFO, "redis_library_loaded", "library=%s revision=%d replaced=%d", library->name,
           wp_library_revision_of(text.ptr), replaced);
    redisAsyncCommandArgv(link->redis, on_loaded, link, 4, argv, lengths);
}

static void on_listed(redisAsyncContext *redis, void *data_reply, void *data) {
    struct wp_link *link = data;
    redisReply *reply = data_reply;
    if (failed(
            link, redis, reply,
            "listing function libraries (Redis 7 or newer, and FUNCTION LIST in the user's ACL, are needed)"))
        return;
    const struct wp_library *library = wp_library_of_slot(link->slot, link->loading);
    struct wp_buf text = {0};
    wp_library_text(library, &text);
    wp_buf_add(&text, "", 1);
    const char *loaded = text_loaded(reply);
    if (wp_library_is_newer(text.data, loaded)) {
        load(link, library, (struct wp_str){text.data, text.len - 1}, wp_library_revision_of(loaded));
    } else {
        link->loading++;
        link->loads = 0;
        load_next(link);
    }
    wp_buf_done(&text);
}

/* ---- settings ---- */

static void note_time(struct wp_link *link, int64_t time_ms) {
    if (link->slot == WP_SLOT_POOL)
        wp_append_clock_measured(&link->stats->redis_clock, time_ms, wp_clock_us());
}

/* {1 = ours are in force / 0, hash in force, ms, format} */
static void note_settings(struct wp_link *link, const redisReply *reply) {
    struct settings *settings = &link->settings;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 4) return;
    settings->in_force = reply->element[0]->integer == 1;
    unsigned bit = 1u << link->slot;
    link->stats->settings_differ = (link->stats->settings_differ & ~bit) | (settings->in_force ? 0 : bit);
    note_time(link, reply->element[2]->integer);
    if (!settings->in_force)
        wp_log(
            WP_LOG_WARN, "settings_differ", "slot=%s ours=%s in_force=%s reason=%s",
            link->slot == WP_SLOT_POOL ? "pool" : "cache", settings->hash, reply->element[1]->str,
            "another worker has read another configuration since; this one goes by it too: give all workers "
            "the same and restart them");
}

static void on_settings_kept(redisAsyncContext *redis, void *data_reply, void *data) {
    struct wp_link *link = data;
    if (failed(link, redis, data_reply, "its settings")) return;
    note_settings(link, data_reply);
    be_ready(link);
}

static struct wp_str elapsed_text(const struct wp_link *link, char *buffer, size_t size) {
    if (!link->acked_us) return WP_STR("");
    int length = snprintf(buffer, size, "%lld", (long long)(wp_clock_us() - link->acked_us));
    return (struct wp_str){buffer, (size_t)length};
}

static void send_settings(struct wp_link *link) {
    const struct settings *settings = &link->settings;
    const struct wp_function *f = wp_function_find(link->slot, "settings");
    char elapsed[24];
    struct wp_str passed = elapsed_text(link, elapsed, sizeof elapsed);
    redisAsyncCommand(link->redis, on_settings_kept, link, "FCALL %s 1 %s %b %s %lld %s %b", f->name,
                      link->root, passed.ptr, passed.len, settings->owner, (long long)settings->read_ms,
                      settings->hash, settings->map.data, settings->map.len);
}

static void on_settings_changed(void *ctx, const redisReply *reply, const char *error) {
    (void)error;
    if (reply && reply->type != REDIS_REPLY_ERROR) note_settings(ctx, reply);
}

void wp_link_settings(struct wp_link *link, const char *owner, int64_t read_ms, struct wp_str map) {
    struct settings *settings = &link->settings;
    wp_buf_reset(&settings->map);
    wp_buf_add(&settings->map, map.ptr, map.len);
    free(settings->owner);
    settings->owner = wp_strdup(owner);
    settings->read_ms = read_ms;
    snprintf(settings->hash, sizeof settings->hash, "%016llx", (unsigned long long)wp_library_hash(map));
    if (link->state != LINK_READY) return;
    char read[24];
    int length = snprintf(read, sizeof read, "%lld", (long long)read_ms);
    const struct wp_str args[] = {wp_str(owner), {read, (size_t)length}, wp_str(settings->hash), map};
    if (wp_link_call(link, "settings", args, 4, on_settings_changed, link))
        return; /* it went away in between: they are sent when it is back */
}

bool wp_link_settings_in_force(const struct wp_link *link) {
    return link->settings.in_force;
}

static void on_replicas(redisAsyncContext *redis, void *data_reply, void *data) {
    struct wp_link *link = data;
    redisReply *reply = data_reply;
    if (failed(link, redis, reply, "counting replicas (redis.wait_replicas needs WAIT in the user's ACL)"))
        return;
    if (reply->integer < link->config->redis.wait_replicas)
        drop(link, too_few_replicas);
    else
        set_state(link, LINK_READY);
}

static void be_ready(struct wp_link *link) {
    if (link->config->redis.wait_replicas > 0)
        send_wait(link, on_replicas, link);
    else
        set_state(link, LINK_READY);
}

static void load_next(struct wp_link *link) {
    const struct wp_library *library = wp_library_of_slot(link->slot, link->loading);
    if (library)
        redisAsyncCommand(link->redis, on_listed, link, "FUNCTION LIST LIBRARYNAME %s WITHCODE",
                          library->name);
    else if (link->settings.map.len > 0)
        send_settings(link);
    else
        be_ready(link);
}

static void on_selected(redisAsyncContext *redis, void *reply, void *data) {
    struct wp_link *link = data;
    if (failed(link, redis, reply, "selecting the database")) return;
    link->loading = link->loads = 0;
    set_state(link, LINK_LOADING);
    load_next(link);
}

static void on_authenticated(redisAsyncContext *redis, void *reply, void *data) {
    (void)failed(data, redis, reply, "the user or password is refused");
}

static void on_connected(const redisAsyncContext *redis, int status) {
    struct wp_link *link = redis->data;
    if (link->redis != redis) return;
    if (status != REDIS_OK) { /* hiredis frees the context itself */
        say_reason(link, redis->errstr[0] ? redis->errstr : "no connection");
        link->redis = NULL;
        set_state(link, LINK_DOWN);
        retry_later(link);
        return;
    }
    set_state(link, LINK_GREETING);
    const struct wp_redis_url *url = &link->url;
    if (url->password && url->user)
        redisAsyncCommand(link->redis, on_authenticated, link, "AUTH %s %s", url->user, url->password);
    else if (url->password)
        redisAsyncCommand(link->redis, on_authenticated, link, "AUTH %s", url->password);
    if (link->redis) redisAsyncCommand(link->redis, on_selected, link, "SELECT %d", url->db);
}

/* host: an address, not a name: nothing here waits. */
static void connect_to(struct wp_link *link, const char *host) {
    struct wp_error error = {0};
    redisAsyncContext *redis =
        link->url.path ? redisAsyncConnectUnix(link->url.path) : redisAsyncConnect(host, link->url.port);
    if (!redis || redis->err) {
        say_reason(link, redis ? redis->errstr : "out of memory");
        if (redis) redisAsyncFree(redis);
        set_state(link, LINK_DOWN);
        retry_later(link);
        return;
    }
    redis->data = link;
    link->redis = redis;
    if (redisLibuvAttach(redis, link->loop) != REDIS_OK ||
        (link->url.tls && wp_redis_tls(&redis->c, link->config, link->url.host, &error))) {
        drop(link, error.text[0] ? error.text : "the event loop refuses the connection");
        return;
    }
    redisAsyncSetDisconnectCallback(redis, on_disconnected);
    redisAsyncSetConnectCallback(redis, on_connected); /* last: an error in it is told by calling back */
}

static void free_when_closed(struct wp_link *link);

/* The next of a name's addresses at each try: one of them may be of a server that is gone. */
static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found) {
    struct wp_link *link = request->data;
    char text[300], address[INET6_ADDRSTRLEN] = "";
    int count = 0;
    link->resolving = false;
    for (struct addrinfo *each = found; each; each = each->ai_next) count++;
    struct addrinfo *chosen = found;
    for (unsigned i = count ? link->tries++ % (unsigned)count : 0; i > 0; i--) chosen = chosen->ai_next;
    if (!status && !chosen) status = UV_EAI_NONAME;
    if (!status && chosen->ai_family == AF_INET6)
        status = uv_ip6_name((const struct sockaddr_in6 *)chosen->ai_addr, address, sizeof address);
    else if (!status)
        status = uv_ip4_name((const struct sockaddr_in *)chosen->ai_addr, address, sizeof address);
    uv_freeaddrinfo(found);
    if (link->freed) {
        free_when_closed(link);
    } else if (status) {
        snprintf(text, sizeof text, "the name %s has no address (%s)", link->url.host, uv_strerror(status));
        say_reason(link, text);
        set_state(link, LINK_DOWN);
        retry_later(link);
    } else {
        connect_to(link, address);
    }
}

/* Names are resolved anew each time, off the loop: after a failover the same name leads elsewhere. */
static void connect_now(struct wp_link *link) {
    struct in6_addr ignored;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    if (link->resolving) { /* for longer than a try may take: that answer is waited for */
        retry_later(link);
        return;
    }
    set_state(link, LINK_CONNECTING);
    if (link->url.path || inet_pton(AF_INET, link->url.host, &ignored) == 1 ||
        inet_pton(AF_INET6, link->url.host, &ignored) == 1) {
        connect_to(link, link->url.host);
        return;
    }
    link->resolve.data = link;
    int err = uv_getaddrinfo(link->loop, &link->resolve, on_resolved, link->url.host, NULL, &hints);
    link->resolving = err == 0;
    if (err) retry_later(link);
}

static void on_ticked(void *ctx, const redisReply *reply, const char *error) {
    (void)error;
    if (reply && reply->type == REDIS_REPLY_INTEGER) note_time(ctx, reply->integer);
}

static void send_tick(struct wp_link *link) {
    link->ticked_us = wp_clock_us();
    if (link->state != LINK_READY || link->settings.map.len == 0) return;
    if (wp_link_call(link, "tick", NULL, 0, on_ticked, link)) return; /* Redis is being looked for already */
}

/* A worker that has nothing to say keeps the slot's time all the same, so that a clock that is set is noticed
 * within a second; a busy one asks now and then what Redis' clock says. */
static void tick(struct wp_link *link) {
    int64_t now = wp_clock_us();
    bool silent = !link->oldest && now - link->acked_us >= TICK_US;
    if (!silent && now - link->ticked_us < TICK_MAX_US) return;
    send_tick(link);
}

/* A call without an answer for redis.timeout_ms, or a connection that does not come up: start over. */
static void on_watch(uv_timer_t *timer) {
    struct wp_link *link = timer->data;
    int64_t now = wp_clock_us(), limit = now - link->config->redis.timeout_ms * 1000;
    /* When the loop itself stood still, answers may have come that it has not read yet. */
    bool stalled = link->watched_us && now - link->watched_us > INT64_C(2000) * WATCH_MS;
    link->watched_us = now;
    if (link->refused_us && now - link->refused_us > REFUSED_US) serves_again(link);
    if (stalled) return;
    if (link->oldest && link->oldest->sent_us < limit)
        drop(link, "no answer within redis.timeout_ms");
    else if (link->redis && link->state != LINK_READY && link->state_since_us < limit)
        drop(link, "no connection within redis.timeout_ms");
    tick(link);
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
                             .open_handles = 2};
    link->youngest = &link->oldest;
    say_reason(link, "not connected yet");
    uv_timer_init(loop, &link->retry);
    uv_timer_init(loop, &link->watch);
    link->retry.data = link->watch.data = link;
    uv_timer_start(&link->retry, on_retry, 0, 0);
    uv_timer_start(&link->watch, on_watch, WATCH_MS, WATCH_MS);
    *ret_link = link;
    return WP_OK;
}

static void serves_again(struct wp_link *link) {
    link->refused_us = 0;
    if (link->state == LINK_READY) link->reason[0] = '\0';
}

/* The link stays: what frees memory, and what reads, may still be called. But the worker is not ready, and
 * says why. */
static void note_refusal(struct wp_link *link, const struct call *call, const redisReply *reply) {
    const struct wp_refusal_words *refusal =
        reply->type == REDIS_REPLY_ERROR ? wp_refusal_of(reply->str) : NULL;
    if (!refusal) {
        if (link->refused_us && call->function == link->refused_what) serves_again(link);
        return;
    }
    char text[400];
    snprintf(text, sizeof text, "%s (%s)", refusal->means, reply->str);
    int64_t now = wp_clock_us();
    bool told =
        link->refused_us && (link->refused_what == call->function || now - link->refused_told_us < TICK_US);
    if (!told && link->state == LINK_READY) {
        link->refused_told_us = now;
        wp_log(WP_LOG_WARN, "redis_refuses", "function=%s url=%s reason=%s", call->function, link->url.shown,
               text);
    }
    say_reason(link, text);
    link->refused_us = now;
    link->refused_what = call->function;
}

/* An error that a function raised about its events begins so; any other is the server's state. */
bool wp_link_is_transient(const redisReply *reply) {
    static const char about_events[] = "WPFN ";
    return reply->type == REDIS_REPLY_ERROR &&
           strncmp(reply->str, about_events, sizeof about_events - 1) != 0;
}

/* What is mended by connecting anew, which loads the libraries and sends the settings; NULL: nothing is. */
static const char *mended_anew(const struct wp_link *link, const redisReply *reply) {
    if (!reply || reply->type != REDIS_REPLY_ERROR) return NULL;
    if (strncmp(reply->str, "ERR Function not found", 22) == 0)
        return "its functions are gone; they are loaded again";
    const struct wp_refusal_words *refusal = wp_refusal_of(reply->str);
    if (refusal && refusal->anew) return refusal->means;
    bool asks = strncmp(reply->str, "NOSETTINGS", 10) == 0 || strncmp(reply->str, "WRONGFORMAT", 11) == 0;
    return asks && link->settings.map.len > 0 ? reply->str : NULL;
}

static void finish(struct call *call, const redisReply *reply, const char *why) {
    struct wp_link *link = call->link;
    link->stats->redis_calls++;
    if (reply) wp_histogram_add(&link->stats->redis_call, wp_clock_us() - call->sent_us);
    if (!reply || reply->type == REDIS_REPLY_ERROR) link->stats->redis_errors++;
    if (reply) note_refusal(link, call, reply);
    if (reply && reply->type != REDIS_REPLY_ERROR && call->writes) {
        link->acked_us = call->sent_us;
        /* Redis stood still while the call lay there: the slot's time is told at once how much has passed. */
        if (wp_clock_us() - call->sent_us > TICK_US) send_tick(link);
    }
    call->reply(call->ctx, reply, reply ? NULL : why);
    if (call->kept) freeReplyObject(call->kept);
    free(call);
}

static void on_reply(redisAsyncContext *redis, void *reply, void *data) {
    struct call *call = data;
    struct wp_link *link = call->link;
    wp_assert(take_oldest(link) == call);
    finish(call, reply, link->reason[0] ? link->reason : "the connection to Redis was lost");
    const char *why = mended_anew(link, reply);
    if (why && link->redis == redis) drop(link, why);
}

/* hiredis frees an answer when its callback returns, so it is copied to outlive it. */
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
    struct call *call = data;
    (void)redis;
    if (reply) call->kept = copy_reply(reply);
}

static void on_waited(redisAsyncContext *redis, void *data_reply, void *data) {
    struct call *call = data;
    struct wp_link *link = call->link;
    redisReply *reply = data_reply;
    wp_assert(take_oldest(link) == call);
    bool enough =
        reply && reply->type == REDIS_REPLY_INTEGER && reply->integer >= link->config->redis.wait_replicas;
    finish(call, enough ? call->kept : NULL, too_few_replicas);
    if (reply && !enough && link->redis == redis) drop(link, too_few_replicas);
}

enum wp_err wp_link_call(struct wp_link *link, const char *function, const struct wp_str *args, size_t count,
                         wp_link_reply reply, void *ctx) {
    enum { MAX_ARGS = 168 };
    if (link->state != LINK_READY || !link->redis) return WP_ERR_REDIS;
    const struct wp_function *f = wp_function_find(link->slot, function);
    char elapsed[24];
    struct wp_str passed = elapsed_text(link, elapsed, sizeof elapsed);
    size_t first = f->timed ? 5 : 4;
    wp_assert(count + first <= MAX_ARGS);
    const char *argv[MAX_ARGS] = {f->read_only ? "FCALL_RO" : "FCALL", f->name, "1", link->root, passed.ptr};
    size_t lengths[MAX_ARGS] = {f->read_only ? 8 : 5, strlen(f->name), 1, strlen(link->root), passed.len};
    for (size_t i = 0; i < count; i++)
        argv[first + i] = args[i].ptr ? args[i].ptr : "", lengths[first + i] = args[i].len;
    struct call *call = wp_calloc(1, sizeof *call);
    *call = (struct call){.link = link,
                          .reply = reply,
                          .ctx = ctx,
                          .function = f->name,
                          .sent_us = wp_clock_us(),
                          .writes = !f->read_only};
    bool wait = !f->read_only && link->config->redis.wait_replicas > 0;
    if (redisAsyncCommandArgv(link->redis, wait ? on_reply_before_wait : on_reply, call, (int)(first + count),
                              argv, lengths) != REDIS_OK) {
        free(call);
        return WP_ERR_REDIS;
    }
    *link->youngest = call;
    link->youngest = &call->next;
    if (wait) send_wait(link, on_waited, call);
    return WP_OK;
}

static void free_when_closed(struct wp_link *link) {
    if (link->open_handles > 0 || link->resolving) return;
    wp_redis_url_done(&link->url);
    wp_buf_done(&link->settings.map);
    free(link->settings.owner);
    free(link->root);
    free(link);
}

static void on_closed(uv_handle_t *handle) {
    struct wp_link *link = handle->data;
    link->open_handles--;
    free_when_closed(link);
}

void wp_link_free(struct wp_link *link) {
    if (!link) return;
    link->freed = true;
    redisAsyncContext *redis = link->redis;
    link->redis = NULL;
    link->state = LINK_CLOSED;
    say_reason(link, "the worker is stopping");
    if (redis) redisAsyncFree(redis);
    if (link->resolving) (void)uv_cancel((uv_req_t *)&link->resolve);
    uv_close((uv_handle_t *)&link->retry, on_closed);
    uv_close((uv_handle_t *)&link->watch, on_closed);
}
