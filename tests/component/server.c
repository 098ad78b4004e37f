/* What the product expects of the server itself, and what the other component tests expect of theirs. */
#include "support/limits.h"
#include "support/redis.h"
#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

static struct test_redis redis;
static void start(void) {
    test_redis_start_with(&redis, &(struct test_redis_options){.tcp = true});
}
static void stop(void) {
    test_redis_stop(&redis);
}
TestSuite(server, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

Test(server, data_and_functions_survive_a_kill) {
    freeReplyObject(
        test_redis_command(&redis, "FUNCTION LOAD %s",
                           "#!lua name=t\nredis.register_function('t', function(keys) return 7 end)"));
    freeReplyObject(test_redis_command(&redis, "SET a 1"));
    test_redis_restart(&redis);
    cr_assert_eq(test_redis_int(&redis, "GET a"), 1);
    cr_assert_eq(test_redis_int(&redis, "FCALL t 0"), 7);
}

Test(server, a_flush_keeps_functions_only) {
    freeReplyObject(test_redis_command(&redis, "SET a 1"));
    test_redis_flush(&redis);
    cr_assert_eq(test_redis_int(&redis, "DBSIZE"), 0);
}

Test(server, listens_on_tcp_and_counts_its_commands) {
    redisContext *tcp = redisConnect("127.0.0.1", redis.port);
    cr_assert(tcp && !tcp->err);
    freeReplyObject(redisCommand(tcp, "SET a 1"));
    cr_assert_eq(test_redis_calls_of(&redis, "set"), 1);
    redisFree(tcp);
}

Test(server, a_paused_server_does_not_answer_until_it_goes_on) {
    test_redis_pause(&redis);
    redisSetTimeout(redis.connection, (struct timeval){.tv_usec = 50000});
    cr_assert_null(redisCommand(redis.connection, "PING"));
    test_redis_resume(&redis);
    redisContext *again = test_redis_connect(&redis);
    redisReply *reply = redisCommand(again, "PING");
    cr_assert(reply && strcmp(reply->str, "PONG") == 0);
    freeReplyObject(reply);
    redisFree(again);
}

Test(server, stopping_removes_its_files) {
    char dir[64];
    memcpy(dir, redis.dir, sizeof dir);
    test_redis_stop(&redis);
    cr_assert_neq(access(dir, F_OK), 0);
}
