/* Warnings: what is seen, what is advised, and that nothing is advised from nothing. */
#include "ops/warnings.h"
#include "support/limits.h"
#include "support/ops_parts.h"
#include <criterion/criterion.h>
#include <math.h>
#include <unistd.h>

static struct ops_parts parts;
static struct warnings found;

static void start(void) {
    ops_parts_start(&parts, NULL);
}
static void stop(void) {
    warnings_done(&found);
    ops_parts_stop(&parts);
}
TestSuite(ops_warnings, .init = start, .fini = stop, .timeout = TEST_LIMIT_S);

static void look(void) {
    warnings_find(&found, &parts.config, parts.shared.pool, parts.shared.cache);
}

static const struct warning *warning(const char *code, const char *subject) {
    for (size_t i = 0; i < found.count; i++)
        if (strcmp(found.list[i].code, code) == 0 && strcmp(found.list[i].subject, subject) == 0)
            return &found.list[i];
    return NULL;
}

/* One pool; `more` overrides, as the last of equal names wins. */
static void one_pool(const char *more) {
    char json[1024];
    snprintf(json, sizeof json,
             "{'pool_size': 10, 'total': {'warm_starts': 0, 'cold_starts': 0, 'warm_start_rate_percent': 0},"
             " 'pools': {'react': {'available': 5, 'active': true, 'draining': false, 'pool_size': 10,"
             " 'utilization_percent': 50.0, 'warm_starts': 0, 'cold_starts': 0, 'confidence': 0}}%s}",
             more);
    ops_parts_pool(&parts, json);
}

Test(ops_warnings, nothing_is_advised_from_nothing) {
    look();
    cr_assert_eq(found.count, 0, "nothing is known at all");
    ops_parts_cache(&parts, "{'hits': 0, 'misses': 0, 'hit_rate_percent': 0.0, 'max_size': 1000}");
    one_pool("");
    look();
    cr_assert_eq(found.count, 0, "no lookup, no start, no sample");
}

Test(ops_warnings, the_first_lookups_and_starts_are_no_share_yet) {
    ops_parts_cache(&parts, "{'hits': 0, 'misses': 19, 'hit_rate_percent': 0.0, 'max_size': 1000}");
    ops_parts_pool(
        &parts,
        "{'pool_size': 10, 'total': {'warm_starts': 0, 'cold_starts': 19, 'warm_start_rate_percent': 0.0},"
        " 'pools': {'react': {'available': 1, 'pool_size': 10, 'warm_starts': 0, 'cold_starts': 19,"
        " 'warm_start_rate_percent': 0.0, 'peak_leased': 3}}}");
    look();
    cr_assert_eq(found.count, 0);
}

Test(ops_warnings, a_low_hit_rate_advises_twice_the_cache) {
    ops_parts_cache(&parts,
                    "{'hits': 54, 'misses': 46, 'hit_rate_percent': 54.0, 'max_size': 1000, 'evictions': 9}");
    look();
    const struct warning *low = warning("cache_hit_rate_low", "cache");
    cr_assert(low && found.count == 1);
    cr_assert_str_eq(low->message, "54.00 % of 100 cache lookups were hits; below 80 % is low");
    cr_assert_str_eq(low->advice, "Grow the cache: cache.max_entries from 1000 to 2000.");
    cr_assert(fabs(low->figure - 54) < 1e-9 && fabs(low->target - 90) < 1e-9);
}

Test(ops_warnings, a_low_hit_rate_of_a_cache_with_room_names_the_ttls_too) {
    ops_parts_cache(&parts,
                    "{'hits': 2, 'misses': 18, 'hit_rate_percent': 10.0, 'max_size': 1000, 'evictions': 0}");
    look();
    cr_assert(strstr(warning("cache_hit_rate_low", "cache")->advice, "cache.ttl."));
}

Test(ops_warnings, a_hit_rate_of_80_is_no_warning) {
    ops_parts_cache(&parts, "{'hits': 80, 'misses': 20, 'hit_rate_percent': 80.0, 'max_size': 1000}");
    look();
    cr_assert_eq(found.count, 0);
}

#define TOTAL(warm, cold, rate)                                                                              \
    "'total': {'warm_starts': " #warm ", 'cold_starts': " #cold ", 'warm_start_rate_percent': " #rate "}"

