/* Owns the table of Redis functions. */
#include "store/functions.h"
#include <string.h>
#include "core/err.h"

static const struct wp_function functions[] = {
    {"acquire", WP_SLOT_POOL, "wp_acquire_v2", .timed = true, .events = true},
    {"release", WP_SLOT_POOL, "wp_release_v2", .timed = true, .events = true},
    {"usage", WP_SLOT_POOL, "wp_usage_v2", .timed = true, .events = true},
    {"control", WP_SLOT_POOL, "wp_control_v2", .timed = true, .events = true},
    {"event", WP_SLOT_POOL, "wp_event_v2", .timed = true, .events = true},
    {"positions", WP_SLOT_POOL, "wp_positions_v2", .timed = true},
    {"begin", WP_SLOT_POOL, "wp_begin_v2", .timed = true},
    {"skip", WP_SLOT_POOL, "wp_skip_v2", .timed = true},
    {"floors", WP_SLOT_POOL, "wp_floors_v2", .timed = true},
    {"replay", WP_SLOT_POOL, "wp_replay_v2", .read_only = true, .timed = true},
    {"settings", WP_SLOT_POOL, "wp_settings_v2", .timed = true},
    {"tick", WP_SLOT_POOL, "wp_tick_v2", .timed = true},
    {"beat", WP_SLOT_POOL, "wp_beat_v2", .timed = true},
    {"ended", WP_SLOT_POOL, "wp_ended_v2", .timed = true},
    {"hold", WP_SLOT_POOL, "wp_hold_v2", .timed = true},
    {"sweep", WP_SLOT_POOL, "wp_sweep_v2", .timed = true},
    {"recover", WP_SLOT_POOL, "wp_recover_v2", .timed = true},
    {"recovered", WP_SLOT_POOL, "wp_recovered_v2", .read_only = true, .timed = true},
    {"desired", WP_SLOT_POOL, "wp_desired_v2", .read_only = true, .timed = true},
    {"owned", WP_SLOT_POOL, "wp_owned_v2", .read_only = true, .timed = true},
    {"left", WP_SLOT_POOL, "wp_left_v2", .read_only = true, .timed = true},
    {"due", WP_SLOT_POOL, "wp_due_v2", .read_only = true, .timed = true},
    {"pool_stats", WP_SLOT_POOL, "wp_pool_stats", .read_only = true},
    {"metrics", WP_SLOT_POOL, "wp_metrics", .read_only = true},
    {"predict", WP_SLOT_POOL, "wp_predict", .read_only = true},
    {"leases", WP_SLOT_POOL, "wp_leases", .read_only = true},
    {"agents", WP_SLOT_POOL, "wp_agents", .read_only = true},
    {"hosts", WP_SLOT_POOL, "wp_hosts", .read_only = true},
    {"host", WP_SLOT_POOL, "wp_host", .read_only = true},
    {"pool_containers", WP_SLOT_POOL, "wp_pool_containers", .read_only = true},
    {"waiting", WP_SLOT_POOL, "wp_waiting", .read_only = true},
    {"cache", WP_SLOT_CACHE, "wp_cache_v2", .timed = true, .events = true},
    {"positions", WP_SLOT_CACHE, "wp_cache_positions_v2", .timed = true},
    {"begin", WP_SLOT_CACHE, "wp_cache_begin_v2", .timed = true},
    {"skip", WP_SLOT_CACHE, "wp_cache_skip_v2", .timed = true},
    {"floors", WP_SLOT_CACHE, "wp_cache_floors_v2", .timed = true},
    {"replay", WP_SLOT_CACHE, "wp_cache_replay_v2", .read_only = true, .timed = true},
    {"settings", WP_SLOT_CACHE, "wp_cache_settings_v2", .timed = true},
    {"tick", WP_SLOT_CACHE, "wp_cache_tick_v2", .timed = true},
    {"sweep", WP_SLOT_CACHE, "wp_cache_sweep_v2", .timed = true},
    {"cache_entry", WP_SLOT_CACHE, "wp_cache_entry", .read_only = true},
    {"cache_stats", WP_SLOT_CACHE, "wp_cache_stats", .read_only = true},
};

const struct wp_function *wp_function_find(enum wp_slot slot, const char *base) {
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++)
        if (functions[i].slot == slot && strcmp(functions[i].base, base) == 0) return &functions[i];
    wp_bug(base, __FILE__, __LINE__);
}
