/* Owns the redis-server process of a test. */
#include "support/redis.h"
#include "core/buf.h"
#include "support/limits.h"
#include "support/process.h"
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STEP_MS 2

static void wait_step(void) {
    nanosleep(&(struct timespec){.tv_nsec = STEP_MS * 1000000L}, NULL);
}

static int free_port(void) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)&address, len) == 0);
    cr_assert(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    close(fd);
    return ntohs(address.sin_port);
}

/* In the child: the server dies with the test, however that ends. */
_Noreturn static void become_server(const struct test_redis *redis, pid_t parent) {
    char port[16], log[96];
    snprintf(port, sizeof port, "%d", redis->port);
    snprintf(log, sizeof log, "%s/log", redis->dir);
    const char *argv[64] = {"redis-server"};
    int n = 1;
    if (redis->extra[0] && redis->extra[0][0] == '/') argv[n++] = redis->extra[0];
    const char *own[] = {"--port",
                         port,
                         "--bind",
                         "127.0.0.1",
                         "--unixsocket",
                         redis->socket,
                         "--dir",
                         redis->dir,
                         "--logfile",
                         log,
                         "--daemonize",
                         "no",
                         "--save",
                         "",
                         "--appendonly",
                         "yes",
                         "--appendfsync",
                         "always",
                         "--hash-max-listpack-entries",
                         "32",
                         "--enable-debug-command",
                         "yes",
                         "--zset-max-listpack-entries",
                         "32"};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) argv[n++] = own[i];
    for (int i = n > 1 && argv[1] == redis->extra[0]; redis->extra[i]; i++) argv[n++] = redis->extra[i];
    argv[n] = NULL;
    int null = open("/dev/null", O_RDWR);
    dup2(null, 0);
    dup2(null, 1);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent) execvp("redis-server", (char *const *)(uintptr_t)argv);
    _exit(127);
}

redisContext *test_redis_connect(struct test_redis *redis) {
    redisContext *c = redisConnectUnix(redis->socket);
    cr_assert(c && !c->err, "no connection to %s: %s", redis->socket, c ? c->errstr : "");
    return c;
}

/* True when it answers PING, be it that this user may not. */
static bool answers(struct test_redis *redis) {
    redisContext *c = redisConnectUnix(redis->socket);
    redisReply *reply = c && !c->err ? redisCommand(c, "PING") : NULL;
    bool up = reply && !(reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "LOADING", 7) == 0);
    freeReplyObject(reply);
    if (c) redisFree(c);
    return up;
}

void test_redis_run_again(struct test_redis *redis) {
    cr_assert(redis->pid == 0, "the server still runs");
    signal(SIGPIPE, SIG_IGN);
    pid_t parent = getpid();
    redis->pid = fork();
    cr_assert(redis->pid >= 0);
    if (redis->pid == 0) become_server(redis, parent);
    for (int waited = 0; !answers(redis); waited += STEP_MS) {
        cr_assert(waitpid(redis->pid, NULL, WNOHANG) == 0, "redis-server ended at once, see %s/log",
                  redis->dir);
        cr_assert(waited < WAIT_LIMIT_MS, "redis-server does not answer, see %s/log", redis->dir);
        wait_step();
    }
    redis->connection = test_redis_connect(redis);
}

void test_redis_start_with(struct test_redis *redis, const struct test_redis_options *options) {
    *redis = (struct test_redis){.dir = "/tmp/warmpool-redis-XXXXXX"};
    cr_assert(mkdtemp(redis->dir));
    snprintf(redis->socket, sizeof redis->socket, "%s/s", redis->dir);
    snprintf(redis->url, sizeof redis->url, "unix://%s", redis->socket);
    int n = 0;
    if (options->conf) redis->extra[n++] = options->conf;
    for (int i = 0; i < TEST_REDIS_ARGS - 2 && options->args[i]; i++) redis->extra[n++] = options->args[i];
    if (options->tcp) redis->port = free_port();
    test_redis_run_again(redis);
}

void test_redis_start(struct test_redis *redis) {
    test_redis_start_with(redis, &(struct test_redis_options){0});
}

static void end(struct test_redis *redis, int sig) {
    if (redis->connection) redisFree(redis->connection);
    redis->connection = NULL;
    if (redis->pid <= 0) return;
    kill(redis->pid, SIGCONT);
    kill(redis->pid, sig);
    waitpid(redis->pid, NULL, 0);
    redis->pid = 0;
}

void test_redis_kill(struct test_redis *redis) {
    end(redis, SIGKILL);
}

void test_redis_pause(struct test_redis *redis) {
    process_pause(redis->pid);
}

void test_redis_resume(struct test_redis *redis) {
    kill(redis->pid, SIGCONT);
}

void test_redis_restart(struct test_redis *redis) {
    test_redis_kill(redis);
    test_redis_run_again(redis);
}

static int remove_one(const char *path, const struct stat *info, int flag, struct FTW *at) {
    (void)info, (void)flag, (void)at;
    return remove(path);
}

void test_redis_stop(struct test_redis *redis) {
    end(redis, SIGKILL);
    if (redis->dir[0]) nftw(redis->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    redis->dir[0] = '\0';
}

void test_redis_flush(struct test_redis *redis) {
    freeReplyObject(test_redis_command(redis, "FLUSHALL"));
}

static redisReply *checked(struct test_redis *redis, redisReply *reply, const char *format) {
    cr_assert(reply, "%s: the connection broke: %s", format, redis->connection->errstr);
    cr_assert(reply->type != REDIS_REPLY_ERROR, "%s: %s", format, reply->str);
    return reply;
}

redisReply *test_redis_command(struct test_redis *redis, const char *format, ...) {
    va_list args;
    va_start(args, format);
    redisReply *reply = redisvCommand(redis->connection, format, args);
    va_end(args);
    return checked(redis, reply, format);
}

long long test_redis_int(struct test_redis *redis, const char *format, ...) {
    va_list args;
    va_start(args, format);
    redisReply *reply = checked(redis, redisvCommand(redis->connection, format, args), format);
    va_end(args);
    long long value = reply->type == REDIS_REPLY_INTEGER ? reply->integer
                      : reply->str                       ? strtoll(reply->str, NULL, 10)
                                                         : 0;
    freeReplyObject(reply);
    return value;
}

long long test_redis_calls_of(struct test_redis *redis, const char *command) {
    char mark[64];
    snprintf(mark, sizeof mark, "cmdstat_%s:calls=", command);
    redisReply *reply = test_redis_command(redis, "INFO commandstats");
    const char *at = strstr(reply->str, mark);
    long long calls = at ? strtoll(at + strlen(mark), NULL, 10) : 0;
    freeReplyObject(reply);
    return calls;
}
