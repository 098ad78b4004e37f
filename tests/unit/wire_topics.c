#include <criterion/criterion.h>
#include <stdlib.h>
#include "wire/topics.h"

static struct wp_config config;
static void setup(void) {
    wp_config_init(&config);
}
static void teardown(void) {
    wp_config_done(&config);
}
TestSuite(topics, .init = setup, .fini = teardown);

static void set_prefix(const char *prefix) {
    struct wp_error error;
    cr_assert_eq(wp_config_set(&config, "topics.prefix", prefix, &error), WP_OK, "%s", error.text);
}

Test(topics, every_topic_has_a_name_that_leads_back_to_it) {
    for (int i = 0; i < WP_TOPICS; i++) {
        cr_assert_not_null(wp_topics[i].name);
        cr_assert_eq(wp_topic_by_name(&config, wp_topics[i].name), (enum wp_topic)i);
        cr_assert_eq(wp_topics[i].in, i < WP_TOPICS_IN);
        cr_assert_eq(wp_topics[i].log_append_time, i < WP_TOPICS_IN || i == WP_TOPIC_METRICS,
                     "timeouts count from the broker's clock");
        cr_assert_eq(wp_topics[i].compacted, i == WP_TOPIC_PREDICTION);
    }
}

Test(topics, full_names_carry_the_prefix) {
    set_prefix("team-a.");
    char *name = wp_topic_full_name(&config, WP_TOPIC_ACQUIRE);
    cr_assert_str_eq(name, "team-a.container-acquire");
    free(name);
    cr_assert_eq(wp_topic_by_name(&config, "team-a.dead-letter"), WP_TOPIC_DEAD_LETTER);
    cr_assert_eq(wp_topic_by_name(&config, "dead-letter"), WP_TOPIC_DEAD_LETTER);
    cr_assert_eq(wp_topic_by_name(&config, "team-b.dead-letter"), WP_TOPICS);
}

Test(topics, a_prefix_that_is_also_the_start_of_a_name_hides_nothing) {
    set_prefix("container-");
    cr_assert_eq(wp_topic_by_name(&config, "container-container-acquire"), WP_TOPIC_ACQUIRE);
    cr_assert_eq(wp_topic_by_name(&config, "container-acquire"), WP_TOPIC_ACQUIRE);
}
