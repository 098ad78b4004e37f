/* The delivery rules on the pool's slot, failures in the middle, and the public functions. */
#include "support/pool_suite.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include "support/pool_check.h"

POOL_SUITE(pool_delivery);
POOL_SUITE(pool_public);

static struct test_reply acquire_from(int64_t prev, int64_t floor, int first, int last) {
    struct test_events events = {0};
    for (int i = first; i <= last; i++) {
        char id[8];
        snprintf(id, sizeof id, "r%d", i);
        pool_add_request(&events, i, &(struct pool_request){.id = id});
    }
    return pool_call(&slot, POOL_ACQUIRE, prev, floor, &events);
}

static char *digest(void) {
    redisReply *reply = test_redis_command(&slot.redis, "DEBUG DIGEST");
    char *text = wp_strdup(reply->str);
    freeReplyObject(reply);
    return text;
}

/* The time may go on: nothing else changes. */
static char *digest_without_time(void) {
    freeReplyObject(test_redis_command(&slot.redis, "HDEL wp:{pool}:meta now time beat"));
    return digest();
}

Test(pool_delivery, a_gap_is_refused_and_writes_nothing) {
    struct test_reply reply = acquire_from(3, 0, 4, 5); /* begins it */
    calls_reply_done(&reply);
    char *before = digest_without_time();
    reply = acquire_from(3, 0, 4, 5);
    cr_assert_eq(reply.status, 0);
    cr_assert_eq(reply.applied, -1);
    char *after = digest_without_time();
    cr_assert_str_eq(before, after);
    free(before);
    free(after);
    calls_reply_done(&reply);
}

Test(pool_delivery, what_was_applied_is_answered_again_byte_for_byte) {
    pool_warm(&slot, "react", 3);
    struct test_reply first = acquire_from(-1, 0, 0, 4);
    pool_advance_time(&slot, 5);
    pool_usage(&slot, "react", 90, 900, 9);
    struct test_reply again = acquire_from(-1, 0, 0, 4);
    cr_assert_eq(again.stored.len, first.stored.len);
    cr_assert_eq(memcmp(again.stored.data, first.stored.data, first.stored.len), 0);
    cr_assert_eq(pool_stat(&slot, "react", "leased"), 3);
    calls_reply_done(&first);
    calls_reply_done(&again);
}

Test(pool_delivery, of_a_batch_that_overlaps_only_the_new_is_applied) {
    pool_warm(&slot, "react", 5);
    struct test_reply first = acquire_from(-1, 0, 0, 1);
    struct test_reply more = acquire_from(-1, 0, 0, 3);
    cr_assert_eq(more.count, 4);
    cr_assert_eq(more.applied, 3);
    cr_assert_eq(pool_stat(&slot, "react", "leased"), 4);
    calls_reply_done(&first);
    calls_reply_done(&more);
    pool_check(&slot.redis);
}

Test(pool_delivery, results_below_the_floor_go) {
    pool_warm(&slot, "react", 5);
    struct test_reply reply = acquire_from(-1, 0, 0, 1);
    calls_reply_done(&reply);
    reply = acquire_from(1, 2, 2, 2);
    cr_assert_eq(reply.floor, 2);
    calls_reply_done(&reply);
    reply = acquire_from(-1, 0, 0, 2);
    cr_assert_eq(reply.count, 1, "finished ones are not answered again");
    cr_assert_eq(record_int(&reply, 0, "offset"), 2);
    calls_reply_done(&reply);
}

Test(pool_delivery, a_partition_begins_at_its_floor_and_may_begin_anew) {
    const char *partition = pool_partition(POOL_ACQUIRE);
    redisReply *reply = calls_function(&slot.redis, WP_SLOT_POOL, "begin", partition, "40", "new", "0", NULL);
    cr_assert_eq(reply->element[0]->integer, 40);
    cr_assert_eq(reply->element[2]->integer, 1);
    freeReplyObject(reply);
    struct test_reply answer = acquire_from(39, 40, 40, 40);
    cr_assert_eq(answer.status, 1);
    calls_reply_done(&answer);
    reply = calls_function(&slot.redis, WP_SLOT_POOL, "positions", partition, NULL);
    cr_assert_eq(reply->element[0]->integer, 40);
    cr_assert_eq(reply->element[1]->integer, 40);
    freeReplyObject(reply);
    reply = calls_function(&slot.redis, WP_SLOT_POOL, "begin", partition, "0", "accept", "0", NULL);
    cr_assert_eq(reply->element[0]->integer, 0);
    freeReplyObject(reply);
    answer = acquire_from(-1, 0, 0, 0);
    cr_assert_eq(answer.status, 1);
    calls_reply_done(&answer);
}

