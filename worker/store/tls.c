/* Owns the TLS context of the process, made at first use. */
#include "store/tls.h"
#ifdef WP_HAVE_REDIS_TLS
#include <hiredis/hiredis_ssl.h>

enum wp_err wp_redis_tls(redisContext *connection, const struct wp_config *config, const char *server_name,
                         struct wp_error *error) {
    static redisSSLContext *context; /* lives as long as the process: connections borrow it */
    if (!context) {
        redisSSLContextError code = REDIS_SSL_CTX_NONE;
        const char *ca = config->redis.tls_ca[0] ? config->redis.tls_ca : NULL;
        redisInitOpenSSL();
        context = redisCreateSSLContext(ca, ca ? NULL : "/etc/ssl/certs", NULL, NULL, server_name, &code);
        if (!context)
            return wp_fail(error, WP_ERR_CONFIG, "redis.tls_ca: no TLS context: %s",
                           redisSSLContextGetError(code));
    }
    if (redisInitiateSSLWithContext(connection, context) != REDIS_OK)
        return wp_fail(error, WP_ERR_REDIS, "TLS with Redis failed: %s; is redis.tls_ca the right authority?",
                       connection->errstr);
    return WP_OK;
}
#else
enum wp_err wp_redis_tls(redisContext *connection, const struct wp_config *config, const char *server_name,
                         struct wp_error *error) {
    (void)connection, (void)config, (void)server_name;
    return wp_fail(error, WP_ERR_CONFIG, "this build's hiredis has no TLS");
}
#endif
