/* A link to a real Redis: how it comes up, what it says when it does not, and how it comes back. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include "core/clock.h"
#include "store/library.h"
#include "store/link.h"
#include "support/limits.h"
#include "support/redis.h"

struct world {
    uv_loop_t loop;
    struct wp_config config;
    struct wp_stats stats;
    struct wp_link *link;
    struct test_redis redis;
    int ups, downs;
    /* of the last call */
    int replies, lost;
    long long floor;
    char error[256];
    bool stop_at_gap; /* Redis stands still as soon as it has answered TIMEGAP */
};
static struct world w;

static void on_state(void *ctx, enum wp_slot slot, bool ready) {
    (void)ctx;
    cr_assert_eq(slot, WP_SLOT_POOL);
    *(ready ? &w.ups : &w.downs) += 1;
}

static void on_reply(void *ctx, const redisReply *reply, const char *error) {
    (void)ctx;
    w.replies++;
    w.error[0] = '\0';
    if (!reply) {
        w.lost++;
        snprintf(w.error, sizeof w.error, "%s", error);
    } else if (reply->type == REDIS_REPLY_ERROR) {
        snprintf(w.error, sizeof w.error, "%s", reply->str);
        if (w.stop_at_gap && strncmp(w.error, "TIMEGAP ", 8) == 0) test_redis_pause(&w.redis);
    } else if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 3) { /* begin, positions */
        int64_t first = reply->element[0]->integer, second = reply->element[1]->integer;
        w.floor = first > second ? first : second;
    }
}

static void set(const char *key, const char *value) {
    struct wp_error error;
    cr_assert_eq(wp_config_set(&w.config, key, value, &error), WP_OK, "%s", error.text);
}

static void turn(void) {
    uv_run(&w.loop, UV_RUN_NOWAIT);
    usleep(1000);
}

#define WAIT(condition)                                                                                      \
    do {                                                                                                     \
        int64_t end_ = wp_clock_us() + WAIT_LIMIT_MS * INT64_C(1000);                                        \
        while (!(condition) && wp_clock_us() < end_) turn();                                                 \
        cr_assert(condition, "waited for: %s; %s", #condition, w.link ? wp_link_reason(w.link) : "");        \
    } while (0)

static void begin(void) {
    memset(&w, 0, sizeof w);
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&w.loop);
    wp_config_init(&w.config);
    test_redis_start(&w.redis);
    set("redis.url", w.redis.url);
}

static void open_link(void) {
    struct wp_error error;
    if (w.redis.connection) /* the generation that call_begin_of() names */
        freeReplyObject(redisCommand(w.redis.connection, "HSET wp:{pool}:meta born 1"));
    cr_assert_eq(wp_link_new(&w.link, &w.loop, &w.config, WP_SLOT_POOL, &w.stats, on_state, NULL, &error),
                 WP_OK, "%s", error.text);
    const char *map = "\x80"; /* empty */
    wp_link_settings(w.link, "worker-1", 1, wp_str(map));
}

static void end(void) {
    wp_link_free(w.link);
    w.link = NULL;
    uv_run(&w.loop, UV_RUN_DEFAULT);
    cr_assert_eq(uv_loop_close(&w.loop), 0);
    wp_config_done(&w.config);
    test_redis_stop(&w.redis);
}
TestSuite(link, .init = begin, .fini = end, .timeout = TEST_LIMIT_S);

static enum wp_err call_begin_of(const char *partition) {
    const struct wp_str args[] = {wp_str(partition), WP_STR("7"), WP_STR("new"), WP_STR("1")};
    return wp_link_call(w.link, "begin", args, 4, on_reply, NULL);
}
static enum wp_err call_begin(void) {
    return call_begin_of("c/t/0");
}
static enum wp_err call_positions(void) {
    const struct wp_str arg = WP_STR("c/t/0");
    return wp_link_call(w.link, "positions", &arg, 1, on_reply, NULL);
}

#define SAYS(part) (strstr(wp_link_reason(w.link), part) != NULL)

