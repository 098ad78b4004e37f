-- The functions of the {cache} slot that anybody may call; their names and answers are stable (redis/README.md).
-- revision 23
redis.register_function{function_name = 'wp_cache_entry', flags = {'no-writes'}, callback = function(keys, args)
    local refused, now = frame.look(keys[1])
    return refused or cjson.encode(cache_stats.entry(keys[1], now, args[1], args[2]))
end}

redis.register_function{function_name = 'wp_cache_stats', flags = {'no-writes'}, callback = function(keys)
    local refused, now, settings = frame.look(keys[1])
    return refused or cjson.encode(cache_stats.all(keys[1], now, settings or {}))
end}
