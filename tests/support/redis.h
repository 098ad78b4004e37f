/* A real redis-server for a test: append-only, on a Unix socket in a directory of its own, gone with the
 * test's process. Every failure here fails the test. */
#ifndef TEST_SUPPORT_REDIS_H
#define TEST_SUPPORT_REDIS_H
#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <sys/types.h>

#define TEST_REDIS_ARGS 24

struct test_redis {
    redisContext *connection; /* owned, synchronous */
    char dir[64];
    char socket[80];
    char url[96]; /* unix://<socket>, for redis.url */
    int port;     /* 0: no TCP */
    pid_t pid;    /* 0: not running */
    const char *extra[TEST_REDIS_ARGS];
};

struct test_redis_options {
    bool tcp;                          /* also listen on a free port of 127.0.0.1 */
    const char *conf;                  /* a redis.conf to begin with */
    const char *args[TEST_REDIS_ARGS]; /* "--maxmemory", "20mb", ...; NULL ends; borrowed until the stop */
};

void test_redis_start(struct test_redis *redis);
void test_redis_start_with(struct test_redis *redis, const struct test_redis_options *options);
void test_redis_stop(struct test_redis *redis);  /* and remove what it wrote; fine when never started */
void test_redis_kill(struct test_redis *redis);  /* SIGKILL; what it wrote stays */
void test_redis_pause(struct test_redis *redis); /* SIGSTOP: there, but does not answer */
void test_redis_resume(struct test_redis *redis);
void test_redis_run_again(
    struct test_redis *redis); /* after a kill: the same server with what it had written */
void test_redis_restart(struct test_redis *redis); /* kill, then run again */
void test_redis_flush(struct test_redis *redis);   /* FLUSHALL: forgets everything but the functions */
redisContext *
test_redis_connect(struct test_redis *redis); /* one connection more, redisFree'd by the caller */

/* Fails the test on an error reply. freeReplyObject is the caller's. */
redisReply *test_redis_command(struct test_redis *redis, const char *format, ...);
/* The same for an answer that is a number. */
long long test_redis_int(struct test_redis *redis, const char *format, ...);
/* The sum of all calls that INFO commandstats knows of this command ("hget"): what a function costs. */
long long test_redis_calls_of(struct test_redis *redis, const char *command);

#endif
