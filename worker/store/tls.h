/* TLS towards Redis, where hiredis has it (WP_HAVE_REDIS_TLS). */
#ifndef WP_STORE_TLS_H
#define WP_STORE_TLS_H
#include "core/config.h"
#include <hiredis/hiredis.h>

/* Begins TLS on a fresh connection (also one that is still connecting). The server's certificate has to be of
 * an authority of redis.tls_ca, or the system's, and of that host; ours is redis.tls_cert. WP_ERR_CONFIG: a
 * file of them cannot be used; WP_ERR_REDIS: the handshake failed (of one that is still connecting its
 * disconnection says so). */
enum wp_err wp_redis_tls(redisContext *connection, const struct wp_config *config, const char *host,
                         struct wp_error *error) WP_MUST_CHECK;

#endif
