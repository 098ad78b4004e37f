/* The topics: one table of names, directions and how each is made. */
#ifndef WP_WIRE_TOPICS_H
#define WP_WIRE_TOPICS_H
#include "core/config.h"

enum wp_topic {
    WP_TOPIC_ACQUIRE, /* input topics first: they index the handler table */
    WP_TOPIC_RELEASE,
    WP_TOPIC_USAGE,
    WP_TOPIC_CACHE,
    WP_TOPIC_CONTROL,
    WP_TOPIC_EVENT,
    WP_TOPICS_IN,
    WP_TOPIC_ASSIGNMENT = WP_TOPICS_IN, /* out */
    WP_TOPIC_COMMAND,                   /* out, and read by hosts outside the consumer group */
    WP_TOPIC_CACHE_RESULT,
    WP_TOPIC_PREDICTION,
    WP_TOPIC_METRICS,
    WP_TOPIC_DEAD_LETTER,
    WP_TOPICS,
};

struct wp_topic_info {
    const char *name; /* "container-acquire": without topics.prefix; also the schema's file name */
    bool in;          /* consumed by the group */
    bool log_append_time, compacted; /* how a missing topic is made */
};

extern const struct wp_topic_info wp_topics[WP_TOPICS];

/* topics.prefix + name. Owned by the caller. */
char *wp_topic_full_name(const struct wp_config *config, enum wp_topic topic);
/* Finds a topic by its name with or without the prefix; WP_TOPICS when there is none. */
enum wp_topic wp_topic_by_name(const struct wp_config *config, const char *name);

#endif
