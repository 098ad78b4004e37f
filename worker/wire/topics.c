/* The table of topics. No state; any thread. */
#include "wire/topics.h"

const struct wp_topic_info wp_topics[WP_TOPICS] = {
    [WP_TOPIC_ACQUIRE] = {.name = "container-acquire", .in = true, .log_append_time = true},
    [WP_TOPIC_RELEASE] = {.name = "container-release", .in = true, .log_append_time = true},
    [WP_TOPIC_USAGE] = {.name = "usage-record", .in = true, .log_append_time = true},
    [WP_TOPIC_CACHE] = {.name = "cache", .in = true, .log_append_time = true},
    [WP_TOPIC_CONTROL] = {.name = "pool-control", .in = true, .log_append_time = true},
    [WP_TOPIC_EVENT] = {.name = "container-event", .in = true, .log_append_time = true},
    [WP_TOPIC_ASSIGNMENT] = {.name = "container-assignment"},
    [WP_TOPIC_COMMAND] = {.name = "container-command"},
    [WP_TOPIC_CACHE_RESULT] = {.name = "cache-result"},
    [WP_TOPIC_PREDICTION] = {.name = "prediction", .compacted = true},
    [WP_TOPIC_METRICS] = {.name = "metrics", .log_append_time = true}, /* to learn the broker's clock */
    [WP_TOPIC_DEAD_LETTER] = {.name = "dead-letter"},
};

char *wp_topic_full_name(const struct wp_config *config, enum wp_topic topic) {
    struct wp_buf name = {0};
    wp_buf_printf(&name, "%s%s", config->topics.prefix, wp_topics[topic].name);
    char *text = wp_strndup(wp_buf_str(&name));
    wp_buf_done(&name);
    return text;
}

static enum wp_topic by_plain_name(const char *name) {
    for (int i = 0; i < WP_TOPICS; i++) {
        if (strcmp(wp_topics[i].name, name) == 0) return (enum wp_topic)i;
    }
    return WP_TOPICS;
}

enum wp_topic wp_topic_by_name(const struct wp_config *config, const char *name) {
    size_t prefix = strlen(config->topics.prefix);
    if (prefix > 0 && strncmp(name, config->topics.prefix, prefix) == 0) {
        enum wp_topic topic = by_plain_name(name + prefix);
        if (topic != WP_TOPICS) return topic;
    }
    return by_plain_name(name);
}
