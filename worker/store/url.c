/* Owns the parsing of redis.url. Pure. */
#include "store/url.h"
#include "core/buf.h"
#include <stdio.h>
#include <stdlib.h>

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

static char *percent_decoded(const char *from, size_t len) {
    char *text = wp_alloc(len + 1);
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        int high = -1, low = -1;
        if (from[i] == '%' && i + 2 < len && (high = hex_digit(from[i + 1])) >= 0)
            low = hex_digit(from[i + 2]);
        if (low >= 0) {
            text[n++] = (char)(high * 16 + low);
            i += 2;
        } else {
            text[n++] = from[i];
        }
    }
    text[n] = '\0';
    return text;
}

static bool parse_number(const char *text, size_t len, int max, int *ret_number) {
    int n = 0;
    if (len == 0 || len > 6) return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        n = n * 10 + (text[i] - '0');
    }
    *ret_number = n;
    return n <= max;
}

/* Returns where the address goes on; NULL when the colon is missing: for some clients that is a user without
 * a password, for others a password. */
static const char *take_credentials(struct wp_redis_url *url, const char *at) {
    size_t end = strcspn(at, "/?");
    const char *sign = NULL;
    for (size_t i = 0; i < end; i++)
        if (at[i] == '@') sign = at + i;
    if (!sign) return at;
    const char *colon = memchr(at, ':', (size_t)(sign - at));
    if (!colon) return NULL;
    if (colon > at) url->user = percent_decoded(at, (size_t)(colon - at));
    url->password = percent_decoded(colon + 1, (size_t)(sign - colon - 1));
    return sign + 1;
}

static bool parse_unix(struct wp_redis_url *url, const char *at) {
    at = take_credentials(url, at);
    if (!at) return false;
    size_t len = strcspn(at, "?");
    if (at[0] != '/' || len < 2) return false;
    url->path = wp_strndup((struct wp_str){at, len});
    snprintf(url->shown, sizeof url->shown, "unix://%.*s", (int)(len > 200 ? 200 : len), at);
    if (at[len] == '\0') return true;
    return strncmp(at + len, "?db=", 4) == 0 &&
           parse_number(at + len + 4, strlen(at + len + 4), 65535, &url->db);
}

/* host[:port], an IPv6 address in brackets. Returns where it ends, NULL when it is none; *ret_host is owned
 * by the caller. *port is left as it is where none is named. */
static const char *take_host(const char *at, char **ret_host, int *port) {
    const char *host = at;
    size_t len;
    if (*at == '[') {
        const char *end = strchr(at, ']');
        if (!end) return NULL;
        host = at + 1;
        len = (size_t)(end - host);
        at = end + 1;
    } else {
        len = strcspn(at, ":/,");
        at += len;
    }
    if (len == 0 || len > 200) return NULL;
    if (*at == ':') {
        size_t digits = strcspn(at + 1, "/,");
        if (!parse_number(at + 1, digits, 65535, port) || *port == 0) return NULL;
        at += 1 + digits;
    }
    *ret_host = wp_strndup((struct wp_str){host, len});
    return at;
}

/* [/db] up to the end. */
static bool parse_database(struct wp_redis_url *url, const char *at) {
    if (*at == '/' && at[1] != '\0') return parse_number(at + 1, strlen(at + 1), 65535, &url->db);
    return *at == '\0' || *at == '/';
}

static bool parse_tcp(struct wp_redis_url *url, const char *at) {
    url->port = 6379;
    at = take_credentials(url, at);
    if (at) at = take_host(at, &url->host, &url->port);
    if (!at || !parse_database(url, at)) return false;
    snprintf(url->shown, sizeof url->shown, "%s://%s:%d", url->tls ? "rediss" : "redis", url->host,
             url->port);
    return true;
}

/* ---- sentinels ---- */

static const char *take_sentinels(struct wp_redis_url *url, const char *at) {
    do {
        if (url->sentinel_count == WP_SENTINELS_MAX) return NULL;
        struct wp_redis_sentinel *sentinel = &url->sentinels[url->sentinel_count];
        sentinel->port = 26379;
        at = take_host(at, &sentinel->host, &sentinel->port);
        if (at) url->sentinel_count++;
    } while (at && *at == ',' && *++at);
    return at;
}

/* /name[/db]; Sentinel itself takes no other characters in a name. */
static bool parse_primary(struct wp_redis_url *url, const char *at) {
    if (*at != '/') return false;
    size_t len = strcspn(at + 1, "/");
    struct wp_str name = {at + 1, len};
    if (!wp_str_is_name(name)) return false;
    url->primary = wp_strndup(name);
    return parse_database(url, at + 1 + len);
}

/* The first one, since three long names would fill a message. */
static void show_sentinels(struct wp_redis_url *url) {
    (void)snprintf(url->shown, sizeof url->shown, "%s://%.80s:%d%s/%s",
                   url->tls ? "rediss-sentinel" : "redis-sentinel", url->sentinels[0].host,
                   url->sentinels[0].port, url->sentinel_count > 1 ? ",..." : "", url->primary);
}

static bool parse_sentinels(struct wp_redis_url *url, const char *at) {
    at = take_credentials(url, at);
    if (at) at = take_sentinels(url, at);
    if (!at || !parse_primary(url, at)) return false;
    show_sentinels(url);
    return true;
}

/* ---- all forms ---- */

static const struct form {
    const char *scheme;
    bool tls;
    bool (*parse)(struct wp_redis_url *url, const char *at);
} forms[] = {{"unix://", false, parse_unix},
             {"redis://", false, parse_tcp},
             {"rediss://", true, parse_tcp},
             {"redis-sentinel://", false, parse_sentinels},
             {"rediss-sentinel://", true, parse_sentinels}};

static bool parse(struct wp_redis_url *url, const char *text) {
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        size_t len = strlen(forms[i].scheme);
        if (strncmp(text, forms[i].scheme, len) != 0) continue;
        url->tls = forms[i].tls;
        return forms[i].parse(url, text + len);
    }
    return false;
}

enum wp_err wp_redis_url_parse(struct wp_redis_url *ret_url, const char *key, const char *text,
                               struct wp_error *error) {
    *ret_url = (struct wp_redis_url){0};
    if (!parse(ret_url, text)) {
        wp_redis_url_done(ret_url);
        return wp_fail(error, WP_ERR_CONFIG,
                       "%s is not a Redis address; wanted is redis://[user:password@]host[:port][/db], "
                       "rediss://... for TLS, unix:///path/to/socket, or "
                       "redis-sentinel://[user:password@]host[:port][,host[:port]...]/name[/db] "
                       "(rediss-sentinel://... for TLS)",
                       key);
    }
#ifndef WP_HAVE_REDIS_TLS
    if (ret_url->tls) {
        wp_redis_url_done(ret_url);
        return wp_fail(error, WP_ERR_CONFIG,
                       "%s asks for TLS (rediss://), but this build's hiredis has none (hiredis 1.0 or "
                       "newer, as in Debian 13, does): "
                       "use redis:// (or redis-sentinel://) or another build",
                       key);
    }
#endif
    return WP_OK;
}

void wp_redis_url_done(struct wp_redis_url *url) {
    free(url->host);
    free(url->path);
    free(url->user);
    free(url->password);
    free(url->primary);
    for (size_t i = 0; i < url->sentinel_count; i++) free(url->sentinels[i].host);
    *url = (struct wp_redis_url){0};
}
