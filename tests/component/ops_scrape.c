/* Scraping a worker's ops whose next metrics record is far: the page shows what Redis says. */
#include "ops/http.h"
#include "ops/shared.h"
#include "support/cache_slot.h"
#include "support/limits.h"
#include "support/ops_parts.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/socket.h>

static struct cache_slot slot;
static struct ops_parts parts;

static void start(void) {
    cache_slot_start(&slot, CACHE_SETTINGS(1000));
    ops_parts_start(&parts, &slot.redis);
    parts.reader = shared_reader_new(&parts.base, &parts.shared);
    cr_assert_eq(http_new(&parts.http, ops_parts_snapshot(&parts), parts.reader, NULL), WP_OK);
}
static void stop(void) {
    http_free(parts.http);
    shared_reader_free(parts.reader);
    ops_parts_stop(&parts);
    cache_slot_stop(&slot);
}
TestSuite(ops_scrape, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

static bool shows(const char *line) {
    char *answer = ops_http(&parts, AF_INET, http_port(parts.http), "GET", "/metrics");
    bool found = strstr(answer, line);
    free(answer);
    return found;
}

Test(ops_scrape, follows_what_redis_says) {
    cache_set(&slot, "tool", "a", "value", NO_TTL);
    OPS_WAIT(&parts, shows("\nwarmpool_cache_entries 1\n"));
    cache_set(&slot, "tool", "b", "value", NO_TTL);
    OPS_WAIT(&parts, shows("\nwarmpool_cache_entries 2\n"));
    cr_assert_not(shows("\nwarmpool_shared_timestamp_seconds 0\n"));
}

Test(ops_scrape, asks_redis_once_a_second_at_most) {
    uint64_t before = uv_hrtime(), calls = parts.stats.redis_calls;
    shows("");
    OPS_WAIT(&parts, parts.stats.redis_calls >= calls + 2); /* both slots have answered */
    for (int i = 0; i < 50; i++) shows("");
    uint64_t seconds = (uv_hrtime() - before) / 1000000000u;
    calls = parts.stats.redis_calls - calls;
    /* Beside the two answers each link keeps its slot's time, once a second. */
    cr_assert(calls <= 4 * (seconds + 1), "%d calls in %d s", (int)calls, (int)seconds);
}

Test(ops_scrape, shows_what_was_known_when_redis_is_away) {
    cache_set(&slot, "tool", "a", "value", NO_TTL);
    OPS_WAIT(&parts, shows("\nwarmpool_cache_entries 1\n"));
    test_redis_kill(&slot.redis);
    OPS_WAIT(&parts, !wp_link_ready(parts.base.links[WP_SLOT_CACHE]));
    uint64_t end = uv_hrtime() + 1200000000u; /* until it is asked again */
    while (uv_hrtime() < end) loop_turn(&parts.loop);
    cr_assert(shows("\nwarmpool_cache_entries 1\n"));
    cr_assert(shows("\nwarmpool_cache_entries 1\n"));
}

static int rounds;
static void on_done(void *ctx) {
    cr_assert_eq(ctx, &rounds);
    rounds++;
}

Test(ops_scrape, a_round_joins_the_reading_under_way) {
    shared_read_if_old(parts.reader);
    uint64_t calls = parts.stats.redis_calls;
    shared_read(parts.reader, on_done, &rounds);
    shared_read(parts.reader, on_done, &rounds);
    OPS_WAIT(&parts, rounds == 1);
    cr_assert(parts.stats.redis_calls - calls <= 2);
    cr_assert_not_null(parts.shared.pool);
    cr_assert_not_null(parts.shared.cache);
}

Test(ops_scrape, nothing_is_called_after_the_end) {
    shared_read(parts.reader, on_done, &rounds);
    shared_reader_free(parts.reader);
    parts.reader = NULL;
    uint64_t end = uv_hrtime() + 200000000u;
    while (uv_hrtime() < end) loop_turn(&parts.loop);
    cr_assert_eq(rounds, 0);
    cr_assert_null(parts.shared.pool);
}
