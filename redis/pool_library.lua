-- revision 11
-- allow-oom: what frees memory must work when Redis is full, and so must what it needs: a partition's begin, the skip of an event,
-- and the heartbeats, without which every host would be taken for dead.
local function topic(name, apply, flags)
    redis.register_function({function_name = 'wp_' .. name .. '_v1', flags = flags or {},
        callback = function(keys, args) return delivery.call(keys, args, apply) end})
end
local function plain(name, callback, flags)
    redis.register_function({function_name = 'wp_' .. name .. '_v1', callback = callback, flags = flags or {}})
end

topic('acquire', pool.acquire)
topic('release', pool.release, {'allow-oom'})
topic('usage', pool.usage)
topic('control', pool.control)
topic('event', pool.event, {'allow-oom'})
plain('positions', delivery.positions, {'no-writes'})
plain('begin', delivery.begin, {'allow-oom'})
plain('skip', delivery.skip, {'allow-oom'})
plain('beat', pool.beat, {'allow-oom'})
plain('desired', pool.desired, {'no-writes'})
plain('owned', pool.owned, {'no-writes'})
plain('recover', pool.recover, {'allow-oom'})
plain('recovered', pool.recovered, {'no-writes'})
plain('due', pool.due, {'no-writes'})
plain('sweep', pool.sweep, {'allow-oom'})