Test(link, becomes_ready_by_loading_its_functions_and_calls_them) {
    open_link();
    cr_assert(SAYS("redis.url") && SAYS("not connected yet"));
    cr_assert_eq(call_begin(), WP_ERR_REDIS);
    WAIT(wp_link_ready(w.link));
    cr_assert_eq(w.ups, 1);
    cr_assert_str_empty(wp_link_reason(w.link));
    cr_assert_eq(call_begin(), WP_OK);
    cr_assert_eq(call_positions(), WP_OK);
    WAIT(w.replies == 2);
    cr_assert_eq(w.floor, 7);
    cr_assert_eq(w.stats.redis_calls, 2);
}

static long long meta(const char *field) {
    redisReply *reply = test_redis_command(&w.redis, "HGET wp:{pool}:meta %s", field);
    long long value = strtoll(reply->str, NULL, 10);
    freeReplyObject(reply);
    return value;
}

/* Redis stood still for so long, or its clock was set forward. */
static void pass_seconds(int seconds) {
    freeReplyObject(test_redis_command(&w.redis, "HINCRBY wp:{pool}:meta time %lld", -1000000LL * seconds));
}

Test(link, says_how_much_time_has_passed_with_the_call_after_one_that_was_refused_for_it) {
    open_link();
    WAIT(wp_link_ready(w.link));
    cr_assert_eq(call_begin(), WP_OK);
    WAIT(w.replies == 1);
    pass_seconds(5);
    long long before = meta("now");
    cr_assert_eq(call_begin_of("c/t/1"), WP_OK);
    WAIT(w.replies == 2);
    cr_assert(strncmp(w.error, "TIMEGAP ", 8) == 0, "%s", w.error);
    cr_assert_eq(call_begin_of("c/t/1"), WP_OK);
    WAIT(w.replies == 3);
    cr_assert_str_empty(w.error);
    cr_assert_leq(meta("now") - before, 3000000, "no more than the worker saw");
    cr_assert_eq(w.downs, 0);
}

Test(link, settings_that_change_while_redis_stood_still_are_said_again) {
    open_link();
    WAIT(wp_link_ready(w.link));
    cr_assert_eq(call_begin(), WP_OK);
    WAIT(w.replies == 1);
    pass_seconds(5);
    wp_link_settings(w.link, "worker-1", 2,
                     wp_str("\x81\xa1"
                            "a\x01"));
    WAIT(meta("read_at") == 2);
    cr_assert(wp_link_settings_in_force(w.link));
}

Test(link, a_connection_after_redis_stood_still_comes_up_by_saying_how_much_time_has_passed) {
    open_link();
    WAIT(wp_link_ready(w.link));
    cr_assert_eq(call_begin(), WP_OK);
    WAIT(w.replies == 1);
    pass_seconds(3600);
    freeReplyObject(test_redis_command(&w.redis, "CLIENT KILL TYPE normal SKIPME yes"));
    WAIT(w.ups == 2);
    cr_assert_eq(call_begin(), WP_OK);
    WAIT(w.replies == 2);
    cr_assert_str_empty(w.error);
}

Test(link, comes_back_after_redis_was_killed_and_fails_what_was_under_way) {
    open_link();
    WAIT(wp_link_ready(w.link));
    test_redis_pause(&w.redis);
    cr_assert_eq(call_begin(), WP_OK);
    test_redis_kill(&w.redis);
    WAIT(!wp_link_ready(w.link));
    cr_assert_eq(w.lost, 1);
    cr_assert_eq(w.downs, 1);
    cr_assert_eq(w.stats.redis_reconnects, 1);
    cr_assert_eq(call_begin(), WP_ERR_REDIS);
    WAIT(SAYS("refused") || SAYS("No such file"));
    test_redis_run_again(&w.redis);
    WAIT(wp_link_ready(w.link));
    cr_assert_eq(w.ups, 2);
}

Test(link, waits_longer_after_each_failure_up_to_half_a_second) {
    test_redis_kill(&w.redis);
    open_link();
    int64_t start = wp_clock_us();
    WAIT(SAYS("refused") || SAYS("No such file"));
    /* 50 + 100 + 200 + 400 + 800 + 1600 ms are over by then: the next one waits for 2 s. */
    while (wp_clock_us() - start < 3300000) turn();
    test_redis_run_again(&w.redis);
    start = wp_clock_us();
    WAIT(wp_link_ready(w.link));
    cr_assert_lt(wp_clock_us() - start, 20000000);
}

