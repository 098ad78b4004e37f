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

static bool parse_tcp(struct wp_redis_url *url, const char *at) {
    at = take_credentials(url, at);
    if (!at) return false;
    const char *host = at;
    size_t host_len;
    if (*at == '[') { /* IPv6 */
        const char *end = strchr(at, ']');
        if (!end) return false;
        host = at + 1;
        host_len = (size_t)(end - host);
        at = end + 1;
    } else {
        host_len = strcspn(at, ":/");
        at += host_len;
    }
    url->port = 6379;
    if (*at == ':') {
        size_t len = strcspn(at + 1, "/");
        if (!parse_number(at + 1, len, 65535, &url->port) || url->port == 0) return false;
        at += 1 + len;
    }
    if (*at == '/' && at[1] != '\0' && !parse_number(at + 1, strlen(at + 1), 65535, &url->db)) return false;
    if (*at != '\0' && *at != '/') return false;
    if (host_len == 0 || host_len > 200) return false;
    url->host = wp_strndup((struct wp_str){host, host_len});
    snprintf(url->shown, sizeof url->shown, "%s://%s:%d", url->tls ? "rediss" : "redis", url->host,
             url->port);
    return true;
}

enum wp_err wp_redis_url_parse(struct wp_redis_url *ret_url, const char *key, const char *text,
                               struct wp_error *error) {
    *ret_url = (struct wp_redis_url){0};
    bool ok = false;
    if (strncmp(text, "unix://", 7) == 0) {
        ok = parse_unix(ret_url, text + 7);
    } else if (strncmp(text, "redis://", 8) == 0) {
        ok = parse_tcp(ret_url, text + 8);
    } else if (strncmp(text, "rediss://", 9) == 0) {
        ret_url->tls = true;
        ok = parse_tcp(ret_url, text + 9);
    }
    if (!ok) {
        wp_redis_url_done(ret_url);
        return wp_fail(error, WP_ERR_CONFIG,
                       "%s is not a Redis address; wanted is redis://[user:password@]host[:port][/db], "
                       "rediss://... for TLS, "
                       "or unix:///path/to/socket",
                       key);
    }
#ifndef WP_HAVE_REDIS_TLS
    if (ret_url->tls) {
        wp_redis_url_done(ret_url);
        return wp_fail(error, WP_ERR_CONFIG,
                       "%s asks for TLS (rediss://), but this build's hiredis has none (hiredis 1.0 or "
                       "newer, as in Debian 13, does): "
                       "use redis:// or another build",
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
    *url = (struct wp_redis_url){0};
}
