/* The configuration and the users that warmpool ships for Redis: they load, keep memory, and let each user do
 * its work and no more. */
#include "core/embedded.h"
#include "support/cache_slot.h"
#include "support/limits.h"
#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define CONF SOURCE_DIR "/redis/redis.conf"
#define USERS SOURCE_DIR "/redis/users.acl"

static struct test_redis redis;
static void stop(void) {
    test_redis_stop(&redis);
}
TestSuite(redis_conf, .fini = stop, .timeout = TEST_LIMIT_S);

static void start_with_users(void) {
    test_redis_start_with(&redis, &(struct test_redis_options){.conf = CONF, .args = {"--aclfile", USERS}});
}

static redisContext *log_in(const char *user, const char *password) {
    redisContext *c = test_redis_connect(&redis);
    redisReply *reply = redisCommand(c, "AUTH %s %s", user, password);
    cr_assert(reply && reply->type == REDIS_REPLY_STATUS, "AUTH: %s", reply ? reply->str : c->errstr);
    freeReplyObject(reply);
    return c;
}

static bool refused(redisContext *c, const char *command) {
    redisReply *reply = redisCommand(c, command);
    cr_assert(reply);
    bool no = reply->type == REDIS_REPLY_ERROR &&
              (strncmp(reply->str, "NOPERM", 6) == 0 || strncmp(reply->str, "NOAUTH", 6) == 0);
    freeReplyObject(reply);
    return no;
}

static void fine(redisContext *c, const char *command) {
    redisReply *reply = redisCommand(c, command);
    cr_assert(reply && reply->type != REDIS_REPLY_ERROR, "%s: %s", command, reply ? reply->str : c->errstr);
    freeReplyObject(reply);
}

Test(redis_conf, loads_and_keeps_what_it_holds) {
    test_redis_start_with(&redis, &(struct test_redis_options){.conf = CONF, .args = {"--aclfile", ""}});
    const char *expected[][2] = {{"maxmemory-policy", "noeviction"},  {"appendonly", "yes"},
                                 {"appendfsync", "always"},           {"maxmemory", "1073741824"},
                                 {"hash-max-listpack-entries", "32"}, {"zset-max-listpack-entries", "32"},
                                 {"lazyfree-lazy-user-del", "yes"},   {"protected-mode", "yes"},
                                 {"no-appendfsync-on-rewrite", "no"}, {"save", ""}};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        redisReply *reply = test_redis_command(&redis, "CONFIG GET %s", expected[i][0]);
        cr_assert_eq(reply->elements, 2);
        cr_assert_str_eq(reply->element[1]->str, expected[i][1], "%s", expected[i][0]);
        freeReplyObject(reply);
    }
}

Test(redis_conf, nobody_comes_in_without_a_user) {
    start_with_users();
    redisContext *c = test_redis_connect(&redis);
    cr_assert(refused(c, "PING"));
    redisFree(c);
}

Test(redis_conf, the_worker_runs_its_functions_and_nothing_else) {
    start_with_users();
    redisContext *c = log_in("warmpool", "warmpool");
    redisFree(redis.connection);
    redis.connection = c; /* from here on the test is the worker */
    calls_load(&redis, WP_SLOT_CACHE);
    struct cache_slot slot = {.redis = redis, .settings = CACHE_SETTINGS(2), .last = -1};
    cache_set(&slot, "tool", "a", "1", NO_TTL);
    cache_set(&slot, "tool", "b", "2", 1);
    cache_set(&slot, "own", "c", "3", NO_TTL);
    cache_get(&slot, "own", "c");
    cache_invalidate(&slot, "own", "c");
    cache_resize(&slot, "r", 1);
    cache_clear(&slot, "");
    calls_reply_done(&slot.answer);
    calls_sweep(&redis, WP_SLOT_CACHE, slot.settings);
    freeReplyObject(calls_function(&redis, WP_SLOT_CACHE, "positions", CACHE_PARTITION, NULL));
    freeReplyObject(calls_function(&redis, WP_SLOT_CACHE, "begin", "c/cache/1", "7", "new", "0", NULL));
    freeReplyObject(calls_function(&redis, WP_SLOT_CACHE, "begin", "c/cache/1", "9", "accept", "0", NULL));
    json_decref(calls_public(&redis, "wp_cache_stats", NULL));
    json_decref(calls_public(&redis, "wp_cache_entry", "tool", "a", NULL));
    fine(c, "INFO");
    fine(c, "FUNCTION LIST LIBRARYNAME wp_cache_v2 WITHCODE");
    fine(c, "WAIT 0 0");
    fine(c, "SELECT 0");
    fine(c, "CLIENT SETNAME worker");
    const char *never[] = {"FLUSHALL",      "KEYS *",         "CONFIG GET *", "SHUTDOWN",
                           "GET other:key", "FUNCTION FLUSH", "ACL WHOAMI",   "DEBUG SLEEP 0",
                           "SET other 1",   "EVAL return 0",  "MONITOR"};
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        cr_assert(refused(c, never[i]), "%s", never[i]);
}

