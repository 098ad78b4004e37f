/* Opens a link's connections: finds the primary, where redis.url names sentinels, resolves its host name off
 * the loop, connects to one of its addresses and begins TLS. Passes the connection to a callback and keeps
 * none. One thread: the loop's. */
#ifndef WP_STORE_DIAL_H
#define WP_STORE_DIAL_H
#include <hiredis/async.h>
#include <uv.h>
#include "core/config.h"
#include "store/primary.h"
#include "store/url.h"

struct wp_dial {
    uv_loop_t *loop;
    const struct wp_config *config; /* borrowed, as this */
    const struct wp_redis_url *url;
    /* redis is owned by the callee, which sets its callbacks. It is still connecting. */
    void (*opened)(void *ctx, redisAsyncContext *redis);
    void (*failed)(void *ctx, const char *why);
    /* The connection does not lead to the primary any more: to be dropped. */
    void (*moved)(void *ctx, const char *why);
    void (*closed)(void *ctx); /* after wp_dial_close: the struct may go */
    void *ctx;
    /* dial.c alone changes these */
    uv_getaddrinfo_t resolve;
    bool resolving; /* resolve is under way */
    bool closing;
    unsigned tries;            /* counts connection attempts: chooses among a name's addresses */
    struct wp_primary primary; /* used where url names sentinels */
    const char *host;          /* where to connect to, and its port; borrowed */
    int port;
    char shown[400]; /* for messages: where connections go */
};

/* Sets the fields below the callbacks. */
void wp_dial_init(struct wp_dial *dial);
/* True while the primary is looked for or its name resolved, also for an earlier wp_dial_start: no other one
 * may begin. */
bool wp_dial_busy(const struct wp_dial *dial);
/* Calls opened or failed, now or later. */
void wp_dial_start(struct wp_dial *dial);
/* To be called often while a connection is in use: calls moved, later, when sentinels name another primary.
 */
void wp_dial_watch(struct wp_dial *dial);
/* Neither is called any more; calls closed, now or when the resolver has answered. */
void wp_dial_close(struct wp_dial *dial);

#endif
