/* Opens a link's connections: resolves the host name of redis.url off the loop, connects to one of its
 * addresses and begins TLS. Passes the connection to a callback and keeps none. One thread: the loop's. */
#ifndef WP_STORE_DIAL_H
#define WP_STORE_DIAL_H
#include <hiredis/async.h>
#include <uv.h>
#include "core/config.h"
#include "store/url.h"

struct wp_dial {
    uv_loop_t *loop;
    const struct wp_config *config; /* borrowed, as this */
    const struct wp_redis_url *url;
    /* redis is owned by the callee, which sets its callbacks. It is still connecting. */
    void (*opened)(void *ctx, redisAsyncContext *redis);
    void (*failed)(void *ctx, const char *why);
    void (*closed)(void *ctx); /* after wp_dial_close: the struct may go */
    void *ctx;
    /* dial.c alone changes these */
    uv_getaddrinfo_t resolve;
    bool resolving; /* resolve is under way */
    bool closing;
    unsigned tries; /* counts connection attempts: chooses among a name's addresses */
};

/* True while the name is being resolved for an earlier wp_dial_start: no other one may begin. */
bool wp_dial_busy(const struct wp_dial *dial);
/* Calls opened or failed, now or later. */
void wp_dial_start(struct wp_dial *dial);
/* Neither is called any more; calls closed, now or when the resolver has answered. */
void wp_dial_close(struct wp_dial *dial);

#endif