Test(pool_delivery, a_skipped_event_is_dead_lettered) {
    struct test_reply begun = acquire_from(3, 0, 4, 4);
    calls_reply_done(&begun);
    struct wp_str args[] = {wp_str(pool_partition(POOL_ACQUIRE)), wp_str("0"), wp_str("-1"), wp_str("0"),
                            wp_str("0")};
    redisReply *reply = calls_function_on(slot.redis.connection, WP_SLOT_POOL, "skip", args, 5);
    cr_assert_eq(reply->element[0]->elements, 4);
    freeReplyObject(reply);
    struct test_reply answer = acquire_from(0, 0, 1, 1);
    cr_assert_eq(answer.status, 1);
    calls_reply_done(&answer);
}

/* Adds a partition's batch of one acquire to a call's arguments. */
static size_t add_batch(struct wp_str *args, size_t count, const char *partition, const char *prev,
                        struct wp_buf *packed, int64_t offset, const char *id) {
    struct test_events events = {0};
    pool_add_request(&events, offset, &(struct pool_request){.id = id});
    calls_pack_events(packed, "acquire", &events);
    args[count] = wp_str(partition);
    args[count + 1] = wp_str("0");
    args[count + 2] = wp_str(prev);
    args[count + 3] = wp_str("0");
    args[count + 4] = wp_buf_str(packed);
    freeReplyObject(calls_function(&slot.redis, WP_SLOT_POOL, "begin", partition, "0", "new", "0", NULL));
    return count + 5;
}

Test(pool_delivery, a_call_has_the_batches_of_several_partitions_and_a_gap_refuses_only_its_own) {
    pool_warm(&slot, "react", 3);
    struct wp_buf packed[3] = {0};
    struct wp_str args[15];
    size_t count = add_batch(args, 0, "c/container-acquire/1", "-1", &packed[0], 0, "first");
    count = add_batch(args, count, "c/container-acquire/2", "5", &packed[1], 6, "gap");
    count = add_batch(args, count, "c/container-acquire/3", "-1", &packed[2], 4, "third");
    redisReply *reply = calls_function_on(slot.redis.connection, WP_SLOT_POOL, "acquire", args, count);
    cr_assert_eq(reply->elements, 3);
    static const struct {
        long long status, applied;
        size_t elements;
    } expected[] = {{1, 0, 4}, {0, -1, 3}, {1, 4, 4}};
    for (size_t i = 0; i < 3; i++) {
        cr_expect_eq(reply->element[i]->element[0]->integer, expected[i].status, "status of part %zu", i);
        cr_expect_eq(reply->element[i]->element[1]->integer, expected[i].applied, "applied of part %zu", i);
        cr_expect_eq(reply->element[i]->elements, expected[i].elements, "elements of part %zu", i);
        wp_buf_done(&packed[i]);
    }
    json_t *records = calls_unpack(reply->element[2]->element[3]);
    cr_assert_eq(json_array_size(records), 2, "the offsets and one record");
    cr_assert_eq(json_integer_value(json_array_get(json_array_get(records, 0), 0)), 4);
    json_decref(records);
    freeReplyObject(reply);
    cr_assert_eq(pool_stat(&slot, "react", "leased"), 2);
    pool_check(&slot.redis);
}

/* Events of which the last is no event. */
static void expect_failure(enum pool_topic topic, struct test_events *events) {
    freeReplyObject(
        calls_function(&slot.redis, WP_SLOT_POOL, "begin", pool_partition(topic), "0", "new", "0", NULL));
    char *before = digest_without_time(), *settings = json_dumps(slot.settings, 0);
    free(calls_topic_fails(&slot.redis, pool_function(topic), pool_partition(topic), slot.last[topic], 0,
                           settings, events));
    char *after = digest_without_time();
    cr_assert_str_eq(before, after);
    free(settings);
    free(before);
    free(after);
}

