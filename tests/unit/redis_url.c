/* The forms of redis.url, and what is said about others. */
#include "store/connect.h"
#include "store/url.h"
#include <criterion/criterion.h>
#include <stdlib.h>

static struct wp_redis_url parsed(const char *text) {
    struct wp_redis_url url;
    struct wp_error error = {0};
    cr_assert_eq(wp_redis_url_parse(&url, "redis.url", text, &error), WP_OK, "%s: %s", text, error.text);
    return url;
}

Test(redis_url, host_alone_has_the_usual_port_and_database) {
    struct wp_redis_url url = parsed("redis://cache.example");
    cr_assert_str_eq(url.host, "cache.example");
    cr_assert_eq(url.port, 6379);
    cr_assert_eq(url.db, 0);
    cr_assert_null(url.user);
    cr_assert_null(url.password);
    cr_assert_not(url.tls);
    wp_redis_url_done(&url);
}

Test(redis_url, user_password_port_and_database_are_taken_and_decoded) {
    struct wp_redis_url url = parsed("redis://wor%6Ber:p%40ss%2Fw%C3%B6rd%zz@10.0.0.1:7000/3");
    cr_assert_str_eq(url.user, "worker");
    cr_assert_str_eq(url.password, "p@ss/w\xc3\xb6rd%zz");
    cr_assert_str_eq(url.host, "10.0.0.1");
    cr_assert_eq(url.port, 7000);
    cr_assert_eq(url.db, 3);
    wp_redis_url_done(&url);
}

Test(redis_url, a_password_without_a_user_is_the_default_users) {
    struct wp_redis_url url = parsed("redis://:secret@localhost");
    cr_assert_null(url.user);
    cr_assert_str_eq(url.password, "secret");
    wp_redis_url_done(&url);
}

Test(redis_url, what_is_shown_has_no_password) {
    struct wp_redis_url url = parsed("redis://u:secret@localhost:6380/1");
    cr_assert_null(strstr(url.shown, "secret"));
    cr_assert_str_eq(url.shown, "redis://localhost:6380");
    wp_redis_url_done(&url);
}

Test(redis_url, ipv6_hosts_stand_in_brackets) {
    struct wp_redis_url url = parsed("redis://[::1]:7001");
    cr_assert_str_eq(url.host, "::1");
    cr_assert_eq(url.port, 7001);
    wp_redis_url_done(&url);
}

Test(redis_url, a_unix_socket_has_a_path_and_perhaps_a_database) {
    struct wp_redis_url url = parsed("unix:///run/redis.sock");
    cr_assert_str_eq(url.path, "/run/redis.sock");
    cr_assert_null(url.host);
    wp_redis_url_done(&url);
    url = parsed("unix://w:s@/run/redis.sock?db=5");
    cr_assert_str_eq(url.path, "/run/redis.sock");
    cr_assert_str_eq(url.user, "w");
    cr_assert_eq(url.db, 5);
    wp_redis_url_done(&url);
}

Test(redis_url, sentinels_are_named_with_the_primary_that_they_watch) {
    struct wp_redis_url url = parsed("redis-sentinel://w:s%2C@one,two:7000,[::1]:7001/my-primary.1/4");
    cr_assert_null(url.host);
    cr_assert_str_eq(url.primary, "my-primary.1");
    cr_assert_eq(url.sentinel_count, 3);
    cr_assert_str_eq(url.sentinels[0].host, "one");
    cr_assert_eq(url.sentinels[0].port, 26379);
    cr_assert_eq(url.sentinels[1].port, 7000);
    cr_assert_str_eq(url.sentinels[2].host, "::1");
    cr_assert_str_eq(url.password, "s,");
    cr_assert_eq(url.db, 4);
    cr_assert_str_eq(url.shown, "redis-sentinel://one:26379,.../my-primary.1");
    wp_redis_url_done(&url);
    url = parsed("redis-sentinel://one/primary/");
    cr_assert_eq(url.db, 0);
    wp_redis_url_done(&url);
}

Test(redis_url, other_forms_are_refused_with_the_accepted_ones) {
    static const char *const wrong[] = {"",
                                        "localhost:6379",
                                        "http://x",
                                        "redis://",
                                        "redis://h:0",
                                        "redis://h:99999",
                                        "redis://h:",
                                        "redis://h:6379/x",
                                        "redis://[::1",
                                        "redis://h/1/2",
                                        "unix://",
                                        "unix://x",
                                        "unix:///",
                                        "unix:///a?db=x",
                                        "unix:///a?x=1",
                                        "redis://h:6379x",
                                        "redis://user@h",
                                        "unix://user@/a",
                                        "redis://h,i",
                                        "redis-sentinel://",
                                        "redis-sentinel://h",
                                        "redis-sentinel://h/",
                                        "redis-sentinel:///name",
                                        "redis-sentinel://h,/name",
                                        "redis-sentinel://h,,i/name",
                                        "redis-sentinel://h:0/name",
                                        "redis-sentinel://h/na me",
                                        "redis-sentinel://h/name/x",
                                        "redis-sentinel://h/name/1/2",
                                        "redis-sentinel://user@h/name",
                                        "redis-sentinel://a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q/name"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct wp_redis_url url;
        struct wp_error error = {0};
        cr_assert_eq(wp_redis_url_parse(&url, "redis.url", wrong[i], &error), WP_ERR_CONFIG, "%s", wrong[i]);
        cr_assert_not_null(strstr(error.text, "redis.url"));
        cr_assert_not_null(strstr(error.text, "redis://"));
    }
}

#ifndef WP_HAVE_REDIS_TLS
Test(redis_url, tls_is_refused_with_the_reason_where_hiredis_has_none) {
    struct wp_redis_url url;
    struct wp_error error = {0};
    cr_assert_eq(wp_redis_url_parse(&url, "redis.url", "rediss://h", &error), WP_ERR_CONFIG);
    cr_assert_not_null(strstr(error.text, "TLS"));
}
#else
Test(redis_url, rediss_asks_for_tls) {
    struct wp_redis_url url = parsed("rediss://h");
    cr_assert(url.tls);
    cr_assert_str_eq(url.shown, "rediss://h:6379");
    wp_redis_url_done(&url);
}
#endif

Test(redis_url, the_cache_slot_has_its_own_address_when_one_is_set) {
    struct wp_config config;
    const char *value;
    wp_config_init(&config);
    cr_assert_str_eq(wp_redis_url_key(&config, WP_SLOT_CACHE, &value), "redis.url");
    cr_assert_eq(wp_config_set(&config, "redis.cache_url", "redis://other", NULL), WP_OK);
    cr_assert_str_eq(wp_redis_url_key(&config, WP_SLOT_CACHE, &value), "redis.cache_url");
    cr_assert_str_eq(value, "redis://other");
    cr_assert_str_eq(wp_redis_url_key(&config, WP_SLOT_POOL, &value), "redis.url");
    char *root = wp_redis_root(&config, WP_SLOT_CACHE);
    cr_assert_str_eq(root, "wp:{cache}");
    free(root);
    wp_config_done(&config);
}
