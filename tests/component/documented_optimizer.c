/* The documented scenarios of the memory optimizer's loop, under their documented names, against a real
 * Redis.
 */
#include "ops/optimizer.h"
#include "support/cache_slot.h"
#include "support/limits.h"
#include "support/ops_parts.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#define ENTRIES 1500 /* more than one sweep removes */

static struct cache_slot slot;
static struct ops_parts parts;
static struct optimizer *optimizer;

static void start(void) {
    cache_slot_start(&slot, CACHE_SETTINGS(10000));
    ops_parts_start(&parts, &slot.redis);
    ops_parts_set(&parts, "memory.interval", "1");
    optimizer = optimizer_new(&parts.base);
}
static void stop(void) {
    optimizer_free(optimizer);
    ops_parts_stop(&parts);
    cache_slot_stop(&slot);
}
TestSuite(documented, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

/* Entries whose time is over, which nothing else has removed yet. */
static void leave_expired(int count) {
    struct test_events events = {0};
    char key[16];
    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof key, "key-%d", i);
        cache_add(&slot, &events, "set", "tool", key, "value", 10, 0);
    }
    cache_send(&slot, &events);
    cache_advance_time(&slot, 11);
}

/* Heap that is free, below a block in use, so that only trimming gives it back. */
static void *fragment_the_heap(void) {
    enum { BLOCKS = 100000, BYTES = 256 };
    void **blocks = wp_calloc(BLOCKS, sizeof *blocks);
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = wp_alloc(BYTES);
        memset(blocks[i], 1, BYTES);
    }
    void *above = wp_alloc(100000); /* too large for a hole further down */
    for (int i = 0; i < BLOCKS; i++) free(blocks[i]);
    free(blocks);
    return above;
}

Test(documented, test_optimizer_memory_optimization) {
    const struct optimizer_result *result = optimizer_result(optimizer);
    leave_expired(ENTRIES);
    void *above = fragment_the_heap();
    optimizer_start(optimizer);
    OPS_WAIT(&parts, parts.stats.optimizer_rounds == 1);
    free(above);
    cr_assert(result->enabled);
    cr_assert_eq(result->objects_collected, ENTRIES, "%lld", (long long)result->objects_collected);
    cr_assert_eq(cache_stat(&slot, "expired"), ENTRIES);
    cr_assert(result->memory_before_mb > 1 && result->memory_after_mb > 1);
    cr_assert_eq(parts.stats.optimizer_failures, 0);
#ifndef __SANITIZE_ADDRESS__ /* it has a heap of its own */
    cr_assert(result->memory_released_mb > 20, "%.2f MiB", result->memory_released_mb);
#endif
    cr_assert(fabs(result->memory_before_mb - result->memory_after_mb - result->memory_released_mb) < 0.001 ||
              result->memory_after_mb > result->memory_before_mb);
    double rounded = round(result->memory_before_mb * 100) / 100;
    cr_assert(fabs(result->memory_before_mb - rounded) < 1e-9, "two places");
    cr_assert(fabs(parts.stats.memory_released_mb - result->memory_released_mb) < 1e-9,
              "the sum of one round");
}

Test(documented, test_optimizer_memory_optimization_disabled) {
    ops_parts_set(&parts, "memory.enabled", "false");
    optimizer_free(optimizer);
    optimizer = optimizer_new(&parts.base);
    leave_expired(5);
    optimizer_start(optimizer);
    cr_assert_not(optimizer_running(optimizer));
    uint64_t end = uv_now(&parts.loop) + 1500;
    while (uv_now(&parts.loop) < end) loop_turn(&parts.loop); /* longer than an interval */
    const struct optimizer_result *result = optimizer_result(optimizer);
    cr_assert_not(result->enabled);
    cr_assert_eq(result->objects_collected, 0);
    cr_assert(fabs(result->memory_before_mb) + fabs(result->memory_after_mb) +
                  fabs(result->memory_released_mb) <
              1e-9);
    cr_assert_eq(parts.stats.optimizer_rounds, 0);
    cr_assert_eq(cache_stat(&slot, "expired"), 0, "nothing was swept");
}

Test(documented, test_optimizer_start_stop) {
    cr_assert_not(optimizer_running(optimizer));
    optimizer_start(optimizer);
    optimizer_start(optimizer);
    cr_assert(optimizer_running(optimizer));
    OPS_WAIT(&parts, parts.stats.optimizer_rounds == 1);
    optimizer_stop(optimizer);
    optimizer_stop(optimizer);
    cr_assert_not(optimizer_running(optimizer));
    uint64_t end = uv_now(&parts.loop) + 1500;
    while (uv_now(&parts.loop) < end) loop_turn(&parts.loop);
    cr_assert_eq(parts.stats.optimizer_rounds, 1, "a stopped loop has no rounds");
    optimizer_start(optimizer);
    OPS_WAIT(&parts, parts.stats.optimizer_rounds == 2);
}

/* Redis dies and comes back: the rounds between fail, none ends the loop. */
Test(documented, test_optimizer_background_loop) {
    optimizer_start(optimizer);
    OPS_WAIT(&parts, parts.stats.optimizer_rounds == 1);
    cr_assert_eq(parts.stats.optimizer_failures, 0);
    test_redis_kill(&slot.redis);
    OPS_WAIT(&parts, parts.stats.optimizer_failures == 1);
    test_redis_run_again(&slot.redis);
    leave_expired(5);
    const struct optimizer_result *result = optimizer_result(optimizer);
    OPS_WAIT(&parts, result->objects_collected == 5);
    cr_assert_eq(cache_stat(&slot, "expired"), 5);
    uint64_t failures = parts.stats.optimizer_failures, rounds = parts.stats.optimizer_rounds;
    OPS_WAIT(&parts, parts.stats.optimizer_rounds == rounds + 1);
    cr_assert_eq(parts.stats.optimizer_failures, failures, "and it fails no more");
    cr_assert(optimizer_running(optimizer));
}
