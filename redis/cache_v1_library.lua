-- Replaces the {cache} slot's functions of the calling convention v1 by functions that tell an older worker to wait.
-- revision 1001
local names = {
    'wp_cache_v1', 'wp_cache_positions_v1', 'wp_cache_begin_v1', 'wp_cache_skip_v1', 'wp_cache_sweep_v1',
}
for i = 1, #names do
    redis.register_function({function_name = names[i], flags = {'no-writes', 'allow-oom'}, callback = function()
        return redis.error_reply('TRYAGAIN this Redis is used by a newer warmpool, whose calls are others: stop this worker, or install the newer one')
    end})
end
