/* redis.url: redis://[user:password@]host[:port][/db], rediss://... (TLS),
 * unix://[user:password@]/path[?db=N], and
 * redis-sentinel://[user:password@]host[:port][,host[:port]...]/name[/db] or rediss-sentinel://..., which
 * name the sentinels that know the primary of that name. User and password are those of Redis itself and may
 * be percent-encoded. */
#ifndef WP_STORE_URL_H
#define WP_STORE_URL_H
#include "core/err.h"
#include <stdbool.h>
#include <stddef.h>

enum { WP_SENTINELS_MAX = 16 };

struct wp_redis_sentinel {
    char *host; /* owned */
    int port;
};

struct wp_redis_url {
    /* Owned; NULL when absent. path instead of host for a Unix socket; neither where sentinels are named. */
    char *host, *path, *user, *password;
    int port, db;
    bool tls;      /* to the sentinels, too */
    char *primary; /* owned: its name among the sentinels; NULL: no sentinels are named */
    struct wp_redis_sentinel sentinels[WP_SENTINELS_MAX];
    size_t sentinel_count;
    char shown[256]; /* for messages: without user and password */
};

/* WP_ERR_CONFIG with the accepted forms; `key` names the option in the message. */
enum wp_err wp_redis_url_parse(struct wp_redis_url *ret_url, const char *key, const char *text,
                               struct wp_error *error) WP_MUST_CHECK;
void wp_redis_url_done(struct wp_redis_url *url);

#endif
