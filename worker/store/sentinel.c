/* Asks sentinels: see sentinel.h. */
#include "store/sentinel.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include "core/buf.h"
#include "store/open.h"

/* A server that does not even refuse a connection is given up after this: others are to be asked. */
enum { STEP_MS = 1000 };

struct asked {                /* one sentinel */
    redisContext *connection; /* NULL: not connected */
    bool failed;              /* it did not answer when it was asked last, or knew no such primary */
    struct wp_error why;
};

struct wp_sentinels {
    const struct wp_config *config;
    const struct wp_redis_url *url;
    struct asked asked[WP_SENTINELS_MAX];
    int64_t step_ms;
    atomic_bool cancelled;
};

struct candidate {
    struct wp_redis_primary primary;
    size_t votes;
    bool refused; /* it is no primary that can be used: why */
    struct wp_error why;
};

struct candidates {
    struct candidate list[WP_SENTINELS_MAX];
    size_t count;
};

void wp_sentinels_limit(struct wp_sentinels *sentinels, int64_t timeout_ms) {
    sentinels->step_ms = timeout_ms < STEP_MS ? timeout_ms : STEP_MS;
}

struct wp_sentinels *wp_sentinels_new(const struct wp_config *config, const struct wp_redis_url *url) {
    struct wp_sentinels *sentinels = wp_calloc(1, sizeof *sentinels);
    sentinels->config = config;
    sentinels->url = url;
    wp_sentinels_limit(sentinels, config->redis.timeout_ms);
    return sentinels;
}

void wp_sentinels_free(struct wp_sentinels *sentinels) {
    if (!sentinels) return;
    for (size_t i = 0; i < WP_SENTINELS_MAX; i++)
        if (sentinels->asked[i].connection) redisFree(sentinels->asked[i].connection);
    free(sentinels);
}

void wp_sentinels_cancel(struct wp_sentinels *sentinels) {
    atomic_store(&sentinels->cancelled, true);
}

bool wp_redis_primary_is(const struct wp_redis_primary *a, const struct wp_redis_primary *b) {
    return a->port == b->port && strcmp(a->host, b->host) == 0;
}

/* ---- one sentinel ---- */

static enum wp_err not_opened(enum wp_redis_step failed, const char *why, struct wp_error *error) {
    if (failed == WP_REDIS_AUTH)
        return wp_fail(error, WP_ERR_REDIS,
                       "refuses redis.sentinel.user or redis.sentinel.password (those in the URL are for "
                       "Redis itself): %s",
                       why);
    if (failed == WP_REDIS_TLS) return wp_fail(error, WP_ERR_REDIS, "%s", why);
    return wp_fail(error, WP_ERR_REDIS, "does not answer: %s", why);
}

static enum wp_err open_sentinel(struct wp_sentinels *sentinels, size_t index, struct wp_error *error) {
    const struct wp_redis_sentinel *at = &sentinels->url->sentinels[index];
    const struct wp_config *config = sentinels->config;
    const char *user = config->redis.sentinel_user, *password = config->redis.sentinel_password;
    const struct wp_redis_peer peer = {.host = at->host,
                                       .port = at->port,
                                       .tls = sentinels->url->tls,
                                       .user = user,
                                       .password = *user || *password ? password : NULL,
                                       .timeout_ms = sentinels->step_ms};
    enum wp_redis_step failed;
    struct wp_error why;
    sentinels->asked[index].connection = wp_redis_open(&peer, config, &failed, &why);
    return sentinels->asked[index].connection ? WP_OK : not_opened(failed, why.text, error);
}

static void close_sentinel(struct asked *asked) {
    if (asked->connection) redisFree(asked->connection);
    asked->connection = NULL;
}

/* "; it knows NAME, NAME": ["name", "mymaster", "ip", ...] is one such array for each. Empty when its user
 * may not ask. */
static void add_known(redisContext *c, struct wp_buf *text) {
    redisReply *reply = redisCommand(c, "SENTINEL MASTERS");
    bool known = reply && reply->type == REDIS_REPLY_ARRAY;
    if (known) wp_buf_printf(text, "; it knows %s", reply->elements ? "" : "none");
    for (size_t i = 0; known && i < reply->elements; i++) {
        const redisReply *one = reply->element[i];
        if (one->elements > 1 && one->element[1]->str)
            wp_buf_printf(text, "%s%s", i ? ", " : "", one->element[1]->str);
    }
    freeReplyObject(reply);
    wp_buf_add(text, "", 1);
}

