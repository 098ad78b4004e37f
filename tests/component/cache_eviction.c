/* What goes when the cache is full, and what does not. */
#include "support/cache_slot.h"
#include "support/limits.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct cache_slot slot;
static void start(void) {
    cache_slot_start(&slot, CACHE_SETTINGS(3));
}
static void stop(void) {
    cache_slot_stop(&slot);
}
TestSuite(cache_eviction, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

#define SMALL                                                                                                \
    "{'enabled': true, 'max_entries': 100, 'max_bytes': 30, 'max_value_bytes': 20, 'default_ttl': 300, "     \
    "'ttl': {}}"

static bool has(const char *ns, const char *key) {
    return cache_entry(&slot, ns, key, "created") > 0;
}

/* n entries key0 ... in calls of 500. */
static void fill(const char *ns, int n) {
    for (int i = 0; i < n;) {
        struct test_events events = {0};
        for (int j = 0; j < 500 && i < n; j++, i++) {
            char key[16];
            snprintf(key, sizeof key, "key%d", i);
            cache_add(&slot, &events, "set", ns, key, "v", NO_TTL, 0);
        }
        cache_send(&slot, &events);
    }
}

Test(cache_eviction, expired_entries_go_before_the_least_recently_used) {
    cache_set(&slot, "tool", "oldest", "1", 300);
    cache_set(&slot, "tool", "brief", "2", 5);
    cache_set(&slot, "tool", "newest", "3", 300);
    cache_advance_time(&slot, 6);
    cache_set(&slot, "tool", "next", "4", 300);
    cr_assert(has("tool", "oldest"));
    cr_assert(has("tool", "newest"));
    cr_assert(has("tool", "next"));
    cr_assert_eq(cache_stat(&slot, "evictions"), 0);
    cr_assert_eq(cache_stat(&slot, "expired"), 1);
}

Test(cache_eviction, more_expired_entries_than_a_call_removes_are_still_no_misses_of_order) {
    slot.settings = CACHE_SETTINGS(100);
    cache_set(&slot, "tool", "lasting", "1", 1000);
    for (int i = 0; i < 99; i++) {
        char key[16];
        snprintf(key, sizeof key, "brief%d", i);
        cache_set(&slot, "pattern", key, "2", 5);
    }
    cache_advance_time(&slot, 6);
    fill("tool", 90);
    cr_assert(has("tool", "lasting"));
    cr_assert_eq(cache_stat(&slot, "evictions"), 0);
}

Test(cache_eviction, overwriting_a_key_of_a_full_cache_evicts_nobody) {
    cache_set(&slot, "tool", "a", "1", NO_TTL);
    cache_set(&slot, "tool", "b", "2", NO_TTL);
    cache_set(&slot, "tool", "c", "3", NO_TTL);
    cr_assert(cache_set(&slot, "tool", "a", "a longer value", NO_TTL));
    cr_assert_eq(cache_stat(&slot, "size"), 3);
    cr_assert_eq(cache_stat(&slot, "evictions"), 0);
    cache_set(&slot, "tool", "d", "4", NO_TTL);
    cr_assert_not(has("tool", "b"), "a set is a use");
    cr_assert(has("tool", "a"));
}

Test(cache_eviction, order_of_use_counts_over_all_namespaces) {
    cache_set(&slot, "tool", "k", "1", NO_TTL);
    cache_set(&slot, "pattern", "k", "2", NO_TTL);
    cache_set(&slot, "own", "k", "3", NO_TTL);
    cache_get(&slot, "tool", "k");
    cache_set(&slot, "own", "l", "4", NO_TTL);
    cr_assert_not(has("pattern", "k"));
    cache_set(&slot, "own", "m", "5", NO_TTL);
    cr_assert_not(has("own", "k"));
    cr_assert(has("tool", "k"));
}

Test(cache_eviction, order_of_use_counts_over_many_namespaces) {
    slot.settings = CACHE_SETTINGS(60);
    struct test_events events = {0};
    char ns[16];
    for (int i = 0; i < 60; i++) {
        snprintf(ns, sizeof ns, "ns%d", (i * 7) % 30); /* two each, the second after everybody's first */
        cache_add(&slot, &events, "set", ns, i < 30 ? "first" : "second", "v", NO_TTL, 0);
    }
    cache_send(&slot, &events);
    for (int i = 0; i < 45; i++)
        cache_add(&slot, &events, "set", "new", (char[]){(char)('0' + i), 0}, "v", NO_TTL, 0);
    cache_send(&slot, &events);
    cr_assert_eq(cache_stat(&slot, "evictions"), 45);
    for (int i = 0; i < 60; i++) {
        snprintf(ns, sizeof ns, "ns%d", (i * 7) % 30);
        cr_assert_eq(has(ns, i < 30 ? "first" : "second"), i >= 45, "entry %d", i);
    }
}

Test(cache_eviction, a_batch_larger_than_the_cache_keeps_its_last) {
    struct test_events events = {0};
    const char *keys[] = {"a", "b", "c", "d", "e", "f"};
    for (int i = 0; i < 6; i++) cache_add(&slot, &events, "set", "tool", keys[i], "v", NO_TTL, 0);
    cache_add(&slot, &events, "get", "tool", "d", NULL, NO_TTL, 0);
    cache_add(&slot, &events, "set", "tool", "g", "v", NO_TTL, 0);
    cache_add(&slot, &events, "get", "tool", "e", NULL, NO_TTL, 0);
    cache_send(&slot, &events);
    cr_assert(record_bool(&slot.answer, 6, "hit"));
    cr_assert_not(record_bool(&slot.answer, 8, "hit"));
    cr_assert(has("tool", "d") && has("tool", "f") && has("tool", "g"));
    cr_assert_eq(cache_stat(&slot, "size"), 3);
    cr_assert_eq(cache_stat(&slot, "evictions"), 4);
}

Test(cache_eviction, bytes_are_a_limit_too) {
    slot.settings = SMALL;
    cache_set(&slot, "t", "a", "123456789", NO_TTL);
    cache_set(&slot, "t", "b", "123456789", NO_TTL);
    cache_set(&slot, "t", "c", "123456789", NO_TTL);
    cr_assert_eq(cache_stat(&slot, "bytes"), 30);
    cache_set(&slot, "t", "d", "12345678901", NO_TTL);
    cr_assert_not(has("t", "a") || has("t", "b"));
    cr_assert_eq(cache_stat(&slot, "bytes"), 22);
    cache_set(&slot, "t", "d", "1234567890123456789", NO_TTL);
    cr_assert(has("t", "c"), "10 + 20 bytes fit");
    cr_assert_eq(cache_stat(&slot, "bytes"), 30);
}

Test(cache_eviction, an_entry_is_not_evicted_to_make_room_for_itself) {
    slot.settings = SMALL;
    cache_set(&slot, "t", "a", "1", NO_TTL);
    cache_set(&slot, "t", "b", "12345678901234567", NO_TTL);
    struct test_events events = {0};
    cache_add(&slot, &events, "get", "t", "a", NULL, NO_TTL, 0);
    cache_add(&slot, &events, "get", "t", "b", NULL, NO_TTL, 0);
    cache_add(&slot, &events, "set", "t", "a", "1234567890123456789", NO_TTL, 0);
    cache_send(&slot, &events);
    cr_assert(record_bool(&slot.answer, 2, "hit"));
    cr_assert(has("t", "a"));
    cr_assert_not(has("t", "b"));
    cr_assert_eq(cache_stat(&slot, "bytes"), 20);
}

Test(cache_eviction, a_value_that_is_too_large_is_refused_and_leaves_no_stale_one) {
    slot.settings = SMALL;
    cache_set(&slot, "t", "a", "old", NO_TTL);
    cr_assert(cache_set(&slot, "t", "a", "123456789012345678901", NO_TTL));
    cr_assert_str_eq(cache_reason(&slot), "too_large");
    cr_assert_null(cache_get(&slot, "t", "a"));
    cr_assert_eq(cache_stat(&slot, "bytes"), 0);
    cr_assert_not(cache_set(&slot, "t", "a key that fills the limit.....", "1", NO_TTL));
    cr_assert_str_eq(cache_reason(&slot), "too_large", "more than max_bytes");
}

Test(cache_eviction, a_resize_wins_over_the_settings_and_lasts) {
    cr_assert_eq(cache_resize(&slot, "r1", 5), 5);
    fill("tool", 8);
    cr_assert_eq(cache_stat(&slot, "size"), 5);
    cr_assert_eq(cache_stat(&slot, "max_size"), 5);
    test_redis_restart(&slot.redis);
    cr_assert_eq(cache_resize(&slot, "r2", 2), 2);
    cr_assert_eq(cache_stat(&slot, "size"), 2, "a smaller one evicts at once");
    cr_assert(has("tool", "key7") && has("tool", "key6"));
}

Test(cache_eviction, a_resize_said_by_many_workers_counts_once) {
    cache_resize(&slot, "tuning/cache/17", 6);
    cache_resize(&slot, "by-hand", 50);
    cr_assert_eq(cache_resize(&slot, "tuning/cache/17", 6), 50, "the limit in force");
    cr_assert_eq(cache_stat(&slot, "max_size"), 50);
    for (int i = 0; i < 1100;) {
        struct test_events events = {0};
        for (int j = 0; j < 100; j++, i++) cache_add(&slot, &events, "resize", "", "", NULL, NO_TTL, 10);
        cache_send(&slot, &events);
    }
    cr_assert_eq(test_redis_int(&slot.redis, "ZCARD wp:{cache}:resized"), 1000,
                 "what is remembered is bounded");
}

Test(cache_eviction, a_resize_far_down_goes_on_in_later_calls_and_sweeps) {
    slot.settings = CACHE_SETTINGS(10000);
    fill("tool", 3500);
    cr_assert_eq(cache_resize(&slot, "down", 10), 10);
    cr_assert_eq(cache_stat(&slot, "size"), 3000);
    cr_assert_eq(calls_sweep(&slot.redis, WP_SLOT_CACHE, slot.settings), 500);
    cr_assert_null(cache_get(&slot, "tool", "key0"), "any call goes on");
    cr_assert_eq(cache_stat(&slot, "size"), 2000);
    for (int i = 0; i < 3; i++) cr_assert_eq(calls_sweep(&slot.redis, WP_SLOT_CACHE, slot.settings), 500);
    cache_set(&slot, "tool", "new", "1", NO_TTL);
    cr_assert_eq(cache_stat(&slot, "size"), 10);
    cr_assert(has("tool", "new") && has("tool", "key3499"));
    cr_assert_eq(calls_sweep(&slot.redis, WP_SLOT_CACHE, slot.settings), 0);
}

Test(cache_eviction, sets_while_a_resize_goes_on_never_grow_the_cache) {
    slot.settings = CACHE_SETTINGS(10000);
    fill("tool", 3000);
    struct test_events events = {0};
    cache_add(&slot, &events, "resize", "", "", NULL, NO_TTL, 10);
    for (int i = 0; i < 100; i++) {
        char key[16];
        snprintf(key, sizeof key, "new%d", i);
        cache_add(&slot, &events, "set", "tool", key, "v", NO_TTL, 0);
    }
    cache_send(&slot, &events);
    cr_assert_eq(cache_stat(&slot, "size"), 2500);
    cr_assert(has("tool", "new99"));
}

/* Room for bytes is bounded work too: the call ends early, and what cannot be had by a call of its own is
 * refused. */
Test(cache_eviction, a_large_value_over_many_small_entries_takes_a_bounded_step_a_call) {
    slot.settings = "{'enabled': true, 'max_entries': 10000, 'max_bytes': 20000, 'max_value_bytes': 20000, "
                    "'default_ttl': 300, "
                    "'ttl': {}}";
    fill("t", 3000);
    char *value = calloc(1, 19001);
    memset(value, 'x', 19000);
    struct test_events events = {0};
    int64_t first = slot.last + 1;
    cache_add(&slot, &events, "get", "t", "key0", NULL, NO_TTL, 0);
    cache_add(&slot, &events, "set", "t", "large", value, NO_TTL, 0);
    struct test_reply reply =
        calls_topic(&slot.redis, "cache", CACHE_PARTITION, slot.last, 0, slot.settings, &events);
    cr_assert_eq(reply.applied, first, "it ended before the set");
    cr_assert_eq(reply.count, 1);
    calls_reply_done(&reply);
    slot.last = first;
    cache_set(&slot, "t", "large", value, NO_TTL);
    cr_assert_str_eq(cache_reason(&slot), "no_room");
    cr_assert_leq(cache_stat(&slot, "bytes"), 20000);
    for (int i = 0; i < 5 && cache_reason(&slot)[0]; i++) cache_set(&slot, "t", "large", value, NO_TTL);
    cr_assert_str_eq(cache_reason(&slot), "");
    cr_assert(has("t", "large"));
    cr_assert_leq(cache_stat(&slot, "bytes"), 20000);
    free(value);
}

/* ---- keys that somebody has deleted ---- */

static void delete_key(const char *name) {
    cr_assert_eq(test_redis_int(&slot.redis, "DEL wp:{cache}:%s", name), 1);
}

static void expect_it_works(void) {
    cache_set(&slot, "tool", "a", "1", NO_TTL);
    cache_set(&slot, "tool", "b", "2", NO_TTL);
    cr_assert_str_empty(cache_reason(&slot));
    cr_assert(has("tool", "a") && has("tool", "b"));
    cr_assert_leq(cache_stat(&slot, "size"), 3);
    int64_t live = (int64_t)cache_stat(&slot, "size");
    cr_assert_eq(cache_clear(&slot, ""), live);
    cr_assert_eq(cache_stat(&slot, "size"), 0);
    cr_assert_eq(cache_stat(&slot, "bytes"), 0);
}

Test(cache_eviction, rows_that_were_deleted_take_no_room) {
    fill("tool", 3);
    delete_key("m:tool");
    expect_it_works();
}

Test(cache_eviction, nor_do_they_in_bytes) {
    slot.settings = SMALL;
    fill("tool", 6);
    delete_key("m:tool");
    cache_set(&slot, "tool", "large", "12345678901234567890", NO_TTL);
    cr_assert_str_empty(cache_reason(&slot));
    cr_assert(has("tool", "large"));
}

Test(cache_eviction, entries_that_are_on_no_list_any_more_are_evicted) {
    fill("tool", 3);
    delete_key("lru:tool");
    expect_it_works();
    fill("tool", 3);
    delete_key("lru");
    cache_set(&slot, "tool", "c", "3", NO_TTL);
    cache_set(&slot, "tool", "d", "3", NO_TTL);
    cr_assert(has("tool", "d"));
    cr_assert_leq(cache_stat(&slot, "size"), 3);
}

Test(cache_eviction, a_cache_whose_totals_were_deleted_begins_anew) {
    fill("tool", 3);
    delete_key("totals");
    cache_set(&slot, "tool", "a", "1", NO_TTL);
    cr_assert_eq(cache_stat(&slot, "size"), 1);
    cr_assert_null(cache_get(&slot, "tool", "key2"));
    cr_assert_str_eq(cache_get(&slot, "tool", "a"), "1");
}

Test(cache_eviction, a_clear_removes_entries_of_a_namespace_whose_row_was_deleted) {
    fill("tool", 3);
    delete_key("ns");
    cr_assert_eq(cache_clear(&slot, "tool"), 3);
    cr_assert_null(cache_get(&slot, "tool", "key2"));
    cr_assert_eq(cache_stat(&slot, "size"), 0);
}