Test(ops_warnings, a_low_warm_rate_advises_the_size_of_the_documented_formula) {
    ops_parts_pool(
        &parts,
        "{'pool_size': 10, " TOTAL(
            160, 40,
            80.0) ", 'pools': {"
                  "'react': {'available': 1, 'active': true, 'pool_size': 10, 'warm_starts': 95, "
                  "'cold_starts': 5,"
                  " 'warm_start_rate_percent': 95.0, 'peak_leased': 16},"
                  "'multi_agent': {'available': 1, 'active': true, 'pool_size': 10, 'warm_starts': 65,"
                  " 'cold_starts': 35, 'warm_start_rate_percent': 65.0, 'peak_leased': 25},"
                  "'unused': {'available': 5, 'pool_size': 10, 'peak_leased': 0}}}");
    look();
    const struct warning *low = warning("warm_start_rate_low", "pools");
    cr_assert(low);
    cr_assert_str_eq(low->message, "80.00 % of 200 starts were warm; the target is 90 %");
    cr_assert_str_eq(low->advice,
                     "Grow the pool: pool.size from 10 to 23 (pool_size = peak_concurrent_agents / "
                     "philosophies + buffer = 41 / 2 + 2 = 23).");
    low = warning("pool_warm_start_rate_low", "multi_agent");
    cr_assert(low);
    cr_assert(strstr(low->advice, "pool.size.multi_agent from 10 to 27 ("), "%s", low->advice);
    cr_assert(strstr(low->advice, "= 25 / 1 + 2 = 27"), "%s", low->advice);
    cr_assert_null(warning("pool_warm_start_rate_low", "react"), "95 %% is above the target");
    cr_assert_eq(found.count, 2);
}

Test(ops_warnings, a_pool_that_is_large_enough_is_to_be_warmed_earlier) {
    ops_parts_pool(
        &parts,
        "{'pool_size': 10, " TOTAL(
            0, 20,
            0.0) ", 'pools': {'react': {'available': 1, 'pool_size': 10,"
                 " 'warm_starts': 0, 'cold_starts': 20, 'warm_start_rate_percent': 0.0, 'peak_leased': 3}}}");
    look();
    const char *advice = warning("warm_start_rate_low", "pools")->advice;
    cr_assert(strstr(advice, "= 3 / 1 + 2 = 5") && strstr(advice, "pool.prewarm"), "%s", advice);
    cr_assert_not(strstr(advice, "Grow"));
}

Test(ops_warnings, an_active_pool_without_an_idle_container) {
    one_pool(", 'pools': {'react': {'available': 0, 'active': true, 'pool_size': 10}}");
    look();
    const struct warning *empty = warning("pool_empty", "react");
    cr_assert(empty && found.count == 1);
    cr_assert(fabs(empty->figure) < 1e-9 && fabs(empty->target - 1) < 1e-9);
    cr_assert(strstr(empty->advice, "\"op\": \"pre_warm\", \"count\": 10}"), "%s", empty->advice);
}

Test(ops_warnings, an_empty_pool_that_nobody_uses_or_that_drains_is_none) {
    one_pool(", 'pools': {'idle': {'available': 0, 'active': false, 'pool_size': 10},"
             " 'drained': {'available': 0, 'active': true, 'draining': true, 'pool_size': 10}}");
    look();
    cr_assert_eq(found.count, 0);
}

Test(ops_warnings, low_confidence_says_how_many_samples_are_missing) {
    one_pool(
        ", 'pools': {'few': {'available': 1, 'confidence': 0.05}, 'none': {'available': 1, 'confidence': 0},"
        " 'enough': {'available': 1, 'confidence': 0.3}}");
    look();
    const struct warning *low = warning("prediction_confidence_low", "few");
    cr_assert(low && found.count == 1);
    cr_assert(strstr(low->message, "rests on 5 samples (confidence 0.05)"), "%s", low->message);
    cr_assert(strstr(low->advice, "from 30 samples on"), "%s", low->advice);
    cr_assert(fabs(low->figure - 0.05) < 1e-9 && fabs(low->target - 0.3) < 1e-9);
}

