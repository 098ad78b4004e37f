/* What a reload finds changed, and what of it is taken over. */
#include "core/config_changes.h"
#include "core/config_table.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct wp_config before, after;
static struct wp_config_changes changes;

static void setup(void) {
    wp_config_init(&before);
    wp_config_init(&after);
}
static void teardown(void) {
    wp_config_done(&before);
    wp_config_done(&after);
    wp_config_changes_done(&changes);
}
TestSuite(config_changes, .init = setup, .fini = teardown);

static void set(struct wp_config *config, const char *key, const char *value) {
    struct wp_error error;
    cr_assert_eq(wp_config_set(config, key, value, &error), WP_OK, "%s", error.text);
}

static void expect(size_t i, const char *key, const char *old, const char *new, enum wp_applies applies) {
    cr_assert_lt(i, changes.count);
    const struct wp_config_change *change = &changes.list[i];
    cr_expect_str_eq(change->key, key);
    cr_expect_str_eq(change->before ? change->before : "-", old);
    cr_expect_str_eq(change->after ? change->after : "-", new);
    cr_expect_eq(change->applies, applies, "%s", key);
}

Test(config_changes, the_same_configuration_has_none) {
    struct wp_config copy;
    set(&before, "pool.size.react", "3");
    set(&before, "pool.prewarm", "react:2,planner:1");
    set(&before, "predictor.buffer", "1.75");
    set(&before, "wire.read", "json,avro");
    wp_config_copy(&copy, &before);
    wp_config_compare(&before, &copy, &changes);
    cr_assert_eq(changes.count, 0);
    set(&copy, "pool.size.react", "4");
    cr_assert_str_eq(wp_settings_get(&before.pool.sizes, "react"), "3", "a copy has texts of its own");
    wp_config_done(&copy);
}

Test(config_changes, each_is_named_with_both_values_and_when_it_applies) {
    set(&before, "pool.size.gone", "3");
    set(&before, "pool.size.react", "3");
    set(&after, "pool.size.react", "4");
    set(&after, "pool.size.new", "5");
    set(&after, "topics.partitions", "9");
    set(&after, "docker.image", "other:1");
    set(&after, "cache.enabled", "false");
    set(&after, "tuning.mode", "apply");
    wp_config_compare(&before, &after, &changes);
    cr_assert_eq(changes.count, 7);
    cr_assert_eq(changes.waiting, 1);
    expect(0, "topics.partitions", "6", "9", WP_APPLIES_AT_RESTART);
    expect(1, "pool.size.gone", "3", "-", WP_APPLIES_AT_ONCE);
    expect(2, "pool.size.react", "3", "4", WP_APPLIES_AT_ONCE);
    expect(3, "pool.size.new", "-", "5", WP_APPLIES_AT_ONCE);
    expect(4, "cache.enabled", "true", "false", WP_APPLIES_AT_ONCE);
    expect(5, "tuning.mode", "advise", "apply", WP_APPLIES_AT_ONCE);
    expect(6, "docker.image", "debian:trixie-slim", "other:1", WP_APPLIES_TO_NEW);
}

Test(config_changes, a_secret_that_has_changed_is_a_change_without_it) {
    set(&before, "kafka.sasl.password", "one");
    set(&after, "kafka.sasl.password", "two");
    set(&before, "redis.url", "redis://u:one@h");
    set(&after, "redis.url", "redis://u:two@h");
    set(&after, "docker.environment", "A=one,B=two");
    wp_config_compare(&before, &after, &changes);
    cr_assert_eq(changes.count, 3);
    expect(0, "kafka.sasl.password", "***", "***", WP_APPLIES_AT_RESTART);
    expect(1, "redis.url", "redis://u:***@h", "redis://u:***@h", WP_APPLIES_AT_RESTART);
    expect(2, "docker.environment", "", "A=***,B=***", WP_APPLIES_TO_NEW);
}

Test(config_changes, an_exchange_leaves_what_waits_for_a_restart) {
    set(&after, "topics.partitions", "9");
    set(&after, "redis.prefix", "other");
    set(&after, "kafka.client.id", "c");
    set(&after, "pool.size", "7");
    set(&after, "pool.reset", "true");
    set(&after, "pool.clean", "false");
    set(&after, "cache.ttl.mine", "5");
    wp_config_exchange(&before, &after);
    cr_expect_eq(before.topics.partitions, 6);
    cr_expect_str_eq(before.redis.prefix, "wp");
    cr_expect_null(wp_settings_get(&before.kafka, "client.id"));
    cr_expect(before.pool.clean);
    cr_expect_eq(before.pool.size, 7);
    cr_expect_str_eq(before.pool.reset, "true");
    cr_expect_str_eq(wp_settings_get(&before.cache.ttl, "mine"), "5");
    cr_expect_eq(after.pool.size, 10);
    cr_expect_eq(after.topics.partitions, 9);
}

Test(config_changes, keys_and_their_families_apply_alike) {
    for (const struct wp_param *param = wp_params; param->key; param++) {
        if (!wp_param_is_family(param) || strchr(param->key, '.') == strrchr(param->key, '.')) continue;
        char *single = wp_strndup((struct wp_str){param->key, wp_param_prefix(param) - 1});
        const char *member;
        const struct wp_param *of_all = wp_param_find(single, &member);
        if (of_all && !member)
            cr_expect_eq(wp_param_applies(param), wp_param_applies(of_all), "%s", param->key);
        free(single);
    }
}
