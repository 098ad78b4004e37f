-- The functions of the {cache} slot that workers call (redis/README.md).
-- revision 27
frame.register_slot('cache_')
delivery.register('cache_')
local topic = {batch = cache.batch, apply = cache.apply, reread = cache.reread}
delivery.register_topic('cache', topic)
frame.register('cache_replay', function(keys, args) return delivery.replay(keys, args, topic) end, {'no-writes', 'allow-oom'})
-- allow-oom: a sweep frees memory.
frame.register('cache_sweep', function(keys)
    frame.keep_maxmemory()
    return cache.sweep(keys[1], frame.now, frame.settings) + delivery.sweep(keys[1])
end, {'allow-oom'})