Test(ops_warnings, what_is_switched_off_is_not_complained_of) {
    const char *pools =
        ", 'pools': {'react': {'available': 0, 'active': true, 'warm_starts': 0, 'cold_starts': 20,"
        " 'warm_start_rate_percent': 0.0, 'peak_leased': 3, 'pool_size': 10}}, " TOTAL(0, 20, 0.0);
    ops_parts_cache(&parts, "{'hits': 0, 'misses': 20, 'hit_rate_percent': 0.0, 'max_size': 1000}");
    one_pool(pools);
    look();
    cr_assert_eq(found.count, 4);
    ops_parts_set(&parts, "cache.enabled", "false");
    look();
    cr_assert_eq(found.count, 3, "every get is a miss without a cache");
    ops_parts_set(&parts, "pool.warm_start", "false");
    look();
    cr_assert_eq(found.count, 0, "every start is cold then");
}

Test(ops_warnings, without_tuning_no_size_is_advised) {
    ops_parts_set(&parts, "tuning.mode", "off");
    ops_parts_cache(&parts, "{'hits': 0, 'misses': 9, 'hit_rate_percent': 0.0, 'max_size': 1000}");
    one_pool(", " TOTAL(0, 9, 0.0) ", 'pools': {'react': {'available': 0, 'active': true, 'warm_starts': 0,"
                                   " 'cold_starts': 9, 'warm_start_rate_percent': 0.0, 'pool_size': 10}}");
    look();
    cr_assert_eq(found.count, 1);
    cr_assert(warning("pool_empty", "react"), "that is a fault of now, not of the size");
}

