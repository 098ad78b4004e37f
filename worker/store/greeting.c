/* The steps of a greeting; each is sent when the one before was answered. */
#include "store/greeting.h"
#include "core/log.h"
#include "store/library.h"
#include "store/refusal.h"
#include "store/replicas.h"

enum { LOADS_MAX = 5 };

static void next_library(struct wp_greeting *greeting);
static void check_replicas(struct wp_greeting *greeting);

/* True when the greeting ends with this answer. doing: what was tried, for the message. */
static bool failed(struct wp_greeting *greeting, redisAsyncContext *redis, const redisReply *reply,
                   const char *doing) {
    if (greeting->redis != redis) return true; /* late answer of a connection that was dropped */
    if (!reply) return true;                   /* connection lost: the link's disconnect callback follows */
    if (reply->type != REDIS_REPLY_ERROR) return false;
    char text[400];
    const struct wp_refusal_words *refusal = wp_refusal_of(reply->str);
    if (refusal && strncmp(reply->str, "NOPERM", 6) != 0)
        snprintf(text, sizeof text, "%s (%s)", refusal->means, reply->str);
    else /* for NOPERM too: what was tried shows which right is missing */
        snprintf(text, sizeof text, "%s: %s", doing, reply->str);
    greeting->failed(greeting->ctx, text);
    return true;
}

/* ---- libraries ---- */

static void on_loaded(redisAsyncContext *redis, void *reply, void *data) {
    struct wp_greeting *greeting = data;
    if (failed(greeting, redis, reply,
               "loading the function library (needs FUNCTION LOAD in the user's ACL)"))
        return;
    next_library(greeting); /* checks this one again: another worker may have loaded its own meanwhile */
}

/* The library's text in a reply to FUNCTION LIST WITHCODE, [[library_name, N, engine, LUA, functions, [...],
 * library_code, TEXT]]; "" when there is none. */
static const char *text_loaded(const redisReply *reply) {
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0) return "";
    const redisReply *library = reply->element[0];
    for (size_t i = 0; i + 1 < library->elements; i += 2)
        if (library->element[i]->str && strcmp(library->element[i]->str, "library_code") == 0)
            return library->element[i + 1]->str ? library->element[i + 1]->str : "";
    return "";
}

static void load(struct wp_greeting *greeting, const struct wp_library *library, struct wp_str text,
                 int replaced) {
    const char *argv[] = {"FUNCTION", "LOAD", "REPLACE", text.ptr};
    const size_t lengths[] = {8, 4, 7, text.len};
    if (++greeting->loads > LOADS_MAX) {
        greeting->failed(greeting->ctx,
                         "another worker keeps loading other function libraries: end the older one");
        return;
    }
    wp_log(WP_LOG_INFO, "redis_library_loaded", "library=%s revision=%d replaced=%d", library->name,
           wp_library_revision_of(text.ptr), replaced);
    redisAsyncCommandArgv(greeting->redis, on_loaded, greeting, 4, argv, lengths);
}

static void on_listed(redisAsyncContext *redis, void *reply, void *data) {
    struct wp_greeting *greeting = data;
    if (failed(greeting, redis, reply,
               "listing function libraries (Redis 7 or newer, and FUNCTION LIST in the user's ACL, are "
               "needed)"))
        return;
    const struct wp_library *library = wp_library_of_slot(greeting->slot, greeting->library);
    struct wp_buf text = {0};
    wp_library_text(library, &text);
    wp_buf_add(&text, "", 1);
    const char *loaded = text_loaded(reply);
    if (wp_library_is_newer(text.data, loaded)) {
        load(greeting, library, (struct wp_str){text.data, text.len - 1}, wp_library_revision_of(loaded));
    } else {
        greeting->library++;
        greeting->loads = 0;
        next_library(greeting);
    }
    wp_buf_done(&text);
}

/* ---- settings ---- */

static void on_settings_kept(redisAsyncContext *redis, void *reply, void *data) {
    struct wp_greeting *greeting = data;
    if (greeting->redis == redis && reply && wp_calls_note_gap(greeting->settings->calls, reply)) {
        wp_slot_settings_send(greeting->settings, redis, on_settings_kept, greeting);
        return;
    }
    if (failed(greeting, redis, reply, "its settings")) return;
    wp_slot_settings_answered(greeting->settings, reply);
    check_replicas(greeting);
}

/* After the last library come the settings. */
static void next_library(struct wp_greeting *greeting) {
    const struct wp_library *library = wp_library_of_slot(greeting->slot, greeting->library);
    if (library)
        redisAsyncCommand(greeting->redis, on_listed, greeting, "FUNCTION LIST LIBRARYNAME %s WITHCODE",
                          library->name);
    else if (wp_slot_settings_exist(greeting->settings))
        wp_slot_settings_send(greeting->settings, greeting->redis, on_settings_kept, greeting);
    else
        check_replicas(greeting);
}

/* ---- replicas ---- */

static void on_replicas(redisAsyncContext *redis, void *reply, void *data) {
    struct wp_greeting *greeting = data;
    if (failed(greeting, redis, reply,
               "counting replicas (redis.wait_replicas needs WAIT in the user's ACL)"))
        return;
    if (wp_replicas_enough(greeting->config, reply))
        greeting->done(greeting->ctx);
    else
        greeting->failed(greeting->ctx, wp_replicas_too_few);
}

static void check_replicas(struct wp_greeting *greeting) {
    if (greeting->config->redis.wait_replicas > 0)
        wp_replicas_wait(greeting->redis, greeting->config, on_replicas, greeting);
    else
        greeting->done(greeting->ctx);
}

/* ---- the begin ---- */

static void on_selected(redisAsyncContext *redis, void *reply, void *data) {
    struct wp_greeting *greeting = data;
    if (failed(greeting, redis, reply, "selecting the database")) return;
    greeting->library = greeting->loads = 0;
    greeting->selected(greeting->ctx);
    next_library(greeting);
}

static void on_authenticated(redisAsyncContext *redis, void *reply, void *data) {
    (void)failed(data, redis, reply, "the user or password is refused");
}

void wp_greeting_start(struct wp_greeting *greeting, redisAsyncContext *redis) {
    const struct wp_redis_url *url = greeting->url;
    greeting->redis = redis;
    if (url->password && url->user)
        redisAsyncCommand(redis, on_authenticated, greeting, "AUTH %s %s", url->user, url->password);
    else if (url->password)
        redisAsyncCommand(redis, on_authenticated, greeting, "AUTH %s", url->password);
    if (greeting->redis) redisAsyncCommand(redis, on_selected, greeting, "SELECT %d", url->db);
}

void wp_greeting_stop(struct wp_greeting *greeting) {
    greeting->redis = NULL;
}
