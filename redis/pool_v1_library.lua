-- Replaces the {pool} slot's functions of the calling convention v1 by functions that tell an older worker to wait.
-- revision 1001
local names = {
    'wp_acquire_v1', 'wp_release_v1', 'wp_usage_v1', 'wp_control_v1', 'wp_event_v1', 'wp_positions_v1', 'wp_begin_v1', 'wp_skip_v1',
    'wp_beat_v1', 'wp_desired_v1', 'wp_owned_v1', 'wp_recover_v1', 'wp_recovered_v1', 'wp_due_v1', 'wp_sweep_v1',
}
for i = 1, #names do
    redis.register_function({function_name = names[i], flags = {'no-writes', 'allow-oom'}, callback = function()
        return redis.error_reply('TRYAGAIN this Redis is used by a newer warmpool, whose calls are others: stop this worker, or install the newer one')
    end})
end
