-- The functions of the {cache} slot that anybody may call; their names and answers are stable (redis/README.md).
-- revision 2
redis.register_function{function_name = 'wp_cache_entry', flags = {'no-writes'}, callback = function(keys, args)
    local now = delivery.context(keys[1])
    return cjson.encode(cache_stats.entry(keys[1], now, args[1], args[2]))
end}

redis.register_function{function_name = 'wp_cache_stats', flags = {'no-writes'}, callback = function(keys)
    local now, settings = delivery.context(keys[1])
    return cjson.encode(cache_stats.all(keys[1], now, settings or {}))
end}
