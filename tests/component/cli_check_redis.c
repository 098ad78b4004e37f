/* What `warmpool check` finds out about a Redis. */
#include "cli/check_redis.h"
#include "support/limits.h"
#include "support/redis.h"
#include <criterion/criterion.h>
#include <stdlib.h>

static struct test_redis redis;
static struct wp_config config;
static char *said;
static size_t said_size;

static void start(void) {
    test_redis_start(&redis);
    wp_config_init(&config);
}

static void stop(void) {
    free(said);
    said = NULL;
    wp_config_done(&config);
    test_redis_stop(&redis);
}

TestSuite(check_redis, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

/* Checks the Redis at this address; returns how many things failed. */
static int check(const char *url) {
    free(said);
    struct wp_error error;
    cr_assert_eq(wp_config_set(&config, "redis.url", url, &error), WP_OK, "%s", error.text);
    struct wp_check check = {.config = &config, .out = open_memstream(&said, &said_size)};
    wp_check_redis(&check, WP_SLOT_POOL);
    fclose(check.out);
    return check.failed;
}

/* `setuser`: "ACL SETUSER u reset on >p ..." */
static int check_as_user(const char *setuser) {
    char url[160];
    freeReplyObject(test_redis_command(&redis, setuser));
    snprintf(url, sizeof(url), "unix://u:p@%s", redis.socket);
    return check(url);
}

Test(check_redis, one_that_is_set_up_well_passes) {
    freeReplyObject(test_redis_command(&redis, "CONFIG SET appendfsync always"));
    freeReplyObject(test_redis_command(&redis, "CONFIG SET slowlog-log-slower-than -1"));
    cr_assert_eq(check(redis.url), 0, "%s", said);
    cr_assert(strstr(said, "ok   redis.url"), "%s", said);
    cr_assert(strstr(said, "may load and call functions"), "%s", said);
    cr_assert_null(strstr(said, "warn"), "%s", said);
    cr_assert_eq(test_redis_int(&redis, "DBSIZE"), 0);
}

Test(check_redis, one_that_is_away_fails_with_its_address) {
    cr_assert_eq(check("unix:///nowhere/redis.sock"), 1);
    cr_assert(strstr(said, "FAIL redis.url"), "%s", said);
    cr_assert(strstr(said, "/nowhere/redis.sock"), "%s", said);
}

Test(check_redis, advises_when_it_may_forget) {
    freeReplyObject(test_redis_command(&redis, "CONFIG SET appendfsync everysec"));
    cr_assert_eq(check(redis.url), 0);
    cr_assert(strstr(said, "appendfsync is not always"), "%s", said);
    freeReplyObject(test_redis_command(&redis, "CONFIG SET appendonly no"));
    cr_assert_eq(check(redis.url), 0);
    cr_assert(strstr(said, "appendonly is no"), "%s", said);
}

Test(check_redis, advises_when_it_may_keep_claims) {
    freeReplyObject(test_redis_command(&redis, "CONFIG SET slowlog-log-slower-than 10000"));
    cr_assert_eq(check(redis.url), 0);
    cr_assert(strstr(said, "slowlog-log-slower-than is not -1"), "%s", said);
}

Test(check_redis, refuses_eviction_of_leases) {
    freeReplyObject(test_redis_command(&redis, "CONFIG SET maxmemory-policy allkeys-lru"));
    cr_assert_eq(check(redis.url), 1);
    cr_assert(strstr(said, "noeviction"), "%s", said);
}

Test(check_redis, refuses_a_replica) {
    freeReplyObject(test_redis_command(&redis, "REPLICAOF 127.0.0.1 1"));
    cr_assert_eq(check(redis.url), 1, "%s", said);
    cr_assert(strstr(said, "replica"), "%s", said);
}

Test(check_redis, says_which_rights_a_user_lacks) {
    cr_assert_eq(check_as_user("ACL SETUSER u reset on >p +@all ~other:*"), 1, "%s", said);
    cr_assert(strstr(said, "may not call functions on wp:{pool}"), "%s", said);
    cr_assert_eq(check_as_user("ACL SETUSER u reset on >p +@all -function ~wp:*"), 1, "%s", said);
    cr_assert(strstr(said, "may not load functions"), "%s", said);
    cr_assert_eq(check_as_user("ACL SETUSER u reset on >p +@all -info ~wp:*"), 0, "%s", said);
    cr_assert(strstr(said, "INFO is not permitted"), "%s", said);
}

Test(check_redis, a_user_may_have_an_empty_password) {
    char url[160];
    freeReplyObject(test_redis_command(&redis, "ACL SETUSER default off"));
    freeReplyObject(test_redis_command(&redis, "ACL SETUSER u reset on nopass +@all ~*"));
    snprintf(url, sizeof(url), "unix://u:@%s", redis.socket);
    cr_assert_eq(check(url), 0, "%s", said);
}

Test(check_redis, a_wrong_password_fails_and_is_not_repeated) {
    cr_assert_eq(check_as_user("ACL SETUSER u reset on >other +@all ~*"), 1);
    cr_assert(strstr(said, "refuses the user or password"), "%s", said);
    cr_assert_null(strstr(said, "u:p"), "%s", said);
}

Test(check_redis, a_user_that_is_missing_is_asked_for_with_the_form_of_the_url) {
    freeReplyObject(test_redis_command(&redis, "ACL SETUSER default off"));
    cr_assert_eq(check(redis.url), 1);
    cr_assert(strstr(said, "it wants a user and a password; write them into the URL, redis://USER:PASSWORD@"),
              "%s", said);
}