Test(link, loads_functions_again_that_are_gone) {
    open_link();
    WAIT(wp_link_ready(w.link));
    freeReplyObject(test_redis_command(&w.redis, "FUNCTION FLUSH"));
    cr_assert_eq(call_begin(), WP_OK);
    WAIT(w.replies == 1);
    cr_assert(strstr(w.error, "Function not found"), "%s", w.error);
    WAIT(w.ups == 2 && wp_link_ready(w.link));
    cr_assert_eq(call_begin(), WP_OK);
    WAIT(w.replies == 2);
    cr_assert_eq(w.floor, 7);
}

static int revision_loaded(void) {
    redisReply *reply = test_redis_command(&w.redis, "FUNCTION LIST LIBRARYNAME wp_pool_v2 WITHCODE");
    const redisReply *library = reply->elements ? reply->element[0] : NULL;
    int revision = library ? wp_library_revision_of(library->element[library->elements - 1]->str) : 0;
    freeReplyObject(reply);
    return revision;
}

Test(link, takes_the_place_of_an_older_library_that_was_loaded_meanwhile) {
    static const char older[] = "#!lua name=wp_pool_v2\n-- revision 1\nredis.register_function('wp_tick_v2', "
                                "function() return 0 end)";
    open_link();
    WAIT(wp_link_ready(w.link));
    int ours = revision_loaded();
    cr_assert_gt(ours, 1);
    freeReplyObject(test_redis_command(&w.redis, "FUNCTION LOAD REPLACE %s", older));
    cr_assert_eq(revision_loaded(), 1);
    cr_assert_eq(call_begin(), WP_OK);
    WAIT(w.replies == 1 && w.ups == 2 && wp_link_ready(w.link));
    cr_assert_eq(revision_loaded(), ours);
    cr_assert_eq(call_begin(), WP_OK);
    WAIT(w.replies == 2);
    cr_assert_eq(w.floor, 7);
}

Test(link, says_that_the_password_is_refused) {
    char url[160];
    snprintf(url, sizeof url, "unix://someone:wrong@%s", w.redis.socket);
    set("redis.url", url);
    open_link();
    WAIT(SAYS("password is refused: WRONGPASS"));
    cr_assert(!SAYS("wrong@"), "a password is not shown: %s", wp_link_reason(w.link));
    freeReplyObject(test_redis_command(&w.redis, "ACL SETUSER someone on >wrong ~* &* +@all"));
    WAIT(wp_link_ready(w.link));
}

Test(link, says_which_right_the_user_lacks) {
    char url[160];
    snprintf(url, sizeof url, "unix://someone:secret@%s", w.redis.socket);
    set("redis.url", url);
    freeReplyObject(test_redis_command(&w.redis, "ACL SETUSER someone on >secret ~* +select +auth"));
    open_link();
    WAIT(SAYS("FUNCTION LIST in the user's ACL") && SAYS("NOPERM"));
    freeReplyObject(test_redis_command(&w.redis, "ACL SETUSER someone +function|list"));
    WAIT(SAYS("needs FUNCTION LOAD in the user's ACL") && SAYS("NOPERM"));
    freeReplyObject(test_redis_command(&w.redis, "ACL SETUSER someone +@all"));
    WAIT(wp_link_ready(w.link));
}

Test(link, asks_for_a_password_that_redis_wants) {
    freeReplyObject(test_redis_command(&w.redis, "CONFIG SET requirepass secret"));
    open_link();
    WAIT(SAYS("NOAUTH"));
    end();
    uv_loop_init(&w.loop);
    wp_config_init(&w.config);
    w.ups = 0;
    test_redis_start(&w.redis);
    freeReplyObject(test_redis_command(&w.redis, "CONFIG SET requirepass secret"));
    char url[160];
    snprintf(url, sizeof url, "unix://:secret@%s", w.redis.socket);
    set("redis.url", url);
    open_link();
    WAIT(wp_link_ready(w.link));
}