/* What is written to stderr while the change is logged. */
static char *logged(const struct warnings *before, const struct warnings *now) {
    static char text[4096];
    int ends[2], saved = dup(STDERR_FILENO);
    cr_assert_eq(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    warnings_log(before, now);
    dup2(saved, STDERR_FILENO);
    close(ends[1]);
    close(saved);
    ssize_t got = read(ends[0], text, sizeof text - 1);
    text[got > 0 ? got : 0] = '\0';
    close(ends[0]);
    return text;
}

Test(ops_warnings, what_the_worker_waits_for_is_said_with_its_reason) {
    parts.stats.kafka.ready = parts.stats.state.ready = true;
    snprintf(parts.stats.redis.reason, sizeof parts.stats.redis.reason, "Connection refused");
    look();
    warnings_find_not_ready(&found, &parts.stats);
    const struct warning *away = warning("redis_not_ready", "worker");
    cr_assert(away && found.count == 1);
    cr_assert_str_eq(away->message, "Connection refused");
    cr_assert(strstr(away->advice, "warmpool check"));
    cr_assert(fabs(away->figure) < 1e-9 && fabs(away->target - 1) < 1e-9);
    parts.stats.redis.ready = true;
    parts.stats.kafka.ready = parts.stats.state.ready = false;
    look();
    warnings_find_not_ready(&found, &parts.stats);
    cr_assert(warning("kafka_not_ready", "worker") && warning("state_not_ready", "worker"));
    cr_assert_eq(found.count, 2);
    cr_assert_str_eq(found.list[0].message, "It was not reached yet");
}

Test(ops_warnings, a_registry_that_is_away_is_a_warning_with_the_partitions_that_wait) {
    parts.stats.kafka.ready = parts.stats.redis.ready = parts.stats.state.ready = true;
    warnings_find_not_ready(&found, &parts.stats);
    cr_assert_null(warning("registry_away", "worker"));
    snprintf(parts.stats.registry_away, sizeof parts.stats.registry_away, "the schema registry is silent");
    parts.stats.registry_waiting = 3;
    warnings_find_not_ready(&found, &parts.stats);
    const struct warning *away = warning("registry_away", "worker");
    cr_assert(away);
    cr_assert_str_eq(away->message, "the schema registry is silent");
    cr_assert_eq(away->figure, 3);
    cr_assert(strstr(away->advice, "wire.registry."));
}

Test(ops_warnings, of_two_clocks_names_both_and_which_one_is_ahead) {
    look();
    warnings_find_differences(&found, &parts.stats);
    cr_assert_eq(found.count, 0, "nothing is known");
    wp_append_clock_measured(&parts.stats.append_clock, 50000, 0, 0);
    wp_append_clock_measured(&parts.stats.redis_clock, 5000, 0, 0);
    warnings_find_differences(&found, &parts.stats);
    const struct warning *differ = warning("clocks_differ", "worker");
    cr_assert(differ && fabs(differ->figure - 45) < 0.01);
    cr_assert(strstr(differ->message, "Kafka") && strstr(differ->message, "45.0 s ahead of Redis"));
    look();
    wp_append_clock_measured(&parts.stats.redis_clock, 49500, 0, 0);
    warnings_find_differences(&found, &parts.stats);
    cr_assert_eq(found.count, 0, "half a second is nothing to speak of");
    parts.stats.append_clock = (struct wp_append_clock){0};
    wp_append_clock_measured(&parts.stats.append_clock, 50000, 0, 9000000);
    warnings_find_differences(&found, &parts.stats);
    cr_assert_eq(found.count, 0, "a report that took nine seconds says nothing of a clock");
}

Test(ops_warnings, each_missing_image_is_named_with_what_to_do_as_far_as_there_is_room) {
    struct wp_stats *stats = &parts.stats;
    stats->kafka.ready = stats->redis.ready = stats->state.ready = true;
    for (int i = 0; i < WP_STATS_IMAGES; i++) {
        snprintf(stats->images_missing[i].subject, sizeof stats->images_missing[i].subject, "p%d", i);
        snprintf(stats->images_missing[i].why, sizeof stats->images_missing[i].why,
                 "host h1: the image a/b:%d is not there", i);
        snprintf(stats->images_missing[i].mend, sizeof stats->images_missing[i].mend, "set docker.pull");
    }
    stats->images_missing_count = WP_STATS_IMAGES + 3;
    warnings_find_not_ready(&found, stats);
    cr_assert_eq(found.count, WP_STATS_IMAGES);
    cr_expect_str_eq(found.list[1].code, "image_missing");
    cr_expect_str_eq(found.list[1].subject, "p1");
    cr_expect_str_eq(found.list[1].message, "host h1: the image a/b:1 is not there");
    cr_expect_str_eq(found.list[1].advice, "Set docker.pull.");
    cr_expect_eq(found.list[1].figure, WP_STATS_IMAGES + 3);
}

/* Figures that every warning has something to say of. */
Test(ops_warnings, each_is_explained_in_the_documentation) {
    char text[65536] = "", name[80];
    FILE *file = fopen(SOURCE_DIR "/docs/metrics.md", "re");
    cr_assert(file && fread(text, 1, sizeof text - 1, file) > 0);
    (void)fclose(file);
    ops_parts_cache(&parts, "{'hits': 2, 'misses': 18, 'hit_rate_percent': 10.0, 'max_size': 1000}");
    ops_parts_pool(&parts, "{'pool_size': 10, 'total': {'warm_starts': 2, 'cold_starts': 18,"
                           " 'warm_start_rate_percent': 10.0}, 'pools': {'react': {'available': 0,"
                           " 'active': true, 'pool_size': 10, 'warm_starts': 2, 'cold_starts': 18,"
                           " 'warm_start_rate_percent': 10.0, 'peak_leased': 5, 'confidence': 0.1}}}");
    look();
    snprintf(parts.stats.host_not_ready, sizeof parts.stats.host_not_ready, "its engine does not answer");
    parts.stats.images_missing_count = 1;
    warnings_find_not_ready(&found, &parts.stats);
    wp_append_clock_measured(&parts.stats.append_clock, 50000, 0, 0);
    wp_append_clock_measured(&parts.stats.redis_clock, 5000, 0, 0);
    parts.stats.settings_differ = 1;
    warnings_find_differences(&found, &parts.stats);
    cr_assert_eq(found.count, 12);
    for (size_t i = 0; i < found.count; i++) {
        snprintf(name, sizeof name, "`%s`", found.list[i].code);
        cr_expect(strstr(text, name), "docs/metrics.md lacks %s", name);
    }
}

Test(ops_warnings, are_logged_when_they_come_and_when_they_go_only) {
    struct warnings none = {0};
    one_pool(", 'pools': {'react': {'available': 0, 'active': true, 'pool_size': 10}}");
    look();
    cr_assert(
        strstr(logged(&none, &found), "level=warn event=warning_raised code=pool_empty subject=react "));
    cr_assert_str_eq(logged(&found, &found), "");
    cr_assert(strstr(logged(&found, &none), "level=info event=warning_over code=pool_empty subject=react\n"));
}
