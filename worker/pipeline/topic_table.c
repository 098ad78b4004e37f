/* The table of input topics. */
#include "pipeline/topic_table.h"
#include "cache/cache_calls.h"
#include "pool/pool_calls.h"
#include "pool/pool_reply.h"
#include "predictor/usage_calls.h"

const struct topic_row topic_table[WP_TOPICS_IN] = {
    [WP_TOPIC_ACQUIRE] = {WP_TOPIC_ACQUIRE, WP_SLOT_POOL, "acquire", WP_ACQUIRE_COLUMNS, wp_add_acquire,
                          wp_pool_reply},
    [WP_TOPIC_RELEASE] = {WP_TOPIC_RELEASE, WP_SLOT_POOL, "release", WP_RELEASE_COLUMNS, wp_add_release,
                          wp_pool_reply},
    [WP_TOPIC_USAGE] = {WP_TOPIC_USAGE, WP_SLOT_POOL, "usage", WP_USAGE_COLUMNS, wp_add_usage, wp_pool_reply},
    [WP_TOPIC_CACHE] = {WP_TOPIC_CACHE, WP_SLOT_CACHE, "cache", WP_CACHE_COLUMNS, wp_add_cache,
                        wp_cache_reply},
    [WP_TOPIC_CONTROL] = {WP_TOPIC_CONTROL, WP_SLOT_POOL, "control", 1, wp_add_control, wp_pool_reply},
    [WP_TOPIC_EVENT] = {WP_TOPIC_EVENT, WP_SLOT_POOL, "event", 1, wp_add_container_event, wp_pool_reply},
};
