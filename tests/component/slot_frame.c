/* What frames every call of the Redis functions: a slot's time, settings and row format. A clock that is set
 * is played by changing when the slot believes to have looked at it last. */
#include "support/pool_suite.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

POOL_SUITE(slot_frame);

enum { SECOND = 1000000 };

static int64_t meta(const char *field) {
    redisReply *reply = test_redis_command(&slot.redis, "HGET wp:{pool}:meta %s", field);
    int64_t value = reply->str ? strtoll(reply->str, NULL, 10) : 0;
    freeReplyObject(reply);
    return value;
}

/* Redis' clock is set forward, or back, by so much. */
static void set_clock(int64_t us) {
    freeReplyObject(test_redis_command(&slot.redis, "HINCRBY wp:{pool}:meta time %lld", (long long)-us));
}

/* What a caller says of the time. The TIME of the refusal, 0: none. */
static int64_t say(const char *text) {
    redisReply *reply = redisCommand(slot.redis.connection, "FCALL wp_tick_v2 1 wp:{pool} %s", text);
    bool refused = reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "TIMEGAP ", 8) == 0;
    cr_assert(refused || reply->type == REDIS_REPLY_INTEGER, "%s", reply->str);
    int64_t time = refused ? strtoll(reply->str + 8, NULL, 10) : 0;
    freeReplyObject(reply);
    return time;
}

/* A call of a worker whose own clock saw so much since its last one, and which calls again when it is asked
 * to. How much logical time grew. */
static int64_t tick(int64_t elapsed_us) {
    char text[64];
    int64_t before = meta("now");
    snprintf(text, sizeof text, "%lld", (long long)elapsed_us);
    int64_t time = say(text);
    snprintf(text, sizeof text, "%lld %lld", (long long)elapsed_us, (long long)time);
    if (time) cr_assert_eq(say(text), 0);
    return meta("now") - before;
}

Test(slot_frame, a_clock_set_a_minute_forward_and_back_moves_time_by_no_more_than_a_second) {
    tick(0);
    set_clock(60 * INT64_C(1000000));
    int64_t ahead = tick(100000);
    cr_assert(ahead >= 0 && ahead <= 100000 + SECOND, "%lld us", (long long)ahead);
    set_clock(-60 * INT64_C(1000000));
    int64_t back = tick(100000);
    cr_assert(back >= 0 && back <= SECOND, "%lld us", (long long)back);
    set_clock(-60 * INT64_C(1000000));
    int64_t idle = tick(5 * SECOND);
    cr_assert(idle >= SECOND / 2 && idle <= SECOND, "a step back hides at most what went by: %lld us",
              (long long)idle);
}

Test(slot_frame, time_that_passed_while_redis_stood_still_counts_once_a_worker_says_so) {
    tick(0);
    set_clock(7 * SECOND); /* it stood still */
    int64_t before = meta("now"), time = say("10000");
    cr_assert_neq(time, 0, "a call that was sent before, and lay there, does nothing");
    cr_assert_neq(say("20000"), 0, "another one of those");
    cr_assert_eq(meta("now"), before);
    char text[64];
    snprintf(text, sizeof text, "%d %lld", 7 * SECOND, (long long)time);
    cr_assert_eq(say(text), 0, "the first that was sent after a refusal");
    int64_t grown = meta("now") - before;
    cr_assert(grown >= 7 * SECOND && grown <= 8 * SECOND, "%lld us", (long long)grown);
    cr_assert_leq(tick(7 * SECOND), SECOND, "it counts once");
}

Test(slot_frame, nothing_is_done_by_a_time_that_has_to_be_corrected) {
    static const char *const functions[] = {"acquire", "release", "usage", "control", "event",
                                            "replay",  "beat",    "due",   "sweep"};
    tick(0);
    set_clock(5 * SECOND);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        redisReply *reply =
            redisCommand(slot.redis.connection, "FCALL wp_%s_v2 1 wp:{pool} 10000", functions[i]);
        cr_assert_eq(reply->type, REDIS_REPLY_ERROR);
        cr_expect(strncmp(reply->str, "TIMEGAP ", 8) == 0, "%s: %s", functions[i], reply->str);
        freeReplyObject(reply);
    }
}

Test(slot_frame, a_refusal_before_redis_stood_still_again_settles_nothing) {
    char text[64];
    tick(0);
    set_clock(7 * SECOND);
    int64_t time = say("10000");
    snprintf(text, sizeof text, "%d %lld", 7 * SECOND, (long long)time - 5 * SECOND);
    set_clock(5 * SECOND);
    cr_assert_neq(say(text), 0);
}