Test(pool_delivery, a_batch_with_a_bad_event_is_not_half_done) {
    pool_warm(&slot, "react", 3);
    pool_acquire(&slot, .id = "r1");
    struct test_events events = {0};
    int64_t offset = pool_next(&slot, POOL_ACQUIRE);
    pool_add_request(&events, offset, &(struct pool_request){.id = "r2"});
    event_add(&events, offset + 1, "iisssbs", 1, -1, "", "r3", "a", 1, "t");
    expect_failure(POOL_ACQUIRE, &events);
    event_add(&events, pool_next(&slot, POOL_RELEASE), "sssb", "r1", "react", "", 1);
    event_add(&events, pool_next(&slot, POOL_RELEASE) + 1, "bssb", 1, "react", "", 1);
    expect_failure(POOL_RELEASE, &events);
    event_add(&events, 0, "sssddd", "", "", "react", 1.0, 1.0, 1.0);
    event_add(&events, 1, "sssssd", "", "", "react", "x", "y", 1.0);
    expect_failure(POOL_USAGE, &events);
    cr_assert_eq(pool_stat(&slot, "react", "leased"), 1);
    cr_assert_eq(test_redis_int(&slot.redis, "EXISTS wp:{pool}:h:react"), 0);
    cr_assert_str_eq(pool_acquire(&slot, .id = "r2"), "assigned", "the offset was not applied");
}

Test(pool_delivery, a_kill_of_redis_forgets_nothing) {
    pool_warm(&slot, "react", 2);
    pool_acquire(&slot, .id = "r1");
    test_redis_restart(&slot.redis);
    pool_check(&slot.redis);
    pool_release(&slot, "r1");
    cr_assert_eq(pool_stat(&slot, "react", "available"), 2);
}

/* ---- public functions ---- */

Test(pool_public, of_nothing_are_empty_objects) {
    test_redis_flush(&slot.redis);
    json_t *stats = calls_public(&slot.redis, "wp_pool_stats", NULL);
    cr_assert(json_is_object(json_object_get(stats, "pools")));
    cr_assert(json_is_object(json_object_get(stats, "hosts")));
    cr_assert_eq(json_number_at(stats, "total", "warm_start_rate_percent", NULL), 0);
    json_decref(stats);
    json_t *agent = calls_public(&slot.redis, "wp_agents", "nobody", NULL);
    cr_assert(json_is_object(agent) && json_object_size(agent) == 0);
    json_decref(agent);
}

Test(pool_public, metrics_are_the_stats) {
    pool_warm(&slot, "react", 2);
    json_t *stats = calls_public(&slot.redis, "wp_pool_stats", NULL);
    json_t *metrics = calls_public(&slot.redis, "wp_metrics", NULL);
    json_object_del(stats, "now");
    json_object_del(metrics, "now");
    cr_assert(json_equal(stats, metrics));
    cr_assert_eq(json_number_at(stats, "hosts", "h1", "used", NULL), 2);
    cr_assert_str_eq(
        json_string_value(json_object_get(json_object_get(json_object_get(stats, "hosts"), "h1"), "state")),
        "up");
    json_decref(stats);
    json_decref(metrics);
}

Test(pool_public, stats_of_a_thousand_pools_take_little_time) {
    slot.unchecked = true;
    struct test_events events = {0};
    for (int i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof name, "p%d", i);
        event_add(&events, i, "sssi", "", name, "pre_warm", 0);
    }
    pool_send(&slot, POOL_CONTROL, &events);
    freeReplyObject(test_redis_command(&slot.redis, "CONFIG RESETSTAT"));
    for (int i = 0; i < 5; i++) json_decref(calls_public(&slot.redis, "wp_pool_stats", NULL));
    redisReply *info = test_redis_command(&slot.redis, "INFO commandstats");
    const char *at = strstr(info->str, "usec_per_call=");
    const char *call = strstr(info->str, "cmdstat_fcall_ro");
    cr_assert(call && (at = strstr(call, "usec_per_call=")));
    double us = strtod(at + strlen("usec_per_call="), NULL);
    cr_assert_lt(us, 40000, "%g us a call", us); /* 10 ms, and four times that on a busy machine */
    freeReplyObject(info);
}
