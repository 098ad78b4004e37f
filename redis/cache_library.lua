-- The functions of the {cache} slot that workers call (redis/README.md).
-- revision 3
local function register(name, callback, flags)
    redis.register_function{function_name = name, callback = callback, flags = flags}
end

register('wp_cache_v1', function(keys, args) return delivery.call(keys, args, cache.apply) end)
register('wp_cache_positions_v1', delivery.positions, {'no-writes'})
register('wp_cache_begin_v1', delivery.begin)
register('wp_cache_skip_v1', delivery.skip)
-- It frees memory, so it may run when there is none left.
register('wp_cache_sweep_v1', function(keys, args)
    local now, settings = delivery.advance(keys[1], args[1])
    delivery.keep(keys[1], now, args[1])
    return cache.sweep(keys[1], now, settings)
end, {'allow-oom'})