static enum wp_err unknown_name(const struct wp_sentinels *sentinels, redisContext *c,
                                struct wp_error *error) {
    struct wp_buf known = {0};
    add_known(c, &known);
    wp_fail(error, WP_ERR_REDIS, "knows no primary named %s (the last part of the URL)%.200s",
            sentinels->url->primary, known.data);
    wp_buf_done(&known);
    return WP_ERR_REDIS;
}

static enum wp_err refused(const redisReply *reply, struct wp_error *error) {
    if (strncmp(reply->str, "NOAUTH", 6) == 0)
        return wp_fail(
            error, WP_ERR_REDIS,
            "wants a password: give it as redis.sentinel.password, with redis.sentinel.user where it "
            "has users; the one in the URL is for Redis itself (%s)",
            reply->str);
    if (strstr(reply->str, "unknown command"))
        return wp_fail(error, WP_ERR_REDIS,
                       "is no sentinel but perhaps Redis itself: name sentinels, which usually listen at "
                       "port 26379, or use redis://");
    return wp_fail(error, WP_ERR_REDIS, "refuses to name the primary: %s", reply->str);
}

static enum wp_err read_address(const struct wp_sentinels *sentinels, redisContext *c,
                                const redisReply *reply, struct wp_redis_primary *ret,
                                struct wp_error *error) {
    if (!reply) {
        struct wp_error why;
        (void)wp_redis_no_reply(c, sentinels->url->tls, &why);
        return not_opened(WP_REDIS_REPLY, why.text, error);
    }
    if (reply->type == REDIS_REPLY_ERROR) return refused(reply, error);
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 || !reply->element[0]->str ||
        !reply->element[1]->str)
        return unknown_name(sentinels, c, error);
    (void)snprintf(ret->host, sizeof ret->host, "%s", reply->element[0]->str);
    ret->port = (int)strtol(reply->element[1]->str, NULL, 10);
    return WP_OK;
}

/* SENTINEL MASTER name: pairs of name and value. */
static long long read_epoch(const redisReply *reply) {
    if (!reply || reply->type != REDIS_REPLY_ARRAY) return -1;
    for (size_t i = 0; i + 1 < reply->elements; i += 2)
        if (reply->element[i]->str && strcmp(reply->element[i]->str, "config-epoch") == 0 &&
            reply->element[i + 1]->str)
            return strtoll(reply->element[i + 1]->str, NULL, 10);
    return -1;
}

static enum wp_err ask_opened(struct wp_sentinels *sentinels, redisContext *c, struct wp_redis_primary *ret,
                              struct wp_error *error) {
    const char *name = sentinels->url->primary;
    redisReply *reply = redisCommand(c, "SENTINEL GET-MASTER-ADDR-BY-NAME %s", name);
    enum wp_err err = read_address(sentinels, c, reply, ret, error);
    freeReplyObject(reply);
    if (err) return err;
    reply = redisCommand(c, "SENTINEL MASTER %s", name);
    ret->epoch = read_epoch(reply);
    freeReplyObject(reply);
    return WP_OK;
}

/* A connection that was open may have been closed by the other side meanwhile: then it is made anew, once. */
static enum wp_err ask(struct wp_sentinels *sentinels, size_t index, struct wp_redis_primary *ret,
                       struct wp_error *error) {
    struct asked *asked = &sentinels->asked[index];
    for (bool was_open = asked->connection != NULL;; was_open = false) {
        enum wp_err err = asked->connection ? WP_OK : open_sentinel(sentinels, index, error);
        if (!err) err = ask_opened(sentinels, asked->connection, ret, error);
        if (!err) return WP_OK;
        bool broken = asked->connection && asked->connection->err;
        close_sentinel(asked);
        if (!was_open || !broken) return err;
    }
}

enum wp_err wp_sentinels_ask(struct wp_sentinels *sentinels, size_t index, struct wp_redis_primary *ret,
                             struct wp_error *error) {
    struct asked *asked = &sentinels->asked[index];
    *ret = (struct wp_redis_primary){.epoch = -1};
    enum wp_err err = ask(sentinels, index, ret, &asked->why);
    asked->failed = err != WP_OK;
    return err ? wp_fail(error, err, "%s", asked->why.text) : WP_OK;
}

