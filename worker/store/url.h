/* redis.url: redis://[user:password@]host[:port][/db], rediss://... (TLS),
 * unix://[user:password@]/path[?db=N]. User and password may be percent-encoded. */
#ifndef WP_STORE_URL_H
#define WP_STORE_URL_H
#include "core/err.h"
#include <stdbool.h>

struct wp_redis_url {
    char *host, *path, *user, *password; /* owned; path instead of host for a Unix socket; NULL when absent */
    int port, db;
    bool tls;
    char shown[256]; /* for messages: without user and password */
};

/* WP_ERR_CONFIG with the accepted forms; `key` names the option in the message. */
enum wp_err wp_redis_url_parse(struct wp_redis_url *ret_url, const char *key, const char *text,
                               struct wp_error *error) WP_MUST_CHECK;
void wp_redis_url_done(struct wp_redis_url *url);

#endif