Test(link, gives_up_a_redis_that_does_not_answer) {
    set("redis.timeout_ms", "500");
    open_link();
    WAIT(wp_link_ready(w.link));
    test_redis_pause(&w.redis);
    cr_assert_eq(call_begin(), WP_OK);
    cr_assert_eq(call_positions(), WP_OK);
    WAIT(w.lost == 2);
    cr_assert(strstr(w.error, "no answer within redis.timeout_ms"), "%s", w.error);
    cr_assert(!wp_link_ready(w.link));
    WAIT(SAYS("no connection within redis.timeout_ms")); /* it is accepted, and no more */
    test_redis_resume(&w.redis);
    WAIT(wp_link_ready(w.link));
}

Test(link, is_ready_and_answers_only_while_enough_replicas_follow) {
    test_redis_stop(&w.redis);
    test_redis_start_with(&w.redis, &(struct test_redis_options){.tcp = true});
    set("redis.url", w.redis.url);
    set("redis.wait_replicas", "1");
    set("redis.timeout_ms", "1000");
    open_link();
    WAIT(SAYS("fewer replicas than redis.wait_replicas"));
    cr_assert_eq(w.ups, 0);

    struct test_redis replica = {0};
    test_redis_start(&replica);
    freeReplyObject(test_redis_command(&replica, "REPLICAOF 127.0.0.1 %d", w.redis.port));
    WAIT(wp_link_ready(w.link));
    cr_assert_eq(call_begin(), WP_OK);
    WAIT(w.replies == 1);
    cr_assert_eq(w.lost, 0);
    cr_assert_eq(w.floor, 7);

    test_redis_pause(&replica);
    cr_assert_eq(call_begin_of("c/t/1"),
                 WP_OK); /* a change: where there is none, there is nothing to wait for */
    WAIT(w.replies == 2);
    cr_assert_eq(w.lost, 1, "an answer that no replica has is not passed on");
    cr_assert(strstr(w.error, "fewer replicas than redis.wait_replicas"), "%s", w.error);
    WAIT(!wp_link_ready(w.link) && SAYS("fewer replicas"));
    test_redis_resume(&replica);
    WAIT(wp_link_ready(w.link));
    test_redis_stop(&replica);
}

Test(link, leaves_a_primary_that_became_a_replica_and_is_not_ready_until_it_is_one_again) {
    open_link();
    WAIT(wp_link_ready(w.link));
    freeReplyObject(test_redis_command(&w.redis, "REPLICAOF 127.0.0.1 1"));
    cr_assert_eq(call_begin(), WP_OK);
    WAIT(!wp_link_ready(w.link) && SAYS("READONLY") && SAYS("redis.url"));
    for (int i = 0; i < 50; i++) turn();
    cr_assert(!wp_link_ready(w.link), "a replica is no primary, however often it is asked");
    freeReplyObject(test_redis_command(&w.redis, "REPLICAOF NO ONE"));
    int64_t back_us = wp_clock_us();
    WAIT(wp_link_ready(w.link));
    cr_log_info("ready %lld ms after the server was a primary again",
                (long long)(wp_clock_us() - back_us) / 1000);
    cr_assert_str_empty(wp_link_reason(w.link));
}

Test(link, says_that_the_server_has_no_memory_left_and_keeps_the_connection) {
    const struct wp_str acquire[] = {WP_STR("c/t/0"), WP_STR("0"), WP_STR("6"), WP_STR("7"), WP_STR("\x90")};
    open_link();
    WAIT(wp_link_ready(w.link));
    cr_assert_eq(call_begin(), WP_OK);
    WAIT(w.replies == 1);
    freeReplyObject(test_redis_command(&w.redis, "CONFIG SET maxmemory 1"));
    cr_assert_eq(wp_link_call(w.link, "acquire", acquire, 5, on_reply, NULL), WP_OK);
    WAIT(w.replies == 2);
    cr_assert(strncmp(w.error, "OOM", 3) == 0, "%s", w.error);
    cr_assert(wp_link_ready(w.link), "what frees memory may still be called");
    cr_assert(SAYS("maxmemory") && SAYS("redis.url"), "%s", wp_link_reason(w.link));
    freeReplyObject(test_redis_command(&w.redis, "CONFIG SET maxmemory 0"));
    cr_assert_eq(wp_link_call(w.link, "acquire", acquire, 5, on_reply, NULL), WP_OK);
    WAIT(w.replies == 3);
    cr_assert_str_empty(wp_link_reason(w.link));
}

