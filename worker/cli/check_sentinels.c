/* Checks sentinels one by one. Owns nothing. */
#include "cli/check_sentinels.h"
#include "store/connect.h"
#include "store/sentinel.h"
#include "store/tls.h"

static void check_one(struct wp_check *check, struct wp_sentinels *sentinels, const struct wp_redis_url *url,
                      size_t index, const struct wp_redis_primary *found) {
    const struct wp_redis_sentinel *at = &url->sentinels[index];
    struct wp_redis_primary named;
    struct wp_error error;
    if (wp_sentinels_ask(sentinels, index, &named, &error))
        wp_check_say(check, WP_CHECK_ADVICE, "redis sentinel", "%s:%d %s", at->host, at->port, error.text);
    else if (wp_redis_primary_is(&named, found))
        wp_check_say(check, WP_CHECK_OK, "redis sentinel", "%s:%d names %s:%d as the primary of %s", at->host,
                     at->port, named.host, named.port, url->primary);
    else
        wp_check_say(check, WP_CHECK_ADVICE, "redis sentinel",
                     "%s:%d names %s:%d as the primary of %s, the others %s:%d; look whether it reaches them",
                     at->host, at->port, named.host, named.port, url->primary, found->host, found->port);
}

static void check_switch(struct wp_check *check, const struct wp_redis_primary *primary) {
    const char *loses = wp_redis_switch_loses(check->config, primary);
    int64_t wait = check->config->redis.wait_replicas;
    if (loses) wp_check_say(check, WP_CHECK_ADVICE, "redis switch", "%s", loses);
    if (wait > 0 && wait < primary->replicas)
        wp_check_say(
            check, WP_CHECK_ADVICE, "redis switch",
            "redis.wait_replicas is %lld and %ld replicas follow the primary: nothing is forgotten when it "
            "dies; begin a switch while it is alive (SENTINEL FAILOVER) with CLIENT PAUSE, or wait for all "
            "replicas (docs/connecting.md)",
            (long long)wait, primary->replicas);
}

static void check_all(struct wp_check *check, const struct wp_redis_url *url) {
    struct wp_redis_primary found;
    struct wp_sentinels *sentinels = wp_sentinels_new(check->config, url);
    if (wp_sentinels_find(sentinels, &found, NULL) == WP_OK) {
        for (size_t i = 0; i < url->sentinel_count; i++) check_one(check, sentinels, url, i, &found);
        if (url->sentinel_count == 1)
            wp_check_say(check, WP_CHECK_ADVICE, "redis sentinel",
                         "it is the only one named: while it is away nobody says where the primary is; name "
                         "all sentinels");
        check_switch(check, &found);
    }
    wp_sentinels_free(sentinels);
}

void wp_check_sentinels(struct wp_check *check, enum wp_slot slot) {
    const char *text;
    const char *key = wp_redis_url_key(check->config, slot, &text);
    struct wp_redis_url url;
    if (wp_redis_url_parse(&url, key, text, NULL)) return;
    if (url.primary && (!url.tls || wp_redis_tls_prepare(check->config, NULL) == WP_OK))
        check_all(check, &url);
    wp_redis_url_done(&url);
}
