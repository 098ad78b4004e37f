/* Makes synchronous connections to Redis. */
#include "store/connect.h"
#include "core/buf.h"
#include "store/refusal.h"
#include "store/tls.h"
#include "store/url.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
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

static bool is_late(const redisContext *c) {
    return strcmp(c->errstr, strerror(EAGAIN)) == 0;
}

const char *wp_redis_silence(const redisContext *c) {
    return is_late(c) ? "nothing within redis.timeout_ms" : c->errstr;
}

static enum wp_err no_answer(const redisContext *c, const struct wp_redis_url *url, const char *key,
                             struct wp_error *error) {
    /* With TLS 1.3 it refuses a client's certificate after the handshake: by an alert, by closing or
     * by a reset. */
    bool refused = url->tls && !is_late(c);
    return wp_fail(error, WP_ERR_REDIS, "Redis at %s (%s) does not answer: %s%s", url->shown, key,
                   wp_redis_silence(c),
                   refused ? "; if it wants a client's certificate, name one in redis.tls_cert" : "");
}

static enum wp_err say_hello(redisContext *c, const struct wp_redis_url *url, const char *key,
                             struct wp_error *error) {
    redisReply *reply = NULL;
    if (url->password) {
        reply = url->user ? redisCommand(c, "AUTH %s %s", url->user, url->password)
                          : redisCommand(c, "AUTH %s", url->password);
        if (!reply) return no_answer(c, url, key, error);
        if (reply->type == REDIS_REPLY_ERROR) {
            wp_fail(error, WP_ERR_REDIS, "Redis at %s (%s) refuses the user or password: %s", url->shown, key,
                    reply->str);
            freeReplyObject(reply);
            return WP_ERR_REDIS;
        }
        freeReplyObject(reply);
    }
    reply = redisCommand(c, "SELECT %d", url->db);
    if (!reply) return no_answer(c, url, key, error);
    enum wp_err err = WP_OK;
    const struct wp_refusal_words *refusal =
        reply->type == REDIS_REPLY_ERROR ? wp_refusal_of(reply->str) : NULL;
    if (refusal)
        err = wp_fail(error, WP_ERR_REDIS, "Redis at %s (%s): %s (%s)", url->shown, key, refusal->means,
                      reply->str);
    else if (reply->type == REDIS_REPLY_ERROR)
        err = wp_fail(error, WP_ERR_REDIS, "Redis at %s (%s) refuses database %d: %s", url->shown, key,
                      url->db, reply->str);
    freeReplyObject(reply);
    return err;
}

/* Tries each address of the name: hiredis gives up after the first, and takes IPv6 only where there is no
 * IPv4. */
static redisContext *connect_tcp(const struct wp_redis_url *url, struct timeval timeout) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    redisContext *c = NULL;
    char address[INET6_ADDRSTRLEN];
    if (getaddrinfo(url->host, NULL, &hints, &found) != 0)
        return redisConnectWithTimeout(url->host, url->port, timeout); /* which says why */
    for (const struct addrinfo *each = found; each && (!c || c->err); each = each->ai_next) {
        if (getnameinfo(each->ai_addr, each->ai_addrlen, address, sizeof address, NULL, 0, NI_NUMERICHOST))
            continue;
        if (c) redisFree(c);
        c = redisConnectWithTimeout(address, url->port, timeout);
    }
    freeaddrinfo(found);
    return c;
}

enum wp_err wp_redis_connect(redisContext **ret, const struct wp_config *config, enum wp_slot slot,
                             struct wp_error *error) {
    const char *text;
    const char *key = wp_redis_url_key(config, slot, &text);
    struct wp_redis_url url;
    enum wp_err err = wp_redis_url_parse(&url, key, text, error);
    if (err) return err;
    struct timeval timeout = {.tv_sec = config->redis.timeout_ms / 1000,
                              .tv_usec = config->redis.timeout_ms % 1000 * 1000};
    redisContext *c = url.path ? redisConnectUnixWithTimeout(url.path, timeout) : connect_tcp(&url, timeout);
    if (!c || c->err) {
        err = wp_fail(error, WP_ERR_REDIS,
                      "no Redis answers at %s (%s): %s; is it running, and is the address right?", url.shown,
                      key, c ? c->errstr : "out of memory");
    } else {
        redisSetTimeout(c, timeout);
        if (url.tls) err = wp_redis_tls(c, config, url.host, error);
        if (!err) err = say_hello(c, &url, key, error);
    }
    wp_redis_url_done(&url);
    if (err) {
        if (c) redisFree(c);
        return err;
    }
    *ret = c;
    return WP_OK;
}
