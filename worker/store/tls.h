/* TLS towards Redis, where hiredis has it (WP_HAVE_REDIS_TLS). */
#ifndef WP_STORE_TLS_H
#define WP_STORE_TLS_H
#include "core/config.h"
#include <hiredis/hiredis.h>

/* Loads the files of redis.tls_*, once for the process. WP_ERR_CONFIG: one of them cannot be used. The loop's
 * thread, or the only one; wp_redis_tls may then be called by any. */
enum wp_err wp_redis_tls_prepare(const struct wp_config *config, struct wp_error *error) WP_MUST_CHECK;
/* Begins TLS on a fresh connection, which may still be connecting. The server's certificate must be for
 * `host` and signed by an authority in redis.tls_ca, or by one of the system's; the worker's own is
 * redis.tls_cert. WP_ERR_CONFIG: one of the files cannot be used. WP_ERR_REDIS: the handshake failed; when
 * the connection is still connecting its disconnect callback reports that instead. */
enum wp_err wp_redis_tls(redisContext *connection, const struct wp_config *config, const char *host,
                         struct wp_error *error) WP_MUST_CHECK;

#endif