/* A call that fails for what the server or a key is: said with the function, and once it has failed again
 * with the command and the key, until it is mended. */
static void expect_refused(const char *code, const char *where) {
    for (int i = 1; i <= 2; i++) {
        cr_assert_eq(call_begin(), WP_OK);
        WAIT(w.replies == i);
        cr_assert(strncmp(w.error, code, strlen(code)) == 0, "%s", w.error);
        cr_assert(SAYS("redis.url") && SAYS(code), "says: %s", wp_link_reason(w.link));
    }
    cr_assert(wp_link_ready(w.link));
    cr_assert(SAYS(where), "says: %s", wp_link_reason(w.link));
}

static void expect_served(void) {
    int replies = w.replies;
    cr_assert_eq(call_begin(), WP_OK);
    WAIT(w.replies == replies + 1);
    cr_assert_str_empty(w.error);
    cr_assert_str_empty(wp_link_reason(w.link));
}

Test(link, says_which_command_of_a_function_the_user_may_not_run) {
    char url[160];
    snprintf(url, sizeof url, "unix://someone:secret@%s", w.redis.socket);
    set("redis.url", url);
    freeReplyObject(test_redis_command(&w.redis, "ACL SETUSER someone on >secret ~* +@all"));
    open_link();
    WAIT(wp_link_ready(w.link));
    freeReplyObject(test_redis_command(&w.redis, "ACL SETUSER someone -zadd"));
    expect_refused("ERR", "wp_begin_v2");
    cr_assert(SAYS("ZADD wp:{pool}:positions"), "says: %s", wp_link_reason(w.link));
    freeReplyObject(test_redis_command(&w.redis, "ACL SETUSER someone +zadd"));
    expect_served();
}

Test(link, says_which_key_has_another_type) {
    open_link();
    WAIT(wp_link_ready(w.link));
    freeReplyObject(test_redis_command(&w.redis, "SET wp:{pool}:positions x"));
    expect_refused("WRONGTYPE", "ZADD wp:{pool}:positions");
    freeReplyObject(test_redis_command(&w.redis, "DEL wp:{pool}:positions"));
    expect_served();
}

Test(link, says_that_a_function_without_events_fails) {
    open_link();
    WAIT(wp_link_ready(w.link));
    freeReplyObject(test_redis_command(&w.redis, "HSET wp:{pool}:d:c/t/0 floor garbage"));
    expect_refused("WPFN", "wp_begin_v2");
    freeReplyObject(test_redis_command(&w.redis, "DEL wp:{pool}:d:c/t/0"));
    expect_served();
}

/* The tick that follows the first refusal arrives more than a second later, so it is refused, too. */
Test(link, says_how_much_time_has_passed_also_after_it_was_refused_twice) {
    open_link();
    WAIT(wp_link_ready(w.link));
    cr_assert_eq(call_begin(), WP_OK);
    WAIT(w.replies == 1);
    pass_seconds(100);
    long long before = meta("now");
    w.stop_at_gap = true;
    cr_assert_eq(call_begin_of("c/t/1"), WP_OK);
    WAIT(w.replies == 2);
    cr_assert(strncmp(w.error, "TIMEGAP ", 8) == 0, "%s", w.error);
    int64_t since_us = wp_clock_us();
    while (wp_clock_us() - since_us < 1200000) turn();
    test_redis_resume(&w.redis);
    WAIT(meta("now") != before);
    cr_assert_lt(wp_clock_us() - since_us, 5000000, "not only when the settings are said again");
}

Test(link, settings_that_were_deleted_are_said_again) {
    open_link();
    WAIT(wp_link_ready(w.link));
    freeReplyObject(test_redis_command(&w.redis, "HDEL wp:{pool}:meta settings read_at"));
    freeReplyObject(test_redis_command(&w.redis, "FUNCTION FLUSH")); /* which remembered them */
    cr_assert_eq(call_begin(), WP_OK);
    WAIT(w.ups == 2 && wp_link_ready(w.link));
    expect_served();
}

