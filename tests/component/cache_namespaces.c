/* Namespaces with limits of their own: what is over goes within the namespace. */
#include "support/cache_slot.h"
#include "support/limits.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static struct cache_slot slot;

#define LIMITS(entries, bytes)                                                                               \
    "{'enabled': true, 'max_entries': 2000, 'max_bytes': 1000000, 'max_value_bytes': 1000, "                 \
    "'default_ttl': 300, 'ttl': {}, 'max_entries_of': " entries ", 'max_bytes_of': " bytes "}"

static void start(void) {
    cache_slot_start(&slot, LIMITS("{'tool': 3}", "{}"));
}
static void stop(void) {
    cache_slot_stop(&slot);
}
TestSuite(cache_namespaces, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

static bool has(const char *ns, const char *key) {
    return cache_entry(&slot, ns, key, "created") > 0;
}

Test(cache_namespaces, what_is_over_goes_within_the_namespace) {
    cache_set(&slot, "other", "oldest", "0", NO_TTL);
    cache_set(&slot, "tool", "a", "1", NO_TTL);
    cache_set(&slot, "tool", "b", "2", NO_TTL);
    cache_set(&slot, "tool", "c", "3", NO_TTL);
    cr_assert_str_eq(cache_get(&slot, "tool", "a"), "1");
    cache_set(&slot, "tool", "d", "4", NO_TTL);
    cr_assert(has("other", "oldest"), "it is of another namespace");
    cr_assert_not(has("tool", "b"), "the least recently used one");
    cr_assert(has("tool", "a") && has("tool", "c") && has("tool", "d"));
    cr_assert_eq(cache_stat(&slot, "evictions"), 1);
    cr_assert_eq(cache_namespace_stat(&slot, "tool", "size"), 3);
    cr_assert_eq(cache_namespace_stat(&slot, "tool", "max_size"), 3);
}

Test(cache_namespaces, expired_entries_of_the_namespace_go_first) {
    cache_set(&slot, "tool", "oldest", "1", 300);
    cache_set(&slot, "tool", "brief", "2", 5);
    cache_set(&slot, "tool", "newest", "3", 300);
    cache_advance_time(&slot, 6);
    cache_set(&slot, "tool", "next", "4", 300);
    cr_assert(has("tool", "oldest") && has("tool", "newest") && has("tool", "next"));
    cr_assert_eq(cache_stat(&slot, "evictions"), 0);
}

Test(cache_namespaces, one_call_with_more_sets_than_the_limit_keeps_the_last) {
    struct test_events events = {0};
    for (int i = 0; i < 50; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        cache_add(&slot, &events, "set", "tool", key, "v", NO_TTL, 0);
    }
    cache_send(&slot, &events);
    cr_assert_eq(cache_namespace_stat(&slot, "tool", "size"), 3);
    cr_assert(has("tool", "k47") && has("tool", "k48") && has("tool", "k49"));
}

Test(cache_namespaces, keys_and_values_count_for_the_limit_in_bytes) {
    slot.settings = LIMITS("{}", "{'tool': 20}");
    cache_set(&slot, "tool", "a", "123456789", NO_TTL);
    cache_set(&slot, "tool", "b", "123456789", NO_TTL);
    cr_assert_eq(cache_namespace_stat(&slot, "tool", "bytes"), 20);
    cr_assert_eq(cache_namespace_stat(&slot, "tool", "max_bytes"), 20);
    cache_set(&slot, "tool", "c", "1", NO_TTL);
    cr_assert_not(has("tool", "a"));
    cr_assert(has("tool", "b") && has("tool", "c"));
    cache_set(&slot, "tool", "d", "12345678901234567890", NO_TTL);
    cr_assert_not(has("tool", "d"), "it is larger than all that the namespace may have");
    cr_assert(has("tool", "b"), "and nothing went for it");
    cache_set(&slot, "other", "d", "12345678901234567890", NO_TTL);
    cr_assert(has("other", "d"));
}

Test(cache_namespaces, overwriting_a_key_of_a_full_namespace_evicts_nobody) {
    cache_set(&slot, "tool", "a", "1", NO_TTL);
    cache_set(&slot, "tool", "b", "2", NO_TTL);
    cache_set(&slot, "tool", "c", "3", NO_TTL);
    cr_assert(cache_set(&slot, "tool", "a", "a longer value", NO_TTL));
    cr_assert_eq(cache_namespace_stat(&slot, "tool", "size"), 3);
    cr_assert_eq(cache_stat(&slot, "evictions"), 0);
}

/* No call removes more than its budget: the first ones and the sweeps do the rest. */
Test(cache_namespaces, a_lowered_limit_is_reached_in_steps) {
    slot.settings = LIMITS("{}", "{}");
    for (int i = 0; i < 1600;) {
        struct test_events events = {0};
        for (int j = 0; j < 400; j++, i++) {
            char key[16];
            snprintf(key, sizeof key, "k%d", i);
            cache_add(&slot, &events, "set", "tool", key, "v", NO_TTL, 0);
        }
        cache_send(&slot, &events);
    }
    cache_set(&slot, "other", "oldest", "1", NO_TTL);
    slot.settings = LIMITS("{'tool': 100}", "{}");
    cache_set(&slot, "tool", "next", "v", NO_TTL);
    double size = cache_namespace_stat(&slot, "tool", "size");
    cr_assert(size >= 1100 && size < 1600, "one call left %g", size);
    for (int i = 0; i < 3; i++) calls_sweep(&slot.redis, WP_SLOT_CACHE, slot.settings);
    cr_assert_eq(cache_namespace_stat(&slot, "tool", "size"), 100);
    cr_assert(has("tool", "next") && has("other", "oldest"));
}

Test(cache_namespaces, a_namespace_whose_keys_somebody_deleted_is_full_no_longer) {
    cache_set(&slot, "tool", "a", "1", NO_TTL);
    cache_set(&slot, "tool", "b", "2", NO_TTL);
    cache_set(&slot, "tool", "c", "3", NO_TTL);
    cache_set(&slot, "other", "k", "1", NO_TTL);
    freeReplyObject(
        test_redis_command(&slot.redis, "DEL wp:{cache}:m:tool wp:{cache}:lru:tool wp:{cache}:exp:tool"));
    cache_set(&slot, "tool", "d", "4", NO_TTL);
    cr_assert(has("tool", "d") && has("other", "k"));
    cr_assert_eq(cache_namespace_stat(&slot, "tool", "size"), 1);
}
