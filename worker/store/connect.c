/* Makes synchronous connections to Redis. */
#include "store/connect.h"
#include "core/buf.h"
#include "store/open.h"
#include "store/refusal.h"
#include "store/sentinel.h"
#include "store/tls.h"
#include "store/url.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *wp_redis_url_key(const struct wp_config *config, enum wp_slot slot, const char **ret_value) {
    bool own = slot == WP_SLOT_CACHE && config->redis.cache_url[0] != '\0';
    *ret_value = own ? config->redis.cache_url : config->redis.url;
    return own ? "redis.cache_url" : "redis.url";
}

char *wp_redis_root(const struct wp_config *config, enum wp_slot slot) {
    struct wp_buf buf = {0};
    wp_buf_printf(&buf, "%s:{%s}", config->redis.prefix, slot == WP_SLOT_POOL ? "pool" : "cache");
    wp_buf_add(&buf, "", 1);
    return buf.data;
}

/* Where a connection goes, and how messages name it. */
struct target {
    const struct wp_redis_url *url;
    const char *key;
    struct wp_redis_primary primary; /* found by sentinels */
    char shown[600];
};

static enum wp_err no_answer(const redisContext *c, const struct target *target, struct wp_error *error) {
    struct wp_error why;
    (void)wp_redis_no_reply(c, target->url->tls, &why);
    return wp_fail(error, WP_ERR_REDIS, "Redis at %s (%s) does not answer: %s", target->shown, target->key,
                   why.text);
}

static enum wp_err select_database(redisContext *c, const struct target *target, struct wp_error *error) {
    redisReply *reply = redisCommand(c, "SELECT %d", target->url->db);
    if (!reply) return no_answer(c, target, error);
    enum wp_err err = WP_OK;
    const struct wp_refusal_words *refusal =
        reply->type == REDIS_REPLY_ERROR ? wp_refusal_of(reply->str) : NULL;
    if (refusal)
        err = wp_fail(error, WP_ERR_REDIS, "Redis at %s (%s): %s (%s)", target->shown, target->key,
                      refusal->means, reply->str);
    else if (reply->type == REDIS_REPLY_ERROR)
        err = wp_fail(error, WP_ERR_REDIS, "Redis at %s (%s) refuses database %d: %s", target->shown,
                      target->key, target->url->db, reply->str);
    freeReplyObject(reply);
    return err;
}

static enum wp_err not_opened(enum wp_redis_step failed, const char *why, const struct target *target,
                              struct wp_error *error) {
    switch (failed) {
    case WP_REDIS_TLS:
        return wp_fail(error, WP_ERR_REDIS, "%s", why);
    case WP_REDIS_AUTH:
        return wp_fail(error, WP_ERR_REDIS, "Redis at %s (%s) refuses the user or password: %s",
                       target->shown, target->key, why);
    case WP_REDIS_REPLY:
        return wp_fail(error, WP_ERR_REDIS, "Redis at %s (%s) does not answer: %s", target->shown,
                       target->key, why);
    default:
        return wp_fail(error, WP_ERR_REDIS,
                       "no Redis answers at %s (%s): %s; is it running, and is the address right?",
                       target->shown, target->key, why);
    }
}

static enum wp_err find_primary(const struct wp_config *config, struct target *target,
                                struct wp_error *error) {
    struct wp_error why;
    struct wp_sentinels *sentinels = wp_sentinels_new(config, target->url);
    enum wp_err err = wp_sentinels_find(sentinels, &target->primary, &why);
    wp_sentinels_free(sentinels);
    if (err) return wp_fail(error, err, "Redis at %s (%s): %s", target->shown, target->key, why.text);
    (void)snprintf(target->shown, sizeof target->shown, "%s:%d, the primary of %s", target->primary.host,
                   target->primary.port, target->url->primary);
    return WP_OK;
}

static enum wp_err open_target(redisContext **ret, const struct wp_config *config,
                               const struct wp_redis_url *url, const char *key, struct wp_error *error) {
    struct target target = {.url = url, .key = key};
    enum wp_redis_step failed;
    struct wp_error why;
    (void)snprintf(target.shown, sizeof target.shown, "%s", url->shown);
    enum wp_err err = url->tls ? wp_redis_tls_prepare(config, error) : WP_OK;
    if (!err && url->primary) err = find_primary(config, &target, error);
    if (err) return err;
    const struct wp_redis_peer peer = {.host = url->primary ? target.primary.host : url->host,
                                       .port = url->primary ? target.primary.port : url->port,
                                       .path = url->path,
                                       .tls = url->tls,
                                       .user = url->user,
                                       .password = url->password,
                                       .timeout_ms = config->redis.timeout_ms};
    redisContext *c = wp_redis_open(&peer, config, &failed, &why);
    if (!c) return not_opened(failed, why.text, &target, error);
    err = select_database(c, &target, error);
    if (err)
        redisFree(c);
    else
        *ret = c;
    return err;
}

enum wp_err wp_redis_connect(redisContext **ret, const struct wp_config *config, enum wp_slot slot,
                             struct wp_error *error) {
    const char *text;
    const char *key = wp_redis_url_key(config, slot, &text);
    struct wp_redis_url url;
    enum wp_err err = wp_redis_url_parse(&url, key, text, error);
    if (err) return err;
    err = open_target(ret, config, &url, key, error);
    wp_redis_url_done(&url);
    return err;
}
