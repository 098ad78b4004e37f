/* The delivery rules where they are the same in both slots: generations, floors, bounds, what is answered
 * again. */
#include "support/cache_slot.h"
#include "support/limits.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct cache_slot slot;
static void start(void) {
    cache_slot_start(&slot, CACHE_SETTINGS(2000));
}
static void stop(void) {
    cache_slot_stop(&slot);
}
TestSuite(slot_delivery, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

#define ROOT "wp:{cache}"
#define PARTITION ROOT ":d:" CACHE_PARTITION

/* Sets at the offsets from first to last, one call. */
static struct test_reply set_from(int64_t prev, int64_t floor, int64_t first, int64_t last) {
    struct test_events events = {0};
    for (int64_t offset = first; offset <= last; offset++)
        event_add_cache(&events, offset, "sssss--", "e", "set", "tool", "k", "v");
    return calls_topic(&slot.redis, "cache", CACHE_PARTITION, prev, floor, slot.settings, &events);
}

static void expect_reply(struct test_reply reply, int64_t status, int64_t applied, int64_t floor,
                         size_t count) {
    cr_expect_eq(reply.status, status);
    cr_expect_eq(reply.applied, applied, "applied %lld", (long long)reply.applied);
    cr_expect_eq(reply.floor, floor, "floor %lld", (long long)reply.floor);
    cr_expect_eq(reply.count, count, "%zu records", reply.count);
    calls_reply_done(&reply);
}

static void expect_numbers(redisReply *reply, int count, ...) {
    va_list list;
    va_start(list, count);
    cr_assert_eq(reply->elements, (size_t)count);
    for (int i = 0; i < count; i++)
        cr_expect_eq(reply->element[i]->integer, va_arg(list, int), "number %d is %lld", i,
                     reply->element[i]->integer);
    va_end(list);
    freeReplyObject(reply);
}

static redisReply *begin(const char *offset, const char *how, const char *generation) {
    return calls_function(&slot.redis, WP_SLOT_CACHE, "begin", CACHE_PARTITION, offset, how, generation,
                          NULL);
}

static void expect_floors(const char *generation, const char *prev, const char *floor, int status,
                          int applied, int now) {
    redisReply *reply =
        calls_function(&slot.redis, WP_SLOT_CACHE, "floors", CACHE_PARTITION, generation, prev, floor, NULL);
    redisReply *only = reply->element[0];
    reply->element[0] = NULL;
    reply->elements = 0;
    freeReplyObject(reply);
    expect_numbers(only, 3, status, applied, now);
}

/* ---- generations ---- */

Test(slot_delivery, an_accept_that_comes_late_changes_nothing) {
    expect_numbers(begin("40", "new", "0"), 3, 40, 0, 1);
    expect_numbers(begin("0", "accept", "0"), 3, 0, 1, 1);
    expect_numbers(begin("7", "accept", "0"), 3, 0, 1, 0);
    expect_numbers(begin("7", "accept", "1"), 3, 7, 2, 1);
}

Test(slot_delivery, a_call_of_the_log_before_is_refused) {
    expect_reply(set_from(-1, 0, 0, 1), 1, 1, 0, 2);
    expect_numbers(begin("0", "accept", "0"), 3, 0, 1, 1);
    const char *args[] = {"FCALL", "wp_cache_v2", "1", ROOT, "", CACHE_PARTITION, "0", "-1", "0", "\x90"};
    redisReply *reply = redisCommandArgv(slot.redis.connection, 10, args, NULL);
    cr_assert_eq(reply->type, REDIS_REPLY_ARRAY, "%s", reply->str);
    cr_expect_eq(reply->element[0]->element[0]->integer, 0);
    cr_expect_eq(reply->element[0]->element[2]->integer, -1, "as one that is not known");
    freeReplyObject(reply);
    expect_floors("0", "1", "2", 0, -1, -1);
    expect_numbers(calls_function(&slot.redis, WP_SLOT_CACHE, "positions", CACHE_PARTITION, NULL), 3, -1, 0,
                   1);
}

Test(slot_delivery, a_partition_that_redis_has_forgotten_takes_no_call) {
    expect_floors("0", "1", "2", 0, -1, -1);
    expect_numbers(calls_function(&slot.redis, WP_SLOT_CACHE, "positions", CACHE_PARTITION, NULL), 3, -1, -1,
                   0);
}

/* The settings come first to a Redis that was flushed, as with the first worker that connects. */
static void flush_and_send_settings(void) {
    test_redis_flush(&slot.redis);
    const struct wp_str args[] = {WP_STR("w"), WP_STR("1000"), WP_STR("h"), WP_STR("\x80")};
    redisReply *reply = calls_function_on(slot.redis.connection, WP_SLOT_CACHE, "settings", args, 4);
    cr_assert_eq(reply->type, REDIS_REPLY_ARRAY);
    freeReplyObject(reply);
}

Test(slot_delivery, a_begin_of_before_redis_lost_its_data_sets_no_floor) {
    expect_numbers(begin("40", "new", "0"), 3, 40, 0, 1);
    flush_and_send_settings();
    redisReply *late = begin("0", "new", "0");
    cr_expect_eq(late->element[0]->integer, -1, "floor %lld", late->element[0]->integer);
    cr_expect_eq(late->element[2]->integer, 0);
    freeReplyObject(late);
    redisReply *seen = calls_function(&slot.redis, WP_SLOT_CACHE, "positions", CACHE_PARTITION, NULL);
    cr_assert_eq(seen->element[1]->integer, -1, "a commit without a floor still shows the loss");
    char generation[24];
    snprintf(generation, sizeof generation, "%lld", seen->element[2]->integer);
    freeReplyObject(seen);
    redisReply *now = begin("40", "new", generation);
    cr_expect_eq(now->element[0]->integer, 40);
    cr_expect_eq(now->element[2]->integer, 1);
    freeReplyObject(now);
}

/* ---- floors ---- */

Test(slot_delivery, a_floor_moves_only_on_and_only_when_its_call_is_chained) {
    expect_reply(set_from(-1, 0, 0, 4), 1, 4, 0, 5);
    expect_floors("0", "9", "3", 0, 4, 0);
    expect_floors("0", "4", "3", 1, 4, 3);
    expect_floors("0", "4", "2", 1, 4, 3);
    expect_floors("0", "4", "5", 1, 4, 5);
    cr_assert_eq(test_redis_int(&slot.redis, "HEXISTS " PARTITION " 4"), 0, "its results went");
}

/* ---- what is answered again ---- */

Test(slot_delivery, a_resend_is_answered_by_what_covers_it_and_no_later_results) {
    expect_reply(set_from(-1, 0, 0, 1), 1, 1, 0, 2);
    expect_reply(set_from(1, 0, 2, 3), 1, 3, 0, 2);
    expect_reply(set_from(3, 0, 4, 5), 1, 5, 0, 2);
    expect_reply(set_from(1, 0, 2, 3), 1, 5, 0, 2);
    expect_reply(set_from(-1, 0, 1, 2), 1, 5, 0, 4);
    expect_reply(set_from(3, 0, 5, 5), 1, 5, 0, 2);
}

Test(slot_delivery, a_full_redis_answers_what_was_applied_before_and_moves_floors) {
    expect_reply(set_from(-1, 0, 0, 1), 1, 1, 0, 2);
    struct test_events events = {0};
    struct wp_buf packed = {0};
    event_add_cache(&events, 1, "sssss--", "e", "set", "tool", "k", "v");
    event_add_cache(&events, 2, "sssss--", "e", "set", "tool", "k", "v");
    calls_pack_events(&packed, "cache", &events);
    const struct wp_str args[] = {WP_STR(CACHE_PARTITION), WP_STR("0"), WP_STR("0"), WP_STR("0"),
                                  wp_buf_str(&packed)};
    freeReplyObject(test_redis_command(&slot.redis, "CONFIG SET maxmemory 100kb"));
    redisReply *reply = calls_function_on(slot.redis.connection, WP_SLOT_CACHE, "replay", args, 5);
    cr_assert_eq(reply->type, REDIS_REPLY_ARRAY, "%s", reply->str);
    cr_expect_eq(reply->element[0]->element[1]->integer, 1, "the new one was not applied");
    cr_expect_eq(reply->element[0]->elements, 4);
    freeReplyObject(reply);
    wp_buf_done(&packed);
    expect_floors("0", "1", "2", 1, 1, 2);
}

/* ---- bounds ---- */

Test(slot_delivery, stored_results_are_bounded_and_a_floor_makes_room_in_the_same_call) {
    char settings[512];
    snprintf(settings, sizeof settings, "{'results_bytes': 500, %s", slot.settings + 1);
    slot.settings = settings;
    struct test_reply reply = {0};
    int64_t applied = -1;
    for (int64_t before = -2; applied > before;) {
        before = applied;
        reply = set_from(applied, 0, applied + 1, 199);
        applied = reply.applied;
        calls_reply_done(&reply);
    }
    cr_assert(applied >= 0 && applied < 199, "applied %lld", (long long)applied);
    cr_assert_lt(test_redis_int(&slot.redis, "MEMORY USAGE " PARTITION " SAMPLES 0"), 10000);
    expect_reply(set_from(applied, 0, applied + 1, 199), 1, applied, 0, 0);
    reply = set_from(applied, applied + 1, applied + 1, 199);
    cr_assert_gt(reply.applied, applied);
    calls_reply_done(&reply);
}

Test(slot_delivery, one_result_larger_than_the_bound_is_applied_when_nothing_else_is_stored) {
    char settings[512];
    snprintf(settings, sizeof settings, "{'results_bytes': 10, %s", slot.settings + 1);
    slot.settings = settings;
    expect_reply(set_from(-1, 0, 0, 1), 1, 0, 0, 1);
    expect_reply(set_from(0, 0, 1, 1), 1, 0, 0, 0);
    expect_reply(set_from(0, 1, 1, 1), 1, 1, 1, 1);
}

Test(slot_delivery, the_number_of_stored_results_is_bounded) {
    int64_t last = -1;
    for (bool stopped = false; !stopped;) {
        struct test_reply reply = set_from(last, 0, last + 1, last + 1);
        stopped = reply.applied == last;
        last = reply.applied;
        calls_reply_done(&reply);
        cr_assert_lt(last, 1000);
    }
    expect_reply(set_from(last, last + 1, last + 1, last + 1), 1, last + 1, last + 1, 1);
    cr_assert_lt(test_redis_int(&slot.redis, "HLEN " PARTITION), 10);
}

Test(slot_delivery, offsets_of_more_than_fourteen_digits_are_exact) {
    const int64_t large = INT64_C(9007199254740000);
    redisReply *reply = begin("9007199254740000", "new", "0");
    cr_assert_eq(reply->element[0]->integer, large);
    freeReplyObject(reply);
    expect_reply(set_from(large - 1, large, large, large + 2), 1, large + 2, large, 3);
    expect_reply(set_from(large, large, large + 1, large + 1), 1, large + 2, large, 3);
    expect_reply(set_from(large + 2, large + 2, large + 3, large + 3), 1, large + 3, large + 2, 1);
    cr_assert_eq(test_redis_int(&slot.redis, "HEXISTS " PARTITION " 9007199254740003"), 1);
}

Test(slot_delivery, partitions_that_nobody_used_in_a_week_of_use_are_forgotten) {
    expect_reply(set_from(-1, 0, 0, 0), 1, 0, 0, 1);
    freeReplyObject(calls_function(&slot.redis, WP_SLOT_CACHE, "begin", "c/cache/1", "5", "new", "0", NULL));
    cache_advance_time(&slot, 30 * 86400); /* nobody worked: that is not use */
    cr_assert_eq(calls_sweep(&slot.redis, WP_SLOT_CACHE, slot.settings), 1, "the entry alone has expired");
    for (int hour = 0; hour < 168; hour++) {
        cache_advance_time(&slot, 3600);
        freeReplyObject(calls_function(&slot.redis, WP_SLOT_CACHE, "positions", "c/cache/1", NULL));
    }
    cr_assert_eq(calls_sweep(&slot.redis, WP_SLOT_CACHE, slot.settings), 1);
    cr_assert_eq(test_redis_int(&slot.redis, "EXISTS " PARTITION), 0);
    cr_assert_eq(test_redis_int(&slot.redis, "EXISTS " ROOT ":d:c/cache/1"), 1);
}

/* ---- memory ---- */

Test(slot_delivery, a_small_redis_filled_by_large_gets_goes_on_answering) {
    slot.settings = CACHE_SETTINGS(100000);
    freeReplyObject(test_redis_command(&slot.redis, "CONFIG SET maxmemory 64mb"));
    calls_sweep(&slot.redis, WP_SLOT_CACHE, slot.settings); /* the limit is read with the sweep */
    char *value = wp_alloc(400 * 1024 + 1);
    memset(value, 'x', 400 * 1024);
    value[400 * 1024] = '\0';
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        cache_set(&slot, "tool", key, value, NO_TTL);
        for (int k = 0; k < 3; k++) cr_assert_not_null(cache_get(&slot, "tool", key));
    }
    cr_assert_leq(cache_stat(&slot, "bytes"), 64.0 * 1024 * 1024 / 3);
    cr_assert_eq(cache_stat(&slot, "max_bytes"), (double)(64 * 1024 * 1024 / 3));
    free(value);
}
