/* Every cache event has exactly one answer, and what is in it. */
#include "support/cache_slot.h"
#include "support/limits.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct cache_slot slot;
static void start(void) {
    cache_slot_start(&slot, CACHE_SETTINGS(1000));
}
static void stop(void) {
    cache_slot_stop(&slot);
}
TestSuite(cache_answers, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

Test(cache_answers, carry_the_event_they_belong_to) {
    cache_set(&slot, "tool", "k", "v", 30);
    cr_assert_eq(record_int(&slot.answer, 0, "offset"), 0);
    cr_assert_str_eq(record_str(&slot.answer, 0, "key"), "key-0");
    cr_assert_str_eq(record_str(&slot.answer, 0, "trace"), "trace-0");
    cr_assert_str_eq(record_str(&slot.answer, 0, "event_id"), "event-0");
    cr_assert_str_eq(record_str(&slot.answer, 0, "namespace"), "tool");
    cr_assert_str_eq(record_str(&slot.answer, 0, "cache_key"), "k");
    cr_assert_eq(record_int(&slot.answer, 0, "ttl_seconds"), 30);
    cr_assert(record_absent(&slot.answer, 0, "value"));
    cr_assert(record_absent(&slot.answer, 0, "count"));
    cr_assert_eq(json_array_size(json_array_get(slot.answer.records, 0)), 13);
}

Test(cache_answers, an_empty_value_is_a_hit) {
    cache_set(&slot, "tool", "k", "", NO_TTL);
    cr_assert_str_eq(cache_get(&slot, "tool", "k"), "");
    cr_assert_eq(cache_stat(&slot, "hits"), 1);
}

/* Room for 680 bytes of value, less what key, trace, id, namespace and cache key take: 5 + 7 + 2 * (7 + 4 +
 * 1). */
#define ANSWERS_OF_1000                                                                                      \
    "{'enabled': true, 'max_entries': 9, 'max_bytes': 1e6, 'max_value_bytes': 100000, 'default_ttl': 50, "   \
    "'ttl': {}, 'answer_bytes': 1000, 'answer_json': "
enum { ROOM = 680 - 5 - 7 - 2 * (7 + 4 + 1) };

/* What a set of so many bytes `c` is answered; taken is what is read back. */
static const char *reason_of_set(char c, size_t length) {
    char value[2048] = {0};
    memset(value, c, length);
    cache_set(&slot, "tool", "k", value, NO_TTL);
    return cache_reason(&slot);
}

Test(cache_answers, a_set_that_no_answer_could_carry_is_too_large) {
    slot.settings = ANSWERS_OF_1000 "false}";
    cr_expect_str_eq(reason_of_set('x', ROOM), "");
    cr_expect_eq(strlen(cache_get(&slot, "tool", "k")), ROOM);
    cr_expect_str_eq(reason_of_set('x', ROOM + 1), "too_large");
    cr_expect_null(cache_get(&slot, "tool", "k"), "a stale value is not to be read");
    cr_expect_str_eq(reason_of_set('\1', ROOM), "", "Avro escapes nothing");
    slot.settings = ANSWERS_OF_1000 "true}";
    cr_expect_str_eq(reason_of_set('x', ROOM), "");
    cr_expect_str_eq(reason_of_set('"', ROOM / 2), "");
    cr_expect_str_eq(reason_of_set('"', ROOM / 2 + 1), "too_large");
    cr_expect_str_eq(reason_of_set('\n', ROOM / 2), "");
    cr_expect_str_eq(reason_of_set('\1', ROOM / 6), "");
    cr_expect_str_eq(reason_of_set('\1', ROOM / 6 + 1), "too_large");
    const size_t room = ROOM - 1 - 1 - 2; /* from event 10 on its names are longer */
    cr_expect_str_eq(reason_of_set('\xff', room / 4 * 3), "", "base64");
    cr_expect_str_eq(reason_of_set('\xff', room / 4 * 3 + 1), "too_large");
}

Test(cache_answers, a_get_whose_answer_would_be_too_large_is_told_so_and_the_entry_stays) {
    cr_assert_str_eq(reason_of_set('\1', ROOM / 6 + 1), "");
    const char *usual = slot.settings;
    slot.settings = ANSWERS_OF_1000 "true}";
    cr_assert_null(cache_get(&slot, "tool", "k"));
    cr_assert_str_eq(cache_reason(&slot), "too_large");
    cr_assert_not(record_bool(&slot.answer, 0, "hit"));
    cr_assert_eq(cache_stat(&slot, "misses"), 1);
    slot.settings = usual;
    cr_assert_eq(strlen(cache_get(&slot, "tool", "k")), ROOM / 6 + 1);
}

Test(cache_answers, a_value_may_hold_any_bytes) {
    static const char bytes[] = "a\0b\xff\xfe\r\n\0";
    struct test_events events = {0};
    event_add_cache(&events, 0, "ssssB--", "e", "set", "tool", "k", (struct wp_str){bytes, sizeof bytes});
    event_add_cache(&events, 1, "ssss---", "f", "get", "tool", "k");
    slot.last = -1;
    cache_send(&slot, &events);
    event_add_cache(&events, 2, "ssss---", "g", "get", "tool", "k");
    json_t *same = json_incref(record_value(&slot.answer, 1, "value"));
    cache_send(&slot, &events);
    json_t *later = record_value(&slot.answer, 0, "value");
    cr_assert_eq(json_string_length(later), sizeof bytes);
    cr_assert(memcmp(json_string_value(later), bytes, sizeof bytes) == 0);
    cr_assert(json_equal(same, later), "also in the batch that set it");
    json_decref(same);
}

Test(cache_answers, ttl_is_the_events_then_the_namespaces_then_the_default) {
    slot.settings =
        "{'enabled': true, 'max_entries': 9, 'max_bytes': 1000, 'max_value_bytes': 100, 'default_ttl': 50, "
        "'ttl': {'tool': 600, 'never': 0}}";
    const struct {
        const char *ns;
        int ttl, expected;
    } cases[] = {
        {"tool", 7, 7}, {"tool", NO_TTL, 600}, {"own", NO_TTL, 50}, {"never", NO_TTL, 0}, {"tool", 0, 0}};
    for (size_t i = 0; i < 5; i++) {
        cache_set(&slot, cases[i].ns, "k", "v", cases[i].ttl);
        cr_assert_eq(record_int(&slot.answer, 0, "ttl_seconds"), cases[i].expected);
        cr_assert_eq(cache_get(&slot, cases[i].ns, "k") != NULL, cases[i].expected > 0);
    }
}

Test(cache_answers, a_ttl_of_zero_removes_what_was_there) {
    cache_set(&slot, "tool", "k", "v", NO_TTL);
    cr_assert(cache_set(&slot, "tool", "k", "w", 0));
    cr_assert_null(cache_get(&slot, "tool", "k"));
    cr_assert_eq(cache_stat(&slot, "size"), 0);
}

Test(cache_answers, a_ttl_beyond_all_bounds_is_a_hundred_years) {
    struct test_events events = {0};
    event_add_cache(&events, 0, "sssssl-", "e", "set", "tool", "k", "v", (int64_t)1 << 60);
    slot.last = -1;
    cache_send(&slot, &events);
    cr_assert_eq(record_int(&slot.answer, 0, "ttl_seconds"), 3155760000);
    cr_assert_not_null(cache_get(&slot, "tool", "k"));
}

Test(cache_answers, clear_counts_only_live_entries) {
    cache_set(&slot, "tool", "a", "1", 5);
    cache_set(&slot, "tool", "b", "2", 500);
    for (int i = 0; i < 30; i++) {
        char key[16];
        snprintf(key, sizeof key, "brief%d", i);
        cache_set(&slot, "tool", key, "3", 5);
    }
    cache_advance_time(&slot, 6);
    cr_assert_eq(cache_clear(&slot, "tool"), 1);
    cr_assert_eq(cache_clear(&slot, "tool"), 0);
    cr_assert_not(record_bool(&slot.answer, 0, "hit"));
    cr_assert_eq(cache_stat(&slot, "expired"), 31);
    cr_assert_eq(cache_stat(&slot, "bytes"), 0);
}

Test(cache_answers, a_batch_sees_its_own_changes_in_order) {
    cache_set(&slot, "tool", "a", "before", NO_TTL);
    struct test_events events = {0};
    cache_add(&slot, &events, "get", "tool", "a", NULL, NO_TTL, 0);
    cache_add(&slot, &events, "set", "tool", "a", "after", NO_TTL, 0);
    cache_add(&slot, &events, "get", "tool", "a", NULL, NO_TTL, 0);
    cache_add(&slot, &events, "clear", "tool", "", NULL, NO_TTL, 0);
    cache_add(&slot, &events, "get", "tool", "a", NULL, NO_TTL, 0);
    cache_add(&slot, &events, "set", "tool", "a", "again", NO_TTL, 0);
    cache_send(&slot, &events);
    cr_assert_str_eq(record_str(&slot.answer, 0, "value"), "before");
    cr_assert(record_bool(&slot.answer, 1, "hit"));
    cr_assert_str_eq(record_str(&slot.answer, 2, "value"), "after");
    cr_assert_eq(record_int(&slot.answer, 3, "count"), 1);
    cr_assert_not(record_bool(&slot.answer, 4, "hit"));
    cr_assert_not(record_bool(&slot.answer, 5, "hit"));
    cr_assert_str_eq(cache_get(&slot, "tool", "a"), "again");
    cr_assert_eq(cache_entry(&slot, "tool", "a", "access_count"), 1);
}

Test(cache_answers, a_disabled_cache_misses_and_changes_nothing) {
    cache_set(&slot, "tool", "a", "1", NO_TTL);
    slot.settings = "{'enabled': false, 'max_entries': 1000, 'max_bytes': 1000, 'max_value_bytes': 100, "
                    "'default_ttl': 5, 'ttl': {}}";
    cr_assert_null(cache_get(&slot, "tool", "a"));
    cache_set(&slot, "tool", "b", "2", NO_TTL);
    cr_assert_str_eq(cache_reason(&slot), "disabled");
    cr_assert_not(cache_invalidate(&slot, "tool", "a"));
    cr_assert_eq(cache_clear(&slot, ""), -1);
    cr_assert_str_eq(cache_reason(&slot), "disabled");
    cr_assert_eq(cache_stat(&slot, "misses"), 1);
    slot.settings = CACHE_SETTINGS(1000);
    cr_assert_str_eq(cache_get(&slot, "tool", "a"), "1");
    cr_assert_null(cache_get(&slot, "tool", "b"));
}

Test(cache_answers, what_no_worker_should_send_is_dead_lettered_and_the_rest_goes_on) {
    struct test_events events = {0};
    cache_add(&slot, &events, "set", "tool", "a", "v", -5, 0);
    cache_add(&slot, &events, "set", "tool", "a", NULL, NO_TTL, 0);
    cache_add(&slot, &events, "get", "", "a", NULL, NO_TTL, 0);
    cache_add(&slot, &events, "invalidate", "tool", "", NULL, NO_TTL, 0);
    cache_add(&slot, &events, "resize", "", "", NULL, NO_TTL, 0);
    cache_add(&slot, &events, "explode", "tool", "a", NULL, NO_TTL, 0);
    cache_add(&slot, &events, "set", "tool", "a", "v", NO_TTL, 0);
    cache_send(&slot, &events);
    const char *reasons[] = {"ttl_seconds is negative",
                             "a set needs a value",
                             "get needs a namespace and a key",
                             "invalidate needs a namespace and a key",
                             "a resize needs a count of at least 1",
                             "unknown op"};
    for (size_t i = 0; i < 6; i++) {
        cr_assert_eq(record_kind(&slot.answer, i), 5);
        cr_assert_str_eq(record_str(&slot.answer, i, "reason"), reasons[i]);
    }
    cr_assert_eq(record_kind(&slot.answer, 6), 3);
    cr_assert_eq(cache_stat(&slot, "size"), 1);
}

/* ---- namespaces ---- */

static void set_in_namespaces(int from, int to) {
    struct test_events events = {0};
    for (int i = from; i < to; i++) {
        char ns[16];
        snprintf(ns, sizeof ns, "ns%d", i);
        cache_add(&slot, &events, "set", ns, "k", "v", NO_TTL, 0);
    }
    cache_send(&slot, &events);
}

Test(cache_answers, a_thousand_namespaces_are_enough) {
    slot.settings = CACHE_SETTINGS(5000);
    set_in_namespaces(0, 1001);
    cr_assert_str_eq(record_str(&slot.answer, 999, "reason"), "");
    cr_assert_str_eq(record_str(&slot.answer, 1000, "reason"), "too_many_namespaces");
    cr_assert_null(cache_get(&slot, "ns1000", "k"));
    cr_assert_eq(cache_stat(&slot, "misses"), 1, "counted in total");
    cr_assert_not_null(cache_get(&slot, "ns999", "k"));
    cr_assert_eq(cache_clear(&slot, "ns7"), 1);
    cache_set(&slot, "another", "k", "v", NO_TTL);
    cr_assert_str_eq(cache_reason(&slot), "", "an empty namespace makes way");
    cr_assert_eq(test_redis_int(&slot.redis, "HLEN wp:{cache}:ns"), 1000);
    cr_assert_eq(cache_clear(&slot, ""), 1000);
    cr_assert_eq(test_redis_int(&slot.redis, "ZCARD wp:{cache}:lru"), 0);
    cr_assert_eq(test_redis_int(&slot.redis, "ZCARD wp:{cache}:exp"), 0);
}

/* ---- time, sweeps, bounds ---- */

Test(cache_answers, a_sweep_removes_what_has_expired_some_at_a_time) {
    slot.settings = CACHE_SETTINGS(5000);
    for (int n = 0; n < 3; n++) {
        struct test_events events = {0};
        for (int i = 0; i < 500; i++) {
            char key[16];
            snprintf(key, sizeof key, "%d-%d", n, i);
            cache_add(&slot, &events, "set", n == 1 ? "tool" : "own", key, "v", 10, 0);
        }
        cache_send(&slot, &events);
    }
    cr_assert_eq(calls_sweep(&slot.redis, WP_SLOT_CACHE, slot.settings), 0);
    cache_advance_time(&slot, 11);
    for (int64_t left = 1500; left > 0;) {
        int64_t swept = calls_sweep(&slot.redis, WP_SLOT_CACHE, slot.settings);
        cr_assert(swept > 0 && swept <= 500);
        left -= swept;
    }
    cr_assert_eq(calls_sweep(&slot.redis, WP_SLOT_CACHE, slot.settings), 0);
    cr_assert_eq(cache_stat(&slot, "size"), 0);
    cr_assert_eq(cache_stat(&slot, "expired"), 1500);
    cr_assert_eq(cache_stat(&slot, "evictions"), 0);
}

Test(cache_answers, any_call_removes_some_of_what_has_expired) {
    struct test_events events = {0};
    for (int i = 0; i < 50; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        cache_add(&slot, &events, "set", "tool", key, "v", 10, 0);
    }
    cache_send(&slot, &events);
    cache_advance_time(&slot, 11);
    cache_get(&slot, "own", "absent");
    cr_assert_eq(cache_stat(&slot, "size"), 30);
}

Test(cache_answers, a_clock_stepped_back_brings_nothing_back_and_keeps_nothing_longer) {
    cache_set(&slot, "tool", "a", "1", 100);
    cache_advance_time(&slot, 1000);
    cr_assert_null(cache_get(&slot, "tool", "a"));
    cache_set(&slot, "tool", "b", "1", 100); /* Redis' own clock is now 1000 s behind */
    cr_assert_not_null(cache_get(&slot, "tool", "b"));
    cr_assert_eq(record_int(&slot.answer, 0, "ttl_seconds"), 100);
    cr_assert_null(cache_get(&slot, "tool", "a"));
    cache_advance_time(&slot, 101);
    cr_assert_null(cache_get(&slot, "tool", "b"));
}

Test(cache_answers, a_call_stops_when_its_answers_grow_large) {
    struct wp_buf value = {0};
    memset(wp_buf_reserve(&value, 500000), 'x', 500000);
    value.len = 500000;
    struct test_events events = {0};
    event_add_cache(&events, 0, "ssssB--", "e", "set", "tool", "k", wp_buf_str(&value));
    for (int i = 1; i <= 20; i++) event_add_cache(&events, i, "ssss---", "g", "get", "tool", "k");
    struct test_reply reply =
        calls_topic(&slot.redis, "cache", CACHE_PARTITION, -1, 0, slot.settings, &events);
    cr_assert_eq(reply.applied, 8, "eight values of half a megabyte are 4 MB");
    cr_assert_eq(reply.count, 9);
    calls_reply_done(&reply);
    for (int i = 9; i <= 20; i++) event_add_cache(&events, i, "ssss---", "g", "get", "tool", "k");
    reply = calls_topic(&slot.redis, "cache", CACHE_PARTITION, 8, 0, slot.settings, &events);
    cr_assert_eq(reply.applied, 16);
    cr_assert_eq(json_string_length(record_value(&reply, 0, "value")), 500000);
    calls_reply_done(&reply);
    wp_buf_done(&value);
    cr_assert_eq(cache_stat(&slot, "hits"), 16);
}