static void wait_until_loaded(void) {
    for (bool loading = true; loading;) {
        redisReply *reply = redisCommand(redis.connection, "PING");
        cr_assert(reply);
        loading = reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "LOADING", 7) == 0;
        freeReplyObject(reply);
    }
}

/* A Redis that loads its append-only file does it as the default user, and leaves out what that may not do.
 */
Test(redis_conf, what_the_worker_wrote_is_there_after_a_restart) {
    start_with_users();
    redisFree(redis.connection);
    redis.connection = log_in("warmpool", "warmpool");
    calls_load(&redis, WP_SLOT_CACHE);
    struct cache_slot slot = {.redis = redis, .settings = CACHE_SETTINGS(10), .last = -1};
    cache_set(&slot, "tool", "a", "1", NO_TTL);
    calls_reply_done(&slot.answer);
    test_redis_restart(&redis);
    redisFree(redis.connection);
    redis.connection = log_in("warmpool", "warmpool");
    wait_until_loaded();
    cr_assert_eq(test_redis_int(&redis, "HEXISTS wp:{cache}:v:tool a"), 1);
}

Test(redis_conf, services_only_read) {
    start_with_users();
    redisContext *worker = log_in("warmpool", "warmpool"), *service = log_in("services", "services");
    redisFree(redis.connection);
    redis.connection = worker;
    calls_load(&redis, WP_SLOT_CACHE);
    fine(service, "FCALL_RO wp_cache_stats 1 wp:{cache}");
    fine(service, "FCALL_RO wp_cache_entry 1 wp:{cache} tool a");
    calls_load(&redis, WP_SLOT_POOL);
    fine(service, "FCALL_RO wp_pool_stats 1 wp:{pool}");
    fine(service, "FCALL_RO wp_pool_containers 1 wp:{pool} react");
    fine(service, "FCALL_RO wp_waiting 1 wp:{pool} react");
    const char *never[] = {"HSET wp:{cache}:totals size 1",
                           "FCALL wp_cache_begin_v2 1 wp:{cache} 0 p 0 accept 0",
                           "FCALL_RO wp_cache_stats 1 other:{cache}", "FUNCTION LIST", "HGET other a"};
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        cr_assert(refused(service, never[i]), "%s", never[i]);
    redisFree(service);
}

/* Each command in a text of Lua that stands behind `begin`; returns how many there are. */
static int check_commands(const struct wp_embedded *f, const char *begin, const char *allowed) {
    int seen = 0;
    for (const char *at = f->text; (at = strstr(at, begin)); seen++) {
        char word[40] = " +";
        at += strlen(begin);
        for (size_t i = 0; i < sizeof word - 4 && isalpha((unsigned char)at[i]); i++) {
            word[2 + i] = (char)tolower((unsigned char)at[i]);
            word[3 + i] = ' ';
        }
        cr_assert(strstr(allowed, word), "%s calls%s, which users.acl does not allow", f->name, word);
    }
    return seen;
}

/* Every command that a function calls stands in the worker's line of users.acl. */
Test(redis_conf, the_worker_may_call_what_its_functions_call) {
    char line[4096] = "";
    FILE *file = fopen(USERS, "r");
    cr_assert(file);
    while (strncmp(line, "user warmpool ", 14) != 0) cr_assert(fgets(line, sizeof line - 1, file));
    fclose(file);
    line[strcspn(line, "\n")] = ' ';
    const char *const begins[] = {"redis.call('", "bulk.ask('", "bulk.write('", "state.first({'",
                                  "state.later({'"};
    for (size_t i = 0; i < sizeof begins / sizeof begins[0]; i++) {
        int seen = 0;
        for (const struct wp_embedded *f = wp_embedded_functions; f->name; f++)
            seen += check_commands(f, begins[i], line);
        cr_assert_gt(seen, 0, "%s", begins[i]);
    }
}
