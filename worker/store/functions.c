/* Owns the table of Redis functions. */
#include "store/functions.h"
#include <string.h>
#include "core/err.h"

static const struct wp_function functions[] = {
    {"acquire", WP_SLOT_POOL, "wp_acquire_v2", false, true, true},
    {"release", WP_SLOT_POOL, "wp_release_v2", false, true, true},
    {"usage", WP_SLOT_POOL, "wp_usage_v2", false, true, true},
    {"control", WP_SLOT_POOL, "wp_control_v2", false, true, true},
    {"event", WP_SLOT_POOL, "wp_event_v2", false, true, true},
    {"positions", WP_SLOT_POOL, "wp_positions_v2", false, true, false},
    {"begin", WP_SLOT_POOL, "wp_begin_v2", false, true, false},
    {"skip", WP_SLOT_POOL, "wp_skip_v2", false, true, false},
    {"floors", WP_SLOT_POOL, "wp_floors_v2", false, true, false},
    {"replay", WP_SLOT_POOL, "wp_replay_v2", true, true, false},
    {"settings", WP_SLOT_POOL, "wp_settings_v2", false, true, false},
    {"tick", WP_SLOT_POOL, "wp_tick_v2", false, true, false},
    {"beat", WP_SLOT_POOL, "wp_beat_v2", false, true, false},
    {"hold", WP_SLOT_POOL, "wp_hold_v2", false, true, false},
    {"sweep", WP_SLOT_POOL, "wp_sweep_v2", false, true, false},
    {"recover", WP_SLOT_POOL, "wp_recover_v2", false, true, false},
    {"recovered", WP_SLOT_POOL, "wp_recovered_v2", true, true, false},
    {"desired", WP_SLOT_POOL, "wp_desired_v2", true, true, false},
    {"owned", WP_SLOT_POOL, "wp_owned_v2", true, true, false},
    {"due", WP_SLOT_POOL, "wp_due_v2", true, true, false},
    {"pool_stats", WP_SLOT_POOL, "wp_pool_stats", true, false, false},
    {"metrics", WP_SLOT_POOL, "wp_metrics", true, false, false},
    {"predict", WP_SLOT_POOL, "wp_predict", true, false, false},
    {"leases", WP_SLOT_POOL, "wp_leases", true, false, false},
    {"agents", WP_SLOT_POOL, "wp_agents", true, false, false},
    {"cache", WP_SLOT_CACHE, "wp_cache_v2", false, true, true},
    {"positions", WP_SLOT_CACHE, "wp_cache_positions_v2", false, true, false},
    {"begin", WP_SLOT_CACHE, "wp_cache_begin_v2", false, true, false},
    {"skip", WP_SLOT_CACHE, "wp_cache_skip_v2", false, true, false},
    {"floors", WP_SLOT_CACHE, "wp_cache_floors_v2", false, true, false},
    {"replay", WP_SLOT_CACHE, "wp_cache_replay_v2", true, true, false},
    {"settings", WP_SLOT_CACHE, "wp_cache_settings_v2", false, true, false},
    {"tick", WP_SLOT_CACHE, "wp_cache_tick_v2", false, true, false},
    {"sweep", WP_SLOT_CACHE, "wp_cache_sweep_v2", false, true, false},
    {"cache_entry", WP_SLOT_CACHE, "wp_cache_entry", true, false, false},
    {"cache_stats", WP_SLOT_CACHE, "wp_cache_stats", true, false, false},
};

const struct wp_function *wp_function_find(enum wp_slot slot, const char *base) {
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (functions[i].slot == slot && strcmp(functions[i].base, base) == 0) return &functions[i];
    wp_bug(base, __FILE__, __LINE__);
}
