/* No call of the cache's functions holds Redis for long: the kinds that do most, each at its largest. What is
 * asserted is the number of commands, or a generous time; median and worst of 20 by Redis' own clock are
 * printed. */
#include "support/cache_slot.h"
#include "support/limits.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROUNDS = 20, NAMESPACES = 1000, GENEROUS_US = 200000 };

static struct cache_slot slot;
static void start(void) {
    cache_slot_start(&slot, CACHE_SETTINGS(1000000));
}
static void stop(void) {
    cache_slot_stop(&slot);
}
TestSuite(bounded_calls, .init = start, .fini = stop, .timeout = 4 * TEST_LIMIT_S);

static long long spent[ROUNDS];

/* us that the FCALLs since the last reset took. */
static long long fcall_us(void) {
    redisReply *info = test_redis_command(&slot.redis, "INFO commandstats");
    const char *at = strstr(info->str, "cmdstat_fcall:calls=");
    const char *usec = at ? strstr(at, "usec=") : NULL;
    long long us = usec ? strtoll(usec + strlen("usec="), NULL, 10) : 0;
    freeReplyObject(info);
    return us;
}

static int by_size(const void *a, const void *b) {
    long long left = *(const long long *)a, right = *(const long long *)b;
    return (left > right) - (left < right);
}

static void report(const char *kind) {
    qsort(spent, ROUNDS, sizeof spent[0], by_size);
    printf("%-42s least %6.2f, median %6.2f, worst %6.2f ms\n", kind, (double)spent[0] / 1000,
           (double)spent[ROUNDS / 2] / 1000, (double)spent[ROUNDS - 1] / 1000);
    cr_expect_lt(spent[ROUNDS / 2], GENEROUS_US, "%s", kind);
}

static void measure(int round, void (*call)(void)) {
    freeReplyObject(test_redis_command(&slot.redis, "CONFIG RESETSTAT"));
    call();
    spent[round] = fcall_us();
}

static void fill(int namespaces, int each, int ttl) {
    struct test_events events = {0};
    for (int i = 0; i < namespaces * each; i++) {
        char ns[24], key[24];
        snprintf(ns, sizeof ns, "n%d", i % namespaces);
        snprintf(key, sizeof key, "k%d", i / namespaces);
        cache_add(&slot, &events, "set", ns, key, "value", ttl, 0);
        if (events.count == 500) cache_send(&slot, &events);
    }
    if (events.count) cache_send(&slot, &events);
}

static void clear_all(void) {
    cache_clear(&slot, "");
}

Test(bounded_calls, clear_of_a_thousand_namespaces) {
    for (int round = 0; round < ROUNDS; round++) {
        fill(NAMESPACES, 1, 300);
        measure(round, clear_all);
        cr_assert_eq(record_int(&slot.answer, 0, "count"), NAMESPACES);
        cr_assert_eq(cache_stat(&slot, "size"), 0);
    }
    cr_expect_lt(test_redis_calls_of(&slot.redis, "hget"), 10, "their rows are read together");
    cr_expect_leq(test_redis_int(&slot.redis, "ZCARD wp:{cache}:cleared"), NAMESPACES - 100,
                  "a step was done");
    report("clear, 1000 namespaces");
}

static void get_one(void) {
    cr_assert_null(cache_get(&slot, "n999", "k0"));
}

Test(bounded_calls, what_a_clear_left_standing_is_not_seen_and_goes_in_later_calls) {
    fill(NAMESPACES, 2, 300);
    cr_assert_eq(cache_clear(&slot, ""), 2 * NAMESPACES);
    cr_assert_gt(test_redis_int(&slot.redis, "DBSIZE"), 3000, "their keys still stand");
    cr_assert_null(cache_get(&slot, "n999", "k1"));
    cr_assert_eq(cache_entry(&slot, "n998", "k1", "bytes"), -1);
    cr_assert_eq(cache_namespace_stat(&slot, "n998", "size"), 0);
    cr_assert_not(cache_set(&slot, "n997", "k0", "new", 300), "it replaces nothing");
    cr_assert_str_eq(cache_get(&slot, "n997", "k0"), "new");
    cr_assert_null(cache_get(&slot, "n997", "k1"));
    cr_assert_eq(cache_clear(&slot, ""), 1, "and nothing is counted twice");
    cr_assert_not(cache_set(&slot, "n996", "k0", "new", 300));
    int steps = 0;
    for (; test_redis_int(&slot.redis, "EXISTS wp:{cache}:cleared"); steps++) {
        measure(steps, get_one);
        cr_assert_leq(test_redis_calls_of(&slot.redis, "unlink"), 3);
        cr_assert_lt(steps, ROUNDS);
    }
    cr_assert_gt(steps, 0);
    cr_assert_lt(test_redis_int(&slot.redis, "DBSIZE"), 20, "all went but one namespace");
    cr_assert_str_eq(cache_get(&slot, "n996", "k0"), "new");
    cr_assert_eq(cache_stat(&slot, "size"), 1);
    cr_assert_eq(cache_namespace_stat(&slot, "n998", "size"), 0);
}

