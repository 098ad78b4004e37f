/* Opens connections: see dial.h. */
#include "store/dial.h"
#include <arpa/inet.h>
#include <hiredis/adapters/libuv.h>
#include "store/tls.h"

bool wp_dial_busy(const struct wp_dial *dial) {
    return dial->resolving || wp_primary_busy(&dial->primary);
}

static redisAsyncContext *attach(struct wp_dial *dial, redisAsyncContext *redis, struct wp_error *error) {
    if (redisLibuvAttach(redis, dial->loop) == REDIS_OK &&
        (!dial->url->tls || wp_redis_tls(&redis->c, dial->config, dial->host, error) == WP_OK))
        return redis;
    redisAsyncFree(redis);
    return NULL;
}

/* host: an address, not a name, so that this does not block. */
static void connect_to(struct wp_dial *dial, const char *host) {
    struct wp_error error = {0};
    redisAsyncContext *redis =
        dial->url->path ? redisAsyncConnectUnix(dial->url->path) : redisAsyncConnect(host, dial->port);
    if (!redis || redis->err) {
        dial->failed(dial->ctx, redis ? redis->errstr : "out of memory");
        if (redis) redisAsyncFree(redis);
    } else if (attach(dial, redis, &error)) {
        dial->opened(dial->ctx, redis);
    } else {
        dial->failed(dial->ctx, error.text[0] ? error.text : "the event loop refuses the connection");
    }
}

/* Takes another one of a name's addresses at each try, because one may belong to a server that is gone. */
static const struct addrinfo *choose(struct wp_dial *dial, const struct addrinfo *found) {
    unsigned count = 0;
    for (const struct addrinfo *each = found; each; each = each->ai_next) count++;
    const struct addrinfo *chosen = found;
    for (unsigned i = count ? dial->tries++ % count : 0; i > 0; i--) chosen = chosen->ai_next;
    return chosen;
}

/* 0, or an error of libuv. */
static int address_of(const struct addrinfo *chosen, char *address, size_t size) {
    if (!chosen) return UV_EAI_NONAME;
    if (chosen->ai_family == AF_INET6)
        return uv_ip6_name((const struct sockaddr_in6 *)chosen->ai_addr, address, size);
    return uv_ip4_name((const struct sockaddr_in *)chosen->ai_addr, address, size);
}

static void no_address(struct wp_dial *dial, int status) {
    char text[300];
    snprintf(text, sizeof text, "the name %s has no address (%s)", dial->host, uv_strerror(status));
    dial->failed(dial->ctx, text);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found) {
    struct wp_dial *dial = request->data;
    char address[INET6_ADDRSTRLEN] = "";
    dial->resolving = false;
    const struct addrinfo *chosen = choose(dial, found);
    if (!status) status = address_of(chosen, address, sizeof address);
    uv_freeaddrinfo(found);
    if (dial->closing)
        wp_primary_close(&dial->primary);
    else if (status)
        no_address(dial, status);
    else
        connect_to(dial, address);
}

static bool is_address(const char *host) {
    struct in6_addr ignored;
    return inet_pton(AF_INET, host, &ignored) == 1 || inet_pton(AF_INET6, host, &ignored) == 1;
}

/* The name is resolved for each try: after a failover it may lead to another server. */
static void resolve(struct wp_dial *dial) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    wp_assert(!dial->resolving);
    if (dial->url->path || is_address(dial->host)) {
        connect_to(dial, dial->host);
        return;
    }
    dial->resolve.data = dial;
    int err = uv_getaddrinfo(dial->loop, &dial->resolve, on_resolved, dial->host, NULL, &hints);
    dial->resolving = err == 0;
    if (err) no_address(dial, err);
}

/* ---- sentinels ---- */

static void on_found(void *ctx, const struct wp_redis_primary *primary) {
    struct wp_dial *dial = ctx;
    dial->host = primary->host;
    dial->port = primary->port;
    (void)snprintf(dial->shown, sizeof dial->shown, "%s:%d, the primary of %s", primary->host, primary->port,
                   dial->url->primary);
    resolve(dial);
}

static void on_not_found(void *ctx, const char *why) {
    struct wp_dial *dial = ctx;
    (void)snprintf(dial->shown, sizeof dial->shown, "%s", dial->url->shown);
    dial->failed(dial->ctx, why);
}

static void on_moved(void *ctx, const char *why) {
    struct wp_dial *dial = ctx;
    dial->moved(dial->ctx, why);
}

static void on_primary_closed(void *ctx) {
    struct wp_dial *dial = ctx;
    dial->closed(dial->ctx);
}

/* ---- all addresses ---- */

void wp_dial_init(struct wp_dial *dial) {
    dial->host = dial->url->host;
    dial->port = dial->url->port;
    (void)snprintf(dial->shown, sizeof dial->shown, "%s", dial->url->shown);
    dial->primary = (struct wp_primary){.loop = dial->loop,
                                        .config = dial->config,
                                        .url = dial->url,
                                        .found = on_found,
                                        .failed = on_not_found,
                                        .moved = on_moved,
                                        .closed = on_primary_closed,
                                        .ctx = dial};
}

void wp_dial_start(struct wp_dial *dial) {
    struct wp_error error;
    if (dial->url->tls && wp_redis_tls_prepare(dial->config, &error) != WP_OK)
        dial->failed(dial->ctx, error.text);
    else if (dial->url->primary)
        wp_primary_find(&dial->primary);
    else
        resolve(dial);
}

void wp_dial_watch(struct wp_dial *dial) {
    if (dial->url->primary) wp_primary_watch(&dial->primary);
}

void wp_dial_close(struct wp_dial *dial) {
    dial->closing = true;
    if (dial->resolving)
        (void)uv_cancel((uv_req_t *)&dial->resolve);
    else
        wp_primary_close(&dial->primary);
}
