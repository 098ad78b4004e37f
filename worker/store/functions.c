/* Owns the table of Redis functions. */
#include "store/functions.h"

static const struct wp_function functions[] = {
    {"acquire", WP_SLOT_POOL, "wp_acquire_v1", false},
    {"release", WP_SLOT_POOL, "wp_release_v1", false},
    {"usage", WP_SLOT_POOL, "wp_usage_v1", false},
    {"control", WP_SLOT_POOL, "wp_control_v1", false},
    {"event", WP_SLOT_POOL, "wp_event_v1", false},
    {"positions", WP_SLOT_POOL, "wp_positions_v1", false},
    {"begin", WP_SLOT_POOL, "wp_begin_v1", false},
    {"skip", WP_SLOT_POOL, "wp_skip_v1", false},
    {"beat", WP_SLOT_POOL, "wp_beat_v1", false},
    {"sweep", WP_SLOT_POOL, "wp_sweep_v1", false},
    {"recover", WP_SLOT_POOL, "wp_recover_v1", false},
    {"recovered", WP_SLOT_POOL, "wp_recovered_v1", true},
    {"desired", WP_SLOT_POOL, "wp_desired_v1", true},
    {"owned", WP_SLOT_POOL, "wp_owned_v1", true},
    {"due", WP_SLOT_POOL, "wp_due_v1", true},
    {"pool_stats", WP_SLOT_POOL, "wp_pool_stats", true},
    {"metrics", WP_SLOT_POOL, "wp_metrics", true},
    {"predict", WP_SLOT_POOL, "wp_predict", true},
    {"leases", WP_SLOT_POOL, "wp_leases", true},
    {"agents", WP_SLOT_POOL, "wp_agents", true},
    {"cache", WP_SLOT_CACHE, "wp_cache_v1", false},
    {"positions", WP_SLOT_CACHE, "wp_cache_positions_v1", false},
    {"begin", WP_SLOT_CACHE, "wp_cache_begin_v1", false},
    {"skip", WP_SLOT_CACHE, "wp_cache_skip_v1", false},
    {"sweep", WP_SLOT_CACHE, "wp_cache_sweep_v1", false},
    {"cache_entry", WP_SLOT_CACHE, "wp_cache_entry", true},
    {"cache_stats", WP_SLOT_CACHE, "wp_cache_stats", true},
};

const struct wp_function *wp_function_find(enum wp_slot slot, const char *base) {
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (functions[i].slot == slot && strcmp(functions[i].base, base) == 0) return &functions[i];
    wp_bug(base, __FILE__, __LINE__);
}