Test(bounded_calls, a_sweep_goes_on_with_a_clear_and_a_batch_sees_it) {
    struct test_events events = {0};
    fill(NAMESPACES, 1, 300);
    cache_add(&slot, &events, "set", "n5", "k0", "before", 300, 0);
    cache_add(&slot, &events, "invalidate", "n7", "k0", NULL, NO_TTL, 0);
    cache_add(&slot, &events, "clear", "", "", NULL, NO_TTL, 0);
    cache_add(&slot, &events, "get", "n5", "k0", NULL, NO_TTL, 0);
    cache_add(&slot, &events, "get", "n6", "k0", NULL, NO_TTL, 0);
    cache_add(&slot, &events, "set", "n7", "k0", "after", 300, 0);
    cache_add(&slot, &events, "get", "n7", "k0", NULL, NO_TTL, 0);
    cache_send(&slot, &events);
    cr_assert_eq(record_int(&slot.answer, 2, "count"), NAMESPACES - 1);
    cr_assert_not(record_bool(&slot.answer, 3, "hit"));
    cr_assert_not(record_bool(&slot.answer, 4, "hit"));
    cr_assert_not(record_bool(&slot.answer, 5, "hit"));
    cr_assert_str_eq(record_str(&slot.answer, 6, "value"), "after");
    for (int i = 0; test_redis_int(&slot.redis, "EXISTS wp:{cache}:cleared"); i++) {
        cr_assert_lt(i, ROUNDS);
        calls_sweep(&slot.redis, WP_SLOT_CACHE, slot.settings);
    }
    cr_assert_lt(test_redis_int(&slot.redis, "DBSIZE"), 20);
    cr_assert_str_eq(cache_get(&slot, "n7", "k0"), "after");
    cr_assert_eq(cache_stat(&slot, "size"), 1);
}

static void sweep(void) {
    calls_sweep(&slot.redis, WP_SLOT_CACHE, slot.settings);
}

Test(bounded_calls, sweep_of_what_has_expired) {
    for (int round = 0; round < ROUNDS; round++) {
        fill(NAMESPACES, 2, 5);
        cache_advance_time(&slot, 6);
        measure(round, sweep);
    }
    report("sweep, of 2000 entries that expired");
}

static void resize(void) {
    static int id;
    char event_id[24];
    snprintf(event_id, sizeof event_id, "resize-%d", ++id);
    cache_resize(&slot, event_id, 1);
}

Test(bounded_calls, resize_far_down) {
    for (int round = 0; round < ROUNDS; round++) {
        cache_resize(&slot, "", 1000000 + round);
        char id[24];
        snprintf(id, sizeof id, "up-%d", round);
        cache_resize(&slot, id, 1000000);
        fill(10, 300, 300);
        measure(round, resize);
    }
    report("resize from 3000 entries to 1");
}

static char *large;
static void set_large(void) {
    cache_set(&slot, "tool", "large", large, 300);
}
static void get_large(void) {
    cr_assert_not_null(cache_get(&slot, "tool", "large"));
}

Test(bounded_calls, a_large_value_with_answers_in_json) {
    enum { BYTES = 380 * 1024 };
    slot.settings = "{'enabled': true, 'max_entries': 1000, 'max_bytes': 268435456, 'max_value_bytes': "
                    "524288, 'default_ttl': 300, "
                    "'ttl': {}, 'answer_bytes': 1000000, 'answer_json': true}";
    large = wp_alloc(BYTES + 1);
    for (int i = 0; i < BYTES; i++) large[i] = i % 7 ? 'x' : '"';
    large[BYTES] = '\0';
    for (int round = 0; round < ROUNDS; round++) measure(round, set_large);
    cr_assert_str_empty(cache_reason(&slot));
    report("set of 380 KB, answers in JSON");
    for (int round = 0; round < ROUNDS; round++) measure(round, get_large);
    report("get of 380 KB, answers in JSON");
    free(large);
}

static void set_new_namespace(void) {
    static int number;
    char ns[24];
    snprintf(ns, sizeof ns, "new%d", ++number);
    cache_set(&slot, ns, "k", "v", 300);
}

Test(bounded_calls, a_namespace_more_when_there_are_a_thousand) {
    for (int round = 0; round < ROUNDS; round++) {
        fill(NAMESPACES, 1, 300);
        cache_clear(&slot, "");
        measure(round, set_new_namespace);
    }
    report("set, with 1000 empty namespaces to forget");
}
