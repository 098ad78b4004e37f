/* Owns the table of Redis functions. */
#include "store/functions.h"
#include <string.h>
#include "core/err.h"

static const struct wp_function functions[] = {
    {"acquire", WP_SLOT_POOL, "wp_acquire_v2", false, true},
    {"release", WP_SLOT_POOL, "wp_release_v2", false, true},
    {"usage", WP_SLOT_POOL, "wp_usage_v2", false, true},
    {"control", WP_SLOT_POOL, "wp_control_v2", false, true},
    {"event", WP_SLOT_POOL, "wp_event_v2", false, true},
    {"positions", WP_SLOT_POOL, "wp_positions_v2", false, true},
    {"begin", WP_SLOT_POOL, "wp_begin_v2", false, true},
    {"skip", WP_SLOT_POOL, "wp_skip_v2", false, true},
    {"floors", WP_SLOT_POOL, "wp_floors_v2", false, true},
    {"replay", WP_SLOT_POOL, "wp_replay_v2", true, true},
    {"settings", WP_SLOT_POOL, "wp_settings_v2", false, true},
    {"tick", WP_SLOT_POOL, "wp_tick_v2", false, true},
    {"beat", WP_SLOT_POOL, "wp_beat_v2", false, true},
    {"hold", WP_SLOT_POOL, "wp_hold_v2", false, true},
    {"sweep", WP_SLOT_POOL, "wp_sweep_v2", false, true},
    {"recover", WP_SLOT_POOL, "wp_recover_v2", false, true},
    {"recovered", WP_SLOT_POOL, "wp_recovered_v2", true, true},
    {"desired", WP_SLOT_POOL, "wp_desired_v2", true, true},
    {"owned", WP_SLOT_POOL, "wp_owned_v2", true, true},
    {"due", WP_SLOT_POOL, "wp_due_v2", true, true},
    {"pool_stats", WP_SLOT_POOL, "wp_pool_stats", true, false},
    {"metrics", WP_SLOT_POOL, "wp_metrics", true, false},
    {"predict", WP_SLOT_POOL, "wp_predict", true, false},
    {"leases", WP_SLOT_POOL, "wp_leases", true, false},
    {"agents", WP_SLOT_POOL, "wp_agents", true, false},
    {"cache", WP_SLOT_CACHE, "wp_cache_v2", false, true},
    {"positions", WP_SLOT_CACHE, "wp_cache_positions_v2", false, true},
    {"begin", WP_SLOT_CACHE, "wp_cache_begin_v2", false, true},
    {"skip", WP_SLOT_CACHE, "wp_cache_skip_v2", false, true},
    {"floors", WP_SLOT_CACHE, "wp_cache_floors_v2", false, true},
    {"replay", WP_SLOT_CACHE, "wp_cache_replay_v2", true, true},
    {"settings", WP_SLOT_CACHE, "wp_cache_settings_v2", false, true},
    {"tick", WP_SLOT_CACHE, "wp_cache_tick_v2", false, true},
    {"sweep", WP_SLOT_CACHE, "wp_cache_sweep_v2", false, true},
    {"cache_entry", WP_SLOT_CACHE, "wp_cache_entry", true, false},
    {"cache_stats", WP_SLOT_CACHE, "wp_cache_stats", true, false},
};

const struct wp_function *wp_function_find(enum wp_slot slot, const char *base) {
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (functions[i].slot == slot && strcmp(functions[i].base, base) == 0) return &functions[i];
    wp_bug(base, __FILE__, __LINE__);
}