Test(slot_frame, a_lease_ends_when_its_time_has_passed_whatever_the_clock_says) {
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1", .lease_ms = 30000);
    set_clock(60 * INT64_C(1000000));
    tick(100000);
    pool_sweep_due(&slot);
    cr_assert_eq(pool_stat(&slot, "react", "leased"), 1, "the clock alone was set");
    set_clock(30 * INT64_C(1000000));
    tick(30 * INT64_C(1000000)); /* a worker saw as much */
    pool_sweep_due(&slot);
    cr_assert_eq(pool_stat(&slot, "react", "leased"), 0);
}

Test(slot_frame, a_first_call_may_see_any_time_pass) {
    tick(0);
    set_clock(3600 * INT64_C(1000000));
    int64_t before = meta("now");
    freeReplyObject(test_redis_command(&slot.redis, "FCALL wp_tick_v2 1 wp:{pool} %s", ""));
    cr_assert_geq(meta("now") - before, 3600 * INT64_C(1000000));
}

Test(slot_frame, an_outage_of_redis_is_not_silence_of_a_host) {
    pool_warm(&slot, "react", 1);
    pool_acquire(&slot, .id = "r1");
    set_clock(20 * INT64_C(1000000)); /* its heartbeats last for 15 s */
    cr_assert_geq(tick(20 * INT64_C(1000000)), 20 * INT64_C(1000000), "time went on meanwhile");
    redisReply *due = calls_function(&slot.redis, WP_SLOT_POOL, "due", NULL);
    cr_assert_eq(due->elements, 1, "%zu hosts are silent", due->elements - 1);
    freeReplyObject(due);
    pool_host_event(&slot, "h1", "host_down", "");
    cr_assert_eq(pool_stat(&slot, "react", "leased"), 1);
}

Test(slot_frame, a_host_is_silent_when_redis_was_there_to_hear_it) {
    pool_host(&slot, "h1", 10, 0);
    for (int second = 0; second < 17; second++) {
        set_clock(SECOND);
        tick(SECOND);
    }
    redisReply *due = calls_function(&slot.redis, WP_SLOT_POOL, "due", NULL);
    cr_assert_eq(due->elements, 2);
    freeReplyObject(due);
}

Test(slot_frame, clients_are_told_by_redis_own_clock_when_a_lease_ends) {
    pool_warm(&slot, "react", 1);
    pool_advance_time(&slot, 3600); /* logical time is an hour ahead */
    pool_acquire(&slot, .id = "r1", .lease_ms = 60000);
    redisReply *time = test_redis_command(&slot.redis, "TIME");
    int64_t now_ms = strtoll(time->element[0]->str, NULL, 10) * 1000;
    freeReplyObject(time);
    int64_t told = record_int(&slot.answer, record_find(&slot.answer, 1, 0), "lease_expires_ms");
    cr_assert(told > now_ms + 30000 && told < now_ms + 90000, "%lld ms from now", (long long)(told - now_ms));
}

/* ---- settings ---- */

static void expect_settings(const char *read_ms, const char *hash, long long in_force,
                            const char *hash_in_force) {
    const struct wp_str args[] = {WP_STR("w"), wp_str(read_ms), wp_str(hash), WP_STR("\x80")};
    redisReply *reply = calls_function_on(slot.redis.connection, WP_SLOT_POOL, "settings", args, 4);
    cr_assert_eq(reply->elements, 5);
    cr_expect_eq(reply->element[0]->integer, in_force, "%s read at %s", hash, read_ms);
    cr_expect_str_eq(reply->element[1]->str, hash_in_force);
    freeReplyObject(reply);
}

Test(slot_frame, the_settings_that_were_read_last_are_in_force_and_never_flap) {
    expect_settings("2000", "a", 1, "a");
    expect_settings("3000", "b", 1, "b");
    expect_settings("2000", "a", 0, "b");
    expect_settings("1000", "b", 1, "b");
    expect_settings("2500", "c", 0, "b");
    expect_settings("3001", "c", 1, "c");
}

static void send_settings(const char *worker, const char *read_ms, const char *hash) {
    const struct wp_str args[] = {wp_str(worker), wp_str(read_ms), wp_str(hash), WP_STR("\x80")};
    freeReplyObject(calls_function_on(slot.redis.connection, WP_SLOT_POOL, "settings", args, 4));
}

