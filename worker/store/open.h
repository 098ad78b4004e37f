/* Opens one synchronous connection to a server that speaks Redis' protocol, Redis itself or a sentinel:
 * connects, begins TLS and authenticates. Blocks. Any thread; with TLS, wp_redis_tls_prepare must have been
 * called before. */
#ifndef WP_STORE_OPEN_H
#define WP_STORE_OPEN_H
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>
#include "core/config.h"

struct wp_redis_peer {
    const char *host, *path; /* borrowed, as all of these; path: of a Unix socket, instead of the host */
    int port;
    bool tls;
    const char *user, *password; /* NULL: none; an empty password is one */
    int64_t timeout_ms;          /* for each step, and later for each reply */
};

/* What failed. */
enum wp_redis_step { WP_REDIS_CONNECT, WP_REDIS_TLS, WP_REDIS_REPLY, WP_REDIS_AUTH };

/* Owned by the caller (redisFree); NULL: ret_failed says what failed, and the error why, without naming the
 * server. */
redisContext *wp_redis_open(const struct wp_redis_peer *peer, const struct wp_config *config,
                            enum wp_redis_step *ret_failed, struct wp_error *error);
/* Why a connection gave no reply, for messages. */
const char *wp_redis_silence(const redisContext *c);
/* The same, with what may mend it. */
enum wp_err wp_redis_no_reply(const redisContext *c, bool tls, struct wp_error *error);

#endif