size_t wp_sentinels_failed(const struct wp_sentinels *sentinels) {
    size_t failed = 0;
    for (size_t i = 0; i < sentinels->url->sentinel_count; i++) failed += sentinels->asked[i].failed;
    return failed;
}

/* ---- the role ---- */

static enum wp_err read_role(const redisReply *reply, struct wp_error *error) {
    if (!reply) return wp_fail(error, WP_ERR_REDIS, "does not answer");
    if (reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOAUTH", 6) == 0)
        return wp_fail(error, WP_ERR_REDIS,
                       "wants a user and a password: write them into the URL, "
                       "redis-sentinel://USER:PASSWORD@... (redis.sentinel.* are for the sentinels)");
    if (reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOPERM", 6) == 0)
        return wp_fail(error, WP_ERR_REDIS,
                       "does not let its user call ROLE: give it the rights of redis/users.acl (%s)",
                       reply->str);
    if (reply->type == REDIS_REPLY_ERROR)
        return wp_fail(error, WP_ERR_REDIS, "does not say its role: %s", reply->str);
    const char *role = reply->type == REDIS_REPLY_ARRAY && reply->elements ? reply->element[0]->str : NULL;
    if (role && strcmp(role, "master") == 0) return WP_OK;
    return wp_fail(error, WP_ERR_REDIS, "says of itself that it is a %s",
                   role && strcmp(role, "slave") == 0 ? "replica"
                   : role                             ? role
                                                      : "server without a role");
}

/* INFO has the first line only where min-replicas-to-write is set. */
static void read_replication(redisContext *c, struct wp_redis_primary *primary) {
    static const char count[] = "connected_slaves:";
    redisReply *reply = redisCommand(c, "INFO replication");
    bool known = reply && reply->type == REDIS_REPLY_STRING;
    const char *replicas = known ? strstr(reply->str, count) : NULL;
    primary->guarded = !known || strstr(reply->str, "min_slaves_good_slaves:") != NULL;
    primary->replicas = replicas ? strtol(replicas + sizeof count - 1, NULL, 10) : 0;
    freeReplyObject(reply);
}

static enum wp_err check_role(const struct wp_sentinels *sentinels, struct wp_redis_primary *primary,
                              struct wp_error *error) {
    const struct wp_redis_url *url = sentinels->url;
    const struct wp_redis_peer peer = {.host = primary->host,
                                       .port = primary->port,
                                       .tls = url->tls,
                                       .user = url->user,
                                       .password = url->password,
                                       .timeout_ms = sentinels->step_ms};
    enum wp_redis_step failed;
    struct wp_error why;
    redisContext *c = wp_redis_open(&peer, sentinels->config, &failed, &why);
    if (!c && failed == WP_REDIS_AUTH)
        return wp_fail(error, WP_ERR_REDIS,
                       "refuses the user or password of the URL (redis.sentinel.* are for the sentinels): %s",
                       why.text);
    if (!c) return wp_fail(error, WP_ERR_REDIS, "does not answer: %s", why.text);
    redisReply *reply = redisCommand(c, "ROLE");
    enum wp_err err = read_role(reply, error);
    freeReplyObject(reply);
    if (!err) read_replication(c, primary);
    redisFree(c);
    return err;
}

/* ---- all of them ---- */

static void vote(struct candidates *candidates, const struct wp_redis_primary *named) {
    size_t i = 0;
    while (i < candidates->count && !wp_redis_primary_is(&candidates->list[i].primary, named)) i++;
    struct candidate *candidate = &candidates->list[i];
    if (i == candidates->count) *candidate = (struct candidate){.primary = *named}, candidates->count++;
    if (named->epoch > candidate->primary.epoch) candidate->primary.epoch = named->epoch;
    candidate->votes++;
}

/* Asks those that failed the last time, or the others. */
static void ask_all(struct wp_sentinels *sentinels, const bool *failed_before, bool failed,
                    struct candidates *candidates) {
    for (size_t i = 0; i < sentinels->url->sentinel_count; i++) {
        struct wp_redis_primary named;
        if (failed_before[i] != failed || atomic_load(&sentinels->cancelled)) continue;
        if (wp_sentinels_ask(sentinels, i, &named, NULL) == WP_OK) vote(candidates, &named);
    }
}

/* The one of the newest configuration; without the refused ones, one that most of all sentinels name: an old
 * configuration alone may name a primary that has been replaced and does not know it yet. */
static struct candidate *choose(const struct wp_sentinels *sentinels, struct candidates *candidates) {
    long long newest = -1;
    struct candidate *best = NULL;
    for (size_t i = 0; i < candidates->count; i++)
        if (candidates->list[i].primary.epoch > newest) newest = candidates->list[i].primary.epoch;
    for (size_t i = 0; i < candidates->count; i++) {
        struct candidate *each = &candidates->list[i];
        bool may = each->primary.epoch == newest || each->votes * 2 > sentinels->url->sentinel_count;
        if (!may || each->refused) continue;
        if (!best || each->primary.epoch > best->primary.epoch ||
            (each->primary.epoch == best->primary.epoch && each->votes > best->votes))
            best = each;
    }
    return best;
}

static bool choose_primary(struct wp_sentinels *sentinels, struct candidates *candidates,
                           struct wp_redis_primary *ret) {
    struct candidate *chosen;
    while (!atomic_load(&sentinels->cancelled) && (chosen = choose(sentinels, candidates))) {
        if (check_role(sentinels, &chosen->primary, &chosen->why) == WP_OK) {
            *ret = chosen->primary;
            return true;
        }
        chosen->refused = true;
    }
    return false;
}

/* "sentinel host:port (likewise host:port) does not answer: Connection refused; ...": equal reasons together.
 */
static void add_reasons(const struct wp_sentinels *sentinels, struct wp_buf *text) {
    const struct wp_redis_url *url = sentinels->url;
    bool said[WP_SENTINELS_MAX] = {false};
    for (size_t i = 0; i < url->sentinel_count; i++) {
        const char *why = sentinels->asked[i].why.text;
        if (said[i] || !sentinels->asked[i].failed) continue;
        wp_buf_printf(text, "%ssentinel %s:%d", text->len ? "; " : "", url->sentinels[i].host,
                      url->sentinels[i].port);
        bool others = false;
        for (size_t k = i + 1; k < url->sentinel_count; k++) {
            if (!sentinels->asked[k].failed || strcmp(sentinels->asked[k].why.text, why) != 0) continue;
            wp_buf_printf(text, "%s%s:%d", others ? ", " : " (likewise ", url->sentinels[k].host,
                          url->sentinels[k].port);
            said[k] = others = true;
        }
        if (others) wp_buf_add(text, ")", 1);
        wp_buf_printf(text, " %s", why);
    }
}

static enum wp_err none_found(const struct wp_sentinels *sentinels, const struct candidates *candidates,
                              struct wp_error *error) {
    struct wp_buf text = {0};
    for (size_t i = 0; i < candidates->count; i++) {
        const struct candidate *each = &candidates->list[i];
        if (each->refused)
            wp_buf_printf(&text, "%sthe sentinels name %s:%d as the primary, which %s", i ? "; " : "",
                          each->primary.host, each->primary.port, each->why.text);
    }
    if (!text.len) add_reasons(sentinels, &text);
    wp_buf_add(&text, "", 1);
    wp_fail(error, WP_ERR_REDIS, "%s", text.data);
    wp_buf_done(&text);
    return WP_ERR_REDIS;
}

enum wp_err wp_sentinels_find(struct wp_sentinels *sentinels, struct wp_redis_primary *ret,
                              struct wp_error *error) {
    struct candidates candidates = {.count = 0};
    bool failed_before[WP_SENTINELS_MAX];
    for (size_t i = 0; i < WP_SENTINELS_MAX; i++) failed_before[i] = sentinels->asked[i].failed;
    ask_all(sentinels, failed_before, false, &candidates);
    if (choose_primary(sentinels, &candidates, ret)) return WP_OK;
    ask_all(sentinels, failed_before, true, &candidates);
    if (choose_primary(sentinels, &candidates, ret)) return WP_OK;
    return none_found(sentinels, &candidates, error);
}

/* ---- what a switch loses ---- */

const char *wp_redis_switch_loses(const struct wp_config *config, const struct wp_redis_primary *primary) {
    if (config->redis.wait_replicas == 0)
        return "redis.wait_replicas is 0, so a switch to a replica may forget what was already answered: set "
               "it to the number of replicas that must have a change first";
    if (!primary->guarded)
        return "min-replicas-to-write is 0 at the primary, so one that is cut off goes on taking writes that "
               "are lost when it comes back: set it to 1 at each Redis";
    return NULL;
}
