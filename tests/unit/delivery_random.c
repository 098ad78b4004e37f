/* The delivery core alone, against the rules: random schedules of all that can happen, a million steps; one
 * that breaks a rule is shrunk and printed. DELIVERY_SEED chooses the schedules. */
#include "support/delivery_world.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 500, RUNS = 2000 };

static uint64_t state;
static uint16_t draw(void) { /* xorshift64*, Vigna 2016 */
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint16_t)((state * 2685821657736338717ULL) >> 48);
}

/* Leaves out what is not needed for a rule to be broken: halves first, single steps last. */
static size_t shrink(uint16_t *schedule, size_t count) {
    uint16_t *tried = malloc(count * sizeof *tried);
    char text[256];
    size_t step;
    for (size_t cut = count / 2; cut > 0; cut /= 2) {
        for (size_t from = 0; from + cut <= count;) {
            memcpy(tried, schedule, from * sizeof *tried);
            memcpy(tried + from, schedule + from + cut, (count - from - cut) * sizeof *tried);
            if (delivery_world_play(tried, count - cut, &step, text)) {
                count -= cut;
                memcpy(schedule, tried, count * sizeof *tried);
            } else {
                from += cut;
            }
        }
    }
    free(tried);
    return count;
}

static void print(const uint16_t *schedule, size_t count) {
    char words[64];
    for (size_t i = 0; i < count; i++) {
        delivery_world_describe(schedule[i], words);
        cr_log_error("  %2zu  %s", i + 1, words);
    }
}

Test(delivery, keeps_its_rules_in_a_million_random_steps) {
    const char *seed = getenv("DELIVERY_SEED");
    state = seed ? strtoull(seed, NULL, 10) : 20231107;
    cr_assert(state, "DELIVERY_SEED is a number that is not 0");
    for (int run = 0; run < RUNS; run++) {
        uint16_t schedule[STEPS];
        char text[256];
        size_t step;
        for (int i = 0; i < STEPS; i++) schedule[i] = draw();
        if (!delivery_world_play(schedule, STEPS, &step, text)) continue;
        size_t count = shrink(schedule, STEPS);
        (void)delivery_world_play(schedule, count, &step, text);
        print(schedule, count);
        cr_assert_fail("run %d: %s", run, text);
    }
}