/* differ: names of workers, separated by commas. */
static void expect_told(const char *worker, const char *differ) {
    json_t *stats = calls_public(&slot.redis, "wp_pool_stats", NULL), *name;
    const json_t *settings = json_object_get(stats, "settings");
    struct wp_buf names = {0};
    size_t i;
    json_array_foreach(json_object_get(settings, "differ"), i, name) {
        wp_buf_printf(&names, "%s%s", i > 0 ? "," : "", json_string_value(name));
    }
    cr_expect_str_eq(json_string_value(json_object_get(settings, "worker")), worker);
    cr_expect(wp_str_eq(wp_buf_str(&names), wp_str(differ)), "%.*s", (int)names.len, names.data);
    wp_buf_done(&names);
    json_decref(stats);
}

Test(slot_frame, workers_with_other_settings_are_named_while_they_live) {
    send_settings("w1", "2000", "a");
    expect_told("w1", "");
    send_settings("w2", "3000", "b");
    send_settings("w1", "2000", "a");
    send_settings("w3", "1000", "c");
    expect_told("w2", "w1,w3");
    set_clock(40 * SECOND);
    send_settings("w1", "2000", "a");
    send_settings("w3", "4000", "b"); /* was restarted with those in force */
    expect_told("w3", "w1");
    set_clock(61 * SECOND);
    expect_told("w3", ""); /* w1 is gone */
}

static void expect_error(const char *begins, const char *command) {
    redisReply *reply = redisCommand(slot.redis.connection, command);
    cr_assert_eq(reply->type, REDIS_REPLY_ERROR, "%s: %s", command, begins);
    cr_expect(strncmp(reply->str, begins, strlen(begins)) == 0, "%s: %s", command, reply->str);
    freeReplyObject(reply);
}

Test(slot_frame, a_slot_that_has_forgotten_asks_for_settings) {
    test_redis_flush(&slot.redis);
    expect_error("NOSETTINGS", "FCALL wp_tick_v2 1 wp:{pool} 0");
    expect_error("NOSETTINGS", "FCALL wp_positions_v2 1 wp:{pool} 0 c/t/0");
    cr_assert_eq(test_redis_int(&slot.redis, "DBSIZE"), 0);
}

Test(slot_frame, rows_of_another_format_are_left_alone) {
    freeReplyObject(test_redis_command(&slot.redis, "HSET wp:{pool}:meta format 3"));
    expect_error("WRONGFORMAT", "FCALL wp_tick_v2 1 wp:{pool} 0");
    expect_error("WRONGFORMAT", "FCALL wp_settings_v2 1 wp:{pool} 0 w 9000 h x");
    expect_error("WRONGFORMAT", "FCALL_RO wp_pool_stats 1 wp:{pool}");
    freeReplyObject(test_redis_command(&slot.redis, "HDEL wp:{pool}:meta format"));
    expect_error("WRONGFORMAT", "FCALL wp_tick_v2 1 wp:{pool} 0"); /* of before there was a number */
}

Test(slot_frame, workers_of_the_convention_before_wait) {
    expect_error("TRYAGAIN", "FCALL wp_acquire_v1 1 wp:{pool} s p -1 0 e");
    expect_error("TRYAGAIN", "FCALL_RO wp_due_v1 1 wp:{pool}");
    expect_error("TRYAGAIN", "FCALL wp_beat_v1 1 wp:{pool} h m");
}

Test(slot_frame, an_error_of_the_functions_own_says_so_and_one_of_redis_does_not) {
    struct test_events events = {0};
    event_add(&events, 0, "ssbb", "r1", "react", "", 1);
    freeReplyObject(test_redis_command(&slot.redis, "SET wp:{pool}:req x"));
    char *settings = json_dumps(slot.settings, 0);
    char *error =
        calls_topic_fails(&slot.redis, "release", pool_partition(POOL_RELEASE), -1, 0, settings, &events);
    cr_expect(strncmp(error, "WRONGTYPE", 9) == 0, "%s", error);
    free(error);
    freeReplyObject(test_redis_command(&slot.redis, "DEL wp:{pool}:req"));
    event_add(&events, 0, "sssddd", "", "", "react", 1.0, 1.0, 1.0);
    event_add(&events, 1, "sssssd", "", "", "react", "x", "y", 1.0);
    error = calls_topic_fails(&slot.redis, "usage", pool_partition(POOL_USAGE), -1, 0, settings, &events);
    cr_expect(strncmp(error, "WPFN ", 5) == 0, "%s", error);
    free(error);
    free(settings);
}