Test(link, resolves_a_name_and_says_when_it_has_no_address) {
    set("redis.url", "redis://no-such-name.invalid:6379");
    open_link();
    WAIT(SAYS("no-such-name.invalid has no address"));
    cr_assert(!wp_link_ready(w.link));
}

/* A server that takes connections and says nothing; accept() on it does not block. */
static int silent_server(int *ret_port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)&at, len) == 0 && listen(fd, 8) == 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *ret_port = ntohs(at.sin_port);
    return fd;
}

Test(link, asks_no_further_sentinel_once_it_is_freed) {
    int port[2], fd[2] = {silent_server(&port[0]), silent_server(&port[1])}, asked = -1;
    char url[128];
    snprintf(url, sizeof url, "redis-sentinel://127.0.0.1:%d,127.0.0.1:%d/orders", port[0], port[1]);
    set("redis.url", url);
    open_link();
    WAIT(asked >= 0 || (asked = accept(fd[0], NULL, NULL)) >= 0);
    wp_link_free(w.link);
    w.link = NULL;
    uv_run(&w.loop, UV_RUN_DEFAULT);
    cr_assert_eq(accept(fd[1], NULL, NULL), -1, "the second one was asked, too");
    close(asked), close(fd[0]), close(fd[1]);
}

Test(link, says_of_sentinels_what_each_of_them_said) {
    int port, fd = silent_server(&port);
    char url[128];
    snprintf(url, sizeof url, "redis-sentinel://127.0.0.1:%d,127.0.0.1:1/orders", port);
    set("redis.url", url);
    set("redis.timeout_ms", "50");
    open_link();
    WAIT(SAYS("does not answer: nothing within") && SAYS("sentinel 127.0.0.1:1 does not answer"));
    cr_assert(!wp_link_ready(w.link));
    close(fd);
}

Test(link, fails_what_is_under_way_when_it_is_freed) {
    open_link();
    WAIT(wp_link_ready(w.link));
    test_redis_pause(&w.redis);
    cr_assert_eq(call_begin(), WP_OK);
    wp_link_free(w.link);
    w.link = NULL;
    cr_assert_eq(w.lost, 1);
    test_redis_resume(&w.redis);
}

Test(link, knows_what_is_the_servers_state_and_what_is_the_calls_fault) {
    static const char *const transient[] = {
        "LOADING Redis is loading",    "READONLY You can't write",
        "OOM command not allowed",     "MASTERDOWN Link with MASTER is down",
        "BUSY Redis is busy",          "NOREPLICAS Not enough good replicas",
        "MISCONF Redis is configured", "CLUSTERDOWN Hash slot not served",
        "TRYAGAIN Multiple keys",      "NOAUTH Authentication required.",
        "NOPERM this user has no",     "UNKILLABLE Sorry",
        "MOVED 1 127.0.0.1:1",         "ASK 1 127.0.0.1:1",
        "ERR Function not found",      "ERR max number of clients reached",
        "WRONGTYPE Operation against", "ERR wrong number of arguments",
        "NOSETTINGS nobody has said",  "WRONGFORMAT the state"};
    static const char *const faults[] = {"WPFN user_function:1: attempt to index"};
    for (size_t i = 0; i < sizeof transient / sizeof *transient; i++) {
        redisReply reply = {.type = REDIS_REPLY_ERROR, .str = (char *)(uintptr_t)transient[i]};
        cr_expect(wp_link_is_transient(&reply), "%s", transient[i]);
        reply.type = REDIS_REPLY_STRING;
        cr_expect(!wp_link_is_transient(&reply), "an answer, not an error: %s", transient[i]);
    }
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        redisReply reply = {.type = REDIS_REPLY_ERROR, .str = (char *)(uintptr_t)faults[i]};
        cr_expect(!wp_link_is_transient(&reply), "%s", faults[i]);
    }
}

Test(link, an_address_that_is_none_is_refused_with_its_key) {
    struct wp_error error;
    set("redis.url", "http://nowhere");
    cr_assert_eq(wp_link_new(&w.link, &w.loop, &w.config, WP_SLOT_POOL, &w.stats, on_state, NULL, &error),
                 WP_ERR_CONFIG);
    cr_assert(strstr(error.text, "redis.url"), "%s", error.text);
    w.link = NULL;
}
