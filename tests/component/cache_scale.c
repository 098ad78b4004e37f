/* What an event costs does not depend on how much the cache holds: counted in Redis' own figures. */
#include "support/cache_slot.h"
#include "support/limits.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __SANITIZE_ADDRESS__
#define LARGE 20000 /* a sanitizer needs minutes for more, and looks for other faults */
#else
#define LARGE 100000
#endif
#define BATCH 500

static struct cache_slot slot;
static void start(void) {
    cache_slot_start(&slot, CACHE_SETTINGS(100000));
    freeReplyObject(
        test_redis_command(&slot.redis, "CONFIG SET appendfsync no auto-aof-rewrite-percentage 0"));
}
static void stop(void) {
    cache_slot_stop(&slot);
}
TestSuite(cache_scale, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

static const char *const spaces[] = {"tool", "pattern", "own", "other"};

static void fill(int from, int to, int ttl) {
    while (from < to) {
        struct test_events events = {0};
        for (int i = 0; i < BATCH && from < to; i++, from++) {
            char key[24];
            snprintf(key, sizeof key, "key-%d", from);
            cache_add(&slot, &events, "set", spaces[from % 4], key, "a value of some thirty bytes ...", ttl,
                      0);
        }
        cache_send(&slot, &events);
    }
}

struct cost {
    long long commands, us;
};

/* The number in `name=123` of the command's line. */
static long long figure(const char *stats, const char *command, const char *name) {
    const char *at = strstr(stats, command);
    at = at ? strstr(at, name) : NULL;
    return at ? strtoll(at + strlen(name), NULL, 10) : 0;
}

static struct cost measure(struct test_events *events) {
    freeReplyObject(test_redis_command(&slot.redis, "CONFIG RESETSTAT"));
    cache_send(&slot, events);
    redisReply *reply = test_redis_command(&slot.redis, "INFO commandstats");
    struct cost cost = {.us = figure(reply->str, "cmdstat_fcall:", "usec=")};
    for (const char *at = reply->str; (at = strstr(at, ":calls=")); at++)
        cost.commands += strtoll(at + 7, NULL, 10);
    freeReplyObject(reply);
    return cost;
}

/* A full cache: half the batch are reads all over it, half are new keys that each evict one. */
static struct cost measure_mixed(int held, int version) {
    struct test_events events = {0};
    for (int i = 0; i < BATCH / 2; i++) {
        char key[24];
        int which = held - 1 - (i * 37) % (held / 2);
        snprintf(key, sizeof key, "key-%d", which);
        cache_add(&slot, &events, "get", spaces[which % 4], key, NULL, NO_TTL, 0);
        snprintf(key, sizeof key, "new-%d-%d", version, i);
        cache_add(&slot, &events, "set", spaces[i % 4], key, "a value of some thirty bytes ...", NO_TTL, 0);
    }
    struct cost cost = measure(&events);
    cr_assert_eq(record_kind(&slot.answer, 0), 3);
    cr_assert_eq(cache_stat(&slot, "size"), held);
    return cost;
}

static struct cost best_of_three(int held) {
    struct cost best = {0};
    for (int i = 0; i < 3; i++) {
        struct cost cost = measure_mixed(held, i);
        if (i == 0 || cost.us < best.us) best = cost;
    }
    return best;
}

Test(cache_scale, an_event_costs_the_same_in_a_hundred_times_the_cache) {
    cache_resize(&slot, "small", 1000);
    fill(0, 1000, NO_TTL);
    struct cost small = best_of_three(1000);
    cache_clear(&slot, "");
    cache_resize(&slot, "large", LARGE);
    fill(0, LARGE, NO_TTL);
    struct cost large = best_of_three(LARGE);
    cr_log_info("a batch of %d: %lld commands, %lld us with 1000 entries; %lld commands, %lld us with %d",
                BATCH, small.commands, small.us, large.commands, large.us, LARGE);
    cr_assert_leq(large.commands, small.commands + 10);
    cr_assert_leq(large.commands, BATCH / 2, "less than a command for two events");
    long long bytes = test_redis_int(&slot.redis, "MEMORY USAGE wp:{cache}:v:tool SAMPLES 0") +
                      test_redis_int(&slot.redis, "MEMORY USAGE wp:{cache}:m:tool SAMPLES 0") +
                      test_redis_int(&slot.redis, "MEMORY USAGE wp:{cache}:lru:tool SAMPLES 0") +
                      test_redis_int(&slot.redis, "MEMORY USAGE wp:{cache}:exp:tool SAMPLES 0");
    cr_log_info("%lld bytes an entry", bytes / (LARGE / 4));
    cr_assert_leq(bytes / (LARGE / 4), 600, "what redis.conf says of maxmemory");
}

Test(cache_scale, clearing_everything_takes_a_few_commands) {
    fill(0, LARGE, NO_TTL);
    struct test_events events = {0};
    cache_add(&slot, &events, "clear", "", "", NULL, NO_TTL, 0);
    struct cost cost = measure(&events);
    cr_assert_eq(record_int(&slot.answer, 0, "count"), LARGE);
    cr_log_info("clearing %d entries: %lld commands, %lld us", LARGE, cost.commands, cost.us);
    cr_assert_leq(cost.commands, 60);
    cr_assert_eq(cache_stat(&slot, "size"), 0);
}

Test(cache_scale, a_get_among_a_hundred_thousand_expired_entries_does_a_bounded_step) {
    fill(0, LARGE, 1000); /* none expires while it is filled */
    cache_advance_time(&slot, 1001);
    struct test_events events = {0};
    cache_add(&slot, &events, "get", "tool", "key-0", NULL, NO_TTL, 0);
    struct cost cost = measure(&events);
    cr_assert_not(record_bool(&slot.answer, 0, "hit"));
    cr_assert_leq(cost.commands, 80);
    cr_assert_geq(cache_stat(&slot, "size"), LARGE - 21);
}
