/* TLS towards Redis, where hiredis has it (WP_HAVE_REDIS_TLS). */
#ifndef WP_STORE_TLS_H
#define WP_STORE_TLS_H
#include "core/config.h"
#include <hiredis/hiredis.h>

/* Begins TLS on a fresh connection (also one that is still connecting). Verifies the server's certificate
 * against redis.tls_ca or the system's. */
enum wp_err wp_redis_tls(redisContext *connection, const struct wp_config *config, const char *server_name,
                         struct wp_error *error) WP_MUST_CHECK;

#endif
