/* One synchronous connection: see open.h. */
#include "store/open.h"
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include "store/tls.h"

static bool is_late(const redisContext *c) {
    return strcmp(c->errstr, strerror(EAGAIN)) == 0;
}

const char *wp_redis_silence(const redisContext *c) {
    return is_late(c) ? "nothing within redis.timeout_ms" : c->errstr;
}

enum wp_err wp_redis_no_reply(const redisContext *c, bool tls, struct wp_error *error) {
    /* With TLS 1.3 it refuses a client's certificate after the handshake: by an alert, by closing or
     * by a reset. */
    bool refused = tls && !is_late(c);
    return wp_fail(error, WP_ERR_REDIS, "%s%s", wp_redis_silence(c),
                   refused ? "; if it wants a client's certificate, name one in redis.tls_cert" : "");
}

/* Tries each address of the name: hiredis gives up after the first, and takes IPv6 only where there is no
 * IPv4. */
static redisContext *connect_tcp(const struct wp_redis_peer *peer, struct timeval timeout) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    redisContext *c = NULL;
    char address[INET6_ADDRSTRLEN];
    if (getaddrinfo(peer->host, NULL, &hints, &found) != 0)
        return redisConnectWithTimeout(peer->host, peer->port, timeout); /* which says why */
    for (const struct addrinfo *each = found; each && (!c || c->err); each = each->ai_next) {
        if (getnameinfo(each->ai_addr, each->ai_addrlen, address, sizeof address, NULL, 0, NI_NUMERICHOST))
            continue;
        if (c) redisFree(c);
        c = redisConnectWithTimeout(address, peer->port, timeout);
    }
    freeaddrinfo(found);
    return c;
}

static enum wp_err authenticate(redisContext *c, const struct wp_redis_peer *peer,
                                enum wp_redis_step *ret_failed, struct wp_error *error) {
    if (!peer->password) return WP_OK;
    redisReply *reply = peer->user && *peer->user ? redisCommand(c, "AUTH %s %s", peer->user, peer->password)
                                                  : redisCommand(c, "AUTH %s", peer->password);
    *ret_failed = reply ? WP_REDIS_AUTH : WP_REDIS_REPLY;
    if (!reply) return wp_redis_no_reply(c, peer->tls, error);
    enum wp_err err = WP_OK;
    if (reply->type == REDIS_REPLY_ERROR) err = wp_fail(error, WP_ERR_REDIS, "%s", reply->str);
    freeReplyObject(reply);
    return err;
}

static enum wp_err prepare(redisContext *c, const struct wp_redis_peer *peer, const struct wp_config *config,
                           struct timeval timeout, enum wp_redis_step *ret_failed, struct wp_error *error) {
    *ret_failed = WP_REDIS_CONNECT;
    if (!c || c->err) return wp_fail(error, WP_ERR_REDIS, "%s", c ? c->errstr : "out of memory");
    redisSetTimeout(c, timeout);
    *ret_failed = WP_REDIS_TLS;
    enum wp_err err = peer->tls ? wp_redis_tls(c, config, peer->host, error) : WP_OK;
    return err ? err : authenticate(c, peer, ret_failed, error);
}

redisContext *wp_redis_open(const struct wp_redis_peer *peer, const struct wp_config *config,
                            enum wp_redis_step *ret_failed, struct wp_error *error) {
    struct timeval timeout = {.tv_sec = peer->timeout_ms / 1000, .tv_usec = peer->timeout_ms % 1000 * 1000};
    redisContext *c =
        peer->path ? redisConnectUnixWithTimeout(peer->path, timeout) : connect_tcp(peer, timeout);
    if (!prepare(c, peer, config, timeout, ret_failed, error)) return c;
    if (c) redisFree(c);
    return NULL;
}
