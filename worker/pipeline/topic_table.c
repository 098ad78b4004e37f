/* The table of input topics. */
#include "pipeline/topic_table.h"
#include "cache/cache_calls.h"
#include "pool/pool_calls.h"
#include "predictor/usage_calls.h"

const struct topic_row topic_table[WP_TOPICS_IN] = {
    [WP_TOPIC_ACQUIRE] = {WP_TOPIC_ACQUIRE, WP_SLOT_POOL, "acquire", wp_pack_acquire},
    [WP_TOPIC_RELEASE] = {WP_TOPIC_RELEASE, WP_SLOT_POOL, "release", wp_pack_release},
    [WP_TOPIC_USAGE] = {WP_TOPIC_USAGE, WP_SLOT_POOL, "usage", wp_pack_usage},
    [WP_TOPIC_CACHE] = {WP_TOPIC_CACHE, WP_SLOT_CACHE, "cache", wp_pack_cache},
    [WP_TOPIC_CONTROL] = {WP_TOPIC_CONTROL, WP_SLOT_POOL, "control", wp_pack_control},
    [WP_TOPIC_EVENT] = {WP_TOPIC_EVENT, WP_SLOT_POOL, "event", wp_pack_container_event},
};
