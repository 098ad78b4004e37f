/* Owns the TLS context of the process, made at first use. */
#include "store/tls.h"
#ifdef WP_HAVE_REDIS_TLS
#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

static enum wp_err fail(struct wp_error *error, const char *key, const char *file) {
    const char *why = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return wp_fail(error, WP_ERR_CONFIG, "%s: %s cannot be used for TLS with Redis: %s", key, file,
                   why ? why : "OpenSSL does not say why");
}

static enum wp_err load(SSL_CTX *context, const struct wp_config *config, struct wp_error *error) {
    const char *ca = config->redis.tls_ca, *cert = config->redis.tls_cert, *key = config->redis.tls_key;
    if (*ca ? SSL_CTX_load_verify_locations(context, ca, NULL) != 1
            : SSL_CTX_set_default_verify_paths(context) != 1)
        return fail(error, "redis.tls_ca", *ca ? ca : "the system's list of authorities");
    if (*cert && SSL_CTX_use_certificate_chain_file(context, cert) != 1)
        return fail(error, "redis.tls_cert", cert);
    if (*key && SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
        return fail(error, "redis.tls_key", key);
    return WP_OK;
}

static SSL_CTX *context_of(const struct wp_config *config, struct wp_error *error) {
    static SSL_CTX *context; /* lives as long as the process: connections borrow it */
    if (context) return context;
    SSL_CTX *fresh = SSL_CTX_new(TLS_client_method());
    wp_assert(fresh);
    SSL_CTX_set_min_proto_version(fresh, TLS1_2_VERSION);
    SSL_CTX_set_verify(fresh, SSL_VERIFY_PEER, NULL);
    if (load(fresh, config, error))
        SSL_CTX_free(fresh);
    else
        context = fresh;
    return context;
}

enum wp_err wp_redis_tls_prepare(const struct wp_config *config, struct wp_error *error) {
    return context_of(config, error) ? WP_OK : WP_ERR_CONFIG;
}

/* Requires a certificate for `host`, a name or an address. */
static bool expect(SSL *ssl, const char *host) {
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1) return true;
    ERR_clear_error(); /* it is a name */
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

enum wp_err wp_redis_tls(redisContext *connection, const struct wp_config *config, const char *host,
                         struct wp_error *error) {
    SSL_CTX *context = context_of(config, error);
    if (!context) return WP_ERR_CONFIG;
    SSL *ssl = SSL_new(context);
    wp_assert(ssl);
    if (expect(ssl, host) && redisInitiateSSL(connection, ssl) == REDIS_OK)
        return WP_OK; /* it owns ssl now */
    SSL_free(ssl);
    return wp_fail(error, WP_ERR_REDIS,
                   "TLS with Redis failed: %s; is redis.tls_ca the right authority, and is its certificate "
                   "one of %s?",
                   connection->errstr, host);
}
#else
enum wp_err wp_redis_tls_prepare(const struct wp_config *config, struct wp_error *error) {
    (void)config;
    return wp_fail(error, WP_ERR_CONFIG, "this build's hiredis has no TLS");
}

enum wp_err wp_redis_tls(redisContext *connection, const struct wp_config *config, const char *host,
                         struct wp_error *error) {
    (void)connection, (void)config, (void)host;
    return wp_fail(error, WP_ERR_CONFIG, "this build's hiredis has no TLS");
}
#endif
