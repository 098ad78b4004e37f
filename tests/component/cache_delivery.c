/* The delivery rules on the cache's functions, and failures that must leave nothing half done. */
#include "support/cache_slot.h"
#include "support/limits.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct cache_slot slot;
static void start(void) {
    cache_slot_start(&slot, CACHE_SETTINGS(100));
}
static void stop(void) {
    cache_slot_stop(&slot);
}
TestSuite(cache_delivery, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

static struct test_reply call(int64_t prev, int64_t floor, struct test_events *events) {
    return calls_topic(&slot.redis, "cache", CACHE_PARTITION, prev, floor, slot.settings, events);
}

static void add_set_and_get(struct test_events *events) {
    event_add_cache(events, 3, "sssss--", "e3", "set", "tool", "k", "v");
    event_add_cache(events, 7, "ssss---", "e7", "get", "tool", "k");
}

Test(cache_delivery, what_changed_something_is_answered_again_byte_for_byte) {
    struct test_events events = {0};
    event_add_cache(&events, 3, "sssss--", "e3", "set", "tool", "k", "v");
    struct test_reply first = call(-1, 0, &events);
    cache_advance_time(&slot, 100);
    event_add_cache(&events, 3, "sssss--", "e3", "set", "tool", "k", "v");
    struct test_reply again = call(-1, 0, &events);
    cr_assert_eq(again.applied, 3);
    cr_assert_eq(again.stored.len, first.stored.len);
    cr_assert(memcmp(again.stored.data, first.stored.data, first.stored.len) == 0);
    calls_reply_done(&first);
    calls_reply_done(&again);
}

Test(cache_delivery, a_get_is_stored_nowhere_and_a_repeated_one_reads_again_and_is_no_second_access) {
    struct test_events events = {0};
    event_add_cache(&events, 2, "ssss---", "e2", "get", "tool", "k");
    add_set_and_get(&events);
    struct test_reply first = call(-1, 0, &events);
    cr_assert_eq(test_redis_int(&slot.redis, "HEXISTS wp:{cache}:d:" CACHE_PARTITION " 7"), 1, "of the set");
    redisReply *stored = test_redis_command(&slot.redis, "HGET wp:{cache}:d:" CACHE_PARTITION " 7");
    json_t *chunk = calls_unpack(stored);
    cr_assert_eq(json_array_size(chunk), 2, "the offsets and one record");
    json_decref(chunk);
    freeReplyObject(stored);
    event_add_cache(&events, 8, "sssss--", "e8", "set", "tool", "k", "later");
    struct test_reply more = call(7, 0, &events);
    calls_reply_done(&more);
    event_add_cache(&events, 2, "ssss---", "e2", "get", "tool", "k");
    add_set_and_get(&events);
    struct test_reply again = call(-1, 0, &events);
    cr_assert_eq(again.applied, 8);
    cr_assert_eq(again.count, 3);
    for (size_t i = 0; i < 3; i++)
        if (record_int(&again, i, "offset") == 7) cr_assert_str_eq(record_str(&again, i, "value"), "later");
    cr_assert_eq(cache_entry(&slot, "tool", "k", "access_count"), 0, "a set begins it anew");
    cr_assert_eq(cache_stat(&slot, "hits"), 1);
    calls_reply_done(&first);
    calls_reply_done(&again);
}

Test(cache_delivery, only_the_new_events_of_a_call_are_applied) {
    struct test_events events = {0};
    add_set_and_get(&events);
    struct test_reply reply = call(-1, 0, &events);
    calls_reply_done(&reply);
    add_set_and_get(&events);
    event_add_cache(&events, 8, "ssss---", "e8", "get", "tool", "k");
    reply = call(-1, 0, &events);
    cr_assert_eq(reply.count, 3);
    cr_assert_eq(record_int(&reply, 2, "offset"), 8);
    cr_assert_eq(cache_stat(&slot, "hits"), 2);
    calls_reply_done(&reply);
}

Test(cache_delivery, a_gap_is_refused_and_writes_nothing) {
    struct test_events events = {0};
    add_set_and_get(&events);
    struct test_reply reply = call(2, 0, &events);
    cr_assert_eq(reply.status, 0);
    cr_assert_eq(reply.applied, -1);
    cr_assert_eq(test_redis_int(&slot.redis, "DBSIZE"), 3, "settings, the floor, and when it was used");
    calls_reply_done(&reply);
}

Test(cache_delivery, what_is_finished_is_not_answered_again) {
    struct test_events events = {0};
    add_set_and_get(&events);
    struct test_reply reply = call(-1, 0, &events);
    calls_reply_done(&reply);
    reply = call(7, 8, &events); /* no events: tells the floor */
    cr_assert_eq(reply.floor, 8);
    calls_reply_done(&reply);
    add_set_and_get(&events);
    reply = call(-1, 8, &events);
    cr_assert_eq(reply.count, 0);
    cr_assert_eq(reply.applied, 7);
    cr_assert_eq(cache_stat(&slot, "hits"), 1);
    calls_reply_done(&reply);
}

Test(cache_delivery, partitions_begin_once_and_say_where_they_are) {
    redisReply *reply =
        calls_function(&slot.redis, WP_SLOT_CACHE, "begin", "c/cache/1", "40", "new", "0", NULL);
    cr_assert_eq(reply->element[0]->integer, 40);
    cr_assert_eq(reply->element[2]->integer, 1);
    freeReplyObject(reply);
    reply = calls_function(&slot.redis, WP_SLOT_CACHE, "begin", "c/cache/1", "50", "new", "0", NULL);
    cr_assert_eq(reply->element[0]->integer, 40);
    cr_assert_eq(reply->element[2]->integer, 0);
    freeReplyObject(reply);
    reply = calls_function(&slot.redis, WP_SLOT_CACHE, "begin", "c/cache/1", "0", "accept", "0", NULL);
    cr_assert_eq(reply->element[0]->integer, 0);
    cr_assert_eq(reply->element[1]->integer, 1, "another generation");
    freeReplyObject(reply);
    reply = calls_function(&slot.redis, WP_SLOT_CACHE, "positions", "c/cache/1", "c/cache/2", NULL);
    cr_assert_eq(reply->elements, 6);
    static const long long expected[] = {-1, 0, 1, -1, -1, 0};
    for (size_t i = 0; i < 6; i++) cr_expect_eq(reply->element[i]->integer, expected[i], "number %zu", i);
    freeReplyObject(reply);
}

Test(cache_delivery, a_skipped_event_is_dead_lettered_and_the_next_goes_on) {
    freeReplyObject(
        calls_function(&slot.redis, WP_SLOT_CACHE, "begin", CACHE_PARTITION, "0", "new", "0", NULL));
    struct wp_str args[] = {wp_str(CACHE_PARTITION), wp_str("0"), wp_str("-1"), wp_str("0"), wp_str("0")};
    redisReply *reply = calls_function_on(slot.redis.connection, WP_SLOT_CACHE, "skip", args, 5);
    cr_assert_eq(reply->element[0]->elements, 4);
    json_t *chunk = calls_unpack(reply->element[0]->element[3]);
    cr_assert_eq(json_integer_value(json_array_get(json_array_get(chunk, 1), 0)), 5);
    json_decref(chunk);
    freeReplyObject(reply);
    slot.last = 0;
    cr_assert_not(cache_set(&slot, "tool", "k", "v", NO_TTL));
}

Test(cache_delivery, a_kill_of_redis_forgets_nothing) {
    cache_set(&slot, "tool", "k", "v", NO_TTL);
    cache_get(&slot, "tool", "k");
    test_redis_restart(&slot.redis);
    cr_assert_str_eq(cache_get(&slot, "tool", "k"), "v");
    cr_assert_eq(cache_stat(&slot, "hits"), 2);
    cr_assert_eq(cache_entry(&slot, "tool", "k", "access_count"), 2);
}

/* ---- failures ---- */

/* Of all data; freed by the caller. */
static char *digest(void) {
    redisReply *reply = test_redis_command(&slot.redis, "DEBUG DIGEST");
    char *text = wp_strdup(reply->str);
    freeReplyObject(reply);
    return text;
}

Test(cache_delivery, a_function_that_fails_while_it_reads_has_written_nothing_of_the_batch) {
    cache_set(&slot, "tool", "k", "v", NO_TTL);
    freeReplyObject(test_redis_command(&slot.redis, "SET wp:{cache}:m:broken 1"));
    long long size = (long long)cache_stat(&slot, "size");
    struct test_events events = {0};
    cache_add(&slot, &events, "set", "tool", "new", "v", NO_TTL, 0);
    cache_add(&slot, &events, "clear", "tool", "", NULL, NO_TTL, 0);
    cache_add(&slot, &events, "get", "broken", "k", NULL, NO_TTL, 0);
    char *error =
        calls_topic_fails(&slot.redis, "cache", CACHE_PARTITION, slot.last, 0, slot.settings, &events);
    cr_assert(strstr(error, "WRONGTYPE"), "%s", error);
    free(error);
    cr_assert_eq(cache_stat(&slot, "size"), size);
    cr_assert_str_eq(cache_get(&slot, "tool", "k"), "v", "the offset was not applied either");
}

Test(cache_delivery, events_that_are_no_events_fail_before_anything_is_written) {
    cache_set(&slot, "tool", "k", "v", NO_TTL);
    struct test_events events = {0};
    cache_add(&slot, &events, "set", "tool", "new", "v", NO_TTL, 0);
    event_add_cache(&events, slot.last + 2, "ssss---", "e", "set", "tool", "k");
    event_add_cache(&events, slot.last + 3, "sbbs---", "e", 1, 1, "k");
    free(calls_topic_fails(&slot.redis, "cache", CACHE_PARTITION, slot.last, 0, slot.settings, &events));
    cr_assert_eq(cache_stat(&slot, "size"), 1);
    cr_assert_str_eq(cache_get(&slot, "tool", "k"), "v");
}

Test(cache_delivery, a_redis_without_memory_refuses_before_it_begins_and_a_sweep_makes_room) {
    cache_set(&slot, "tool", "k", "v", 10);
    cache_advance_time(&slot, 11);
    char *before = digest();
    freeReplyObject(test_redis_command(&slot.redis, "CONFIG SET maxmemory 100kb"));
    struct test_events events = {0};
    cache_add(&slot, &events, "set", "tool", "new", "v", NO_TTL, 0);
    char *error =
        calls_topic_fails(&slot.redis, "cache", CACHE_PARTITION, slot.last, 0, slot.settings, &events);
    cr_assert(strncmp(error, "OOM", 3) == 0, "%s", error);
    free(error);
    char *after = digest();
    cr_assert_str_eq(after, before);
    free(after);
    free(before);
    cr_assert_eq(calls_sweep(&slot.redis, WP_SLOT_CACHE, slot.settings), 1);
    cr_assert_eq(cache_stat(&slot, "size"), 0);
    freeReplyObject(test_redis_command(&slot.redis, "CONFIG SET maxmemory 0"));
    cr_assert_not(cache_set(&slot, "tool", "new", "v", NO_TTL));
}
