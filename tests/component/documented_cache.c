/* The documented scenarios of the cache, under their documented names, against a real Redis. */
#include "support/cache_slot.h"
#include "support/limits.h"
#include <criterion/criterion.h>

static struct cache_slot slot;
static void start(void) {
    cache_slot_start(&slot, CACHE_SETTINGS(3));
}
static void stop(void) {
    cache_slot_stop(&slot);
}
TestSuite(documented, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

Test(documented, test_cache_entry_creation) {
    cache_set(&slot, "tool", "calculator", "value", 300);
    double created = cache_entry(&slot, "tool", "calculator", "created");
    cr_assert_gt(created, 1.6e12, "milliseconds since 1970");
    cr_assert_eq(cache_entry(&slot, "tool", "calculator", "expires"), created + 300000);
    cr_assert_eq(cache_entry(&slot, "tool", "calculator", "access_count"), 0);
    cr_assert_eq(cache_entry(&slot, "tool", "calculator", "last_accessed"), created);
    cr_assert_eq(cache_entry(&slot, "tool", "calculator", "bytes"), 15);
}

Test(documented, test_cache_entry_expiration) {
    cache_set(&slot, "tool", "now", "value", 0);
    cr_assert_eq(cache_entry(&slot, "tool", "now", "expires"), -1, "a TTL of 0 is expired at once");
    cache_set(&slot, "tool", "later", "value", 10);
    cr_assert_neq(cache_entry(&slot, "tool", "later", "expires"), -1);
    cache_advance_time(&slot, 10);
    cr_assert_eq(cache_entry(&slot, "tool", "later", "expires"), -1);
}

Test(documented, test_cache_entry_access_tracking) {
    cache_set(&slot, "tool", "calculator", "value", 300);
    cache_advance_time(&slot, 5);
    cache_get(&slot, "tool", "calculator");
    cr_assert_eq(cache_entry(&slot, "tool", "calculator", "access_count"), 1);
    cr_assert_geq(cache_entry(&slot, "tool", "calculator", "last_accessed"),
                  cache_entry(&slot, "tool", "calculator", "created") + 5000);
    cache_advance_time(&slot, 5);
    cache_get(&slot, "tool", "calculator");
    cr_assert_eq(cache_entry(&slot, "tool", "calculator", "access_count"), 2);
    cr_assert_geq(cache_entry(&slot, "tool", "calculator", "last_accessed"),
                  cache_entry(&slot, "tool", "calculator", "created") + 10000);
}

Test(documented, test_cache_set_and_get) {
    cr_assert_not(cache_set(&slot, "tool", "calculator", "add, subtract", NO_TTL));
    cr_assert_str_eq(cache_get(&slot, "tool", "calculator"), "add, subtract");
    cr_assert_eq(record_int(&slot.answer, 0, "ttl_seconds"), 600, "the namespace's TTL");
    cr_assert(cache_set(&slot, "tool", "calculator", "multiply", NO_TTL), "replaced");
    cr_assert_str_eq(cache_get(&slot, "tool", "calculator"), "multiply");
}

Test(documented, test_cache_miss) {
    cache_set(&slot, "pattern", "calculator", "value", NO_TTL);
    cr_assert_null(cache_get(&slot, "tool", "calculator"), "a namespace of its own");
    cr_assert_eq(cache_stat(&slot, "misses"), 1);
    cr_assert_eq(cache_stat(&slot, "hits"), 0);
}

Test(documented, test_cache_expiration) {
    cache_set(&slot, "tool", "calculator", "value", 10);
    cache_advance_time(&slot, 9);
    cr_assert_str_eq(cache_get(&slot, "tool", "calculator"), "value");
    cr_assert_eq(record_int(&slot.answer, 0, "ttl_seconds"), 1, "what is left, rounded up");
    cache_advance_time(&slot, 1);
    cr_assert_null(cache_get(&slot, "tool", "calculator"));
    cr_assert_eq(cache_stat(&slot, "size"), 0);
    cr_assert_eq(cache_stat(&slot, "expired"), 1);
}

Test(documented, test_cache_invalidation) {
    cache_set(&slot, "tool", "a", "1", NO_TTL);
    cache_set(&slot, "tool", "b", "2", NO_TTL);
    cr_assert(cache_invalidate(&slot, "tool", "a"));
    cr_assert_null(cache_get(&slot, "tool", "a"));
    cr_assert_str_eq(cache_get(&slot, "tool", "b"), "2");
    cr_assert_not(cache_invalidate(&slot, "tool", "a"), "it was gone");
}

Test(documented, test_cache_clear) {
    cache_set(&slot, "tool", "a", "1", NO_TTL);
    cache_set(&slot, "tool", "b", "2", NO_TTL);
    cache_set(&slot, "pattern", "c", "3", NO_TTL);
    cr_assert_eq(cache_clear(&slot, "tool"), 2);
    cr_assert_null(cache_get(&slot, "tool", "a"));
    cr_assert_str_eq(cache_get(&slot, "pattern", "c"), "3");
    cr_assert_eq(cache_clear(&slot, ""), 1);
    cr_assert_null(cache_get(&slot, "pattern", "c"));
    cr_assert_eq(cache_stat(&slot, "size"), 0);
    cr_assert_eq(cache_stat(&slot, "hits"), 1, "the statistics survive");
}

Test(documented, test_cache_stats) {
    test_redis_flush(&slot.redis);
    cr_assert_eq(cache_stat(&slot, "max_size"), 0, "nobody has said yet");
    cache_set(&slot, "tool", "a", "1", NO_TTL);
    cr_assert_eq(cache_stat(&slot, "hit_rate_percent"), 0.0);
    cache_get(&slot, "tool", "a");
    cache_get(&slot, "tool", "a");
    cache_get(&slot, "pattern", "a");
    cr_assert_eq(cache_stat(&slot, "size"), 1);
    cr_assert_eq(cache_stat(&slot, "max_size"), 3);
    cr_assert_eq(cache_stat(&slot, "hits"), 2);
    cr_assert_eq(cache_stat(&slot, "misses"), 1);
    cr_assert_eq(cache_stat(&slot, "hit_rate_percent"), 66.67);
    cr_assert_eq(cache_namespace_stat(&slot, "tool", "hit_rate_percent"), 100);
    cr_assert_eq(cache_namespace_stat(&slot, "tool", "size"), 1);
    cr_assert_eq(cache_namespace_stat(&slot, "pattern", "misses"), 1);
    cr_assert_eq(cache_namespace_stat(&slot, "pattern", "hit_rate_percent"), 0);
}

Test(documented, test_cache_eviction_on_max_size) {
    const char *keys[] = {"a", "b", "c", "d", "e"};
    for (int i = 0; i < 5; i++) {
        cache_set(&slot, "tool", keys[i], "value", NO_TTL);
        cr_assert_leq(cache_stat(&slot, "size"), 3);
    }
    cr_assert_eq(cache_stat(&slot, "size"), 3);
    cr_assert_eq(cache_stat(&slot, "evictions"), 2);
    cr_assert_not_null(cache_get(&slot, "tool", "e"));
}

Test(documented, test_cache_lru_eviction) {
    cache_set(&slot, "tool", "a", "1", NO_TTL);
    cache_set(&slot, "tool", "b", "2", NO_TTL);
    cache_set(&slot, "tool", "c", "3", NO_TTL);
    cache_get(&slot, "tool", "a");
    cache_set(&slot, "tool", "d", "4", NO_TTL);
    cr_assert_null(cache_get(&slot, "tool", "b"), "the least recently used");
    cr_assert_not_null(cache_get(&slot, "tool", "a"));
    cr_assert_not_null(cache_get(&slot, "tool", "c"));
    cr_assert_not_null(cache_get(&slot, "tool", "d"));
}
