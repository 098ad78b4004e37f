-- What python_worker.py does in Redis, one call a batch. KEYS[1]: what all keys begin with. ARGV[1], JSON: the events, each {kind, ...},
-- and the philosophies of which a mean is wanted. ARGV[2...]: the values of the sets, in their order.
-- Returns JSON: an answer for each event (false: none), the time in ms, the means by philosophy; then the values that gets found.
local root = KEYS[1]
local events, wanted = unpack(cjson.decode(ARGV[1]))
local time = redis.call('TIME')
local epoch = redis.call('INCRBY', root .. ':epoch', #events) - #events
local answers, found, next_value, samples, means = {}, {}, 2, {}, {}

local apply = {}

function apply.acquire(i, request, philosophy)
    means[philosophy] = true
    local container = redis.call('HGET', root .. ':leases', request)
    if not container then
        container = redis.call('LPOP', root .. ':idle:' .. philosophy)
        if container then redis.call('HSET', root .. ':leases', request, container) end
    end
    return {container, epoch + i}
end

function apply.release(_, request, philosophy)
    local container = redis.call('HGET', root .. ':leases', request)
    if container then
        redis.call('HDEL', root .. ':leases', request)
        redis.call('RPUSH', root .. ':idle:' .. philosophy, container)
    end
    return false
end

function apply.usage(_, philosophy, cpu, memory, seconds)
    local list = samples[philosophy] or {}
    samples[philosophy] = list
    list[#list + 1] = cpu .. ' ' .. memory .. ' ' .. seconds
    return false
end

function apply.set(_, key, ttl)
    redis.call('SET', root .. ':cache:' .. key, ARGV[next_value], 'EX', ttl)
    next_value = next_value + 1
    return {true, ttl}
end

function apply.get(_, key)
    local value = redis.call('GET', root .. ':cache:' .. key)
    if not value then return {false, 0} end
    found[#found + 1] = value
    return {true, redis.call('TTL', root .. ':cache:' .. key)}
end

local function mean(philosophy)
    local sum, kept = {0, 0, 0}, redis.call('LRANGE', root .. ':samples:' .. philosophy, 0, -1)
    for _, text in ipairs(kept) do
        local cpu, memory, seconds = text:match('(%S+) (%S+) (%S+)')
        sum[1], sum[2], sum[3] = sum[1] + cpu, sum[2] + memory, sum[3] + seconds
    end
    local n = math.max(1, #kept)
    return {sum[1] / n, sum[2] / n, sum[3] / n, #kept}
end

for i, event in ipairs(events) do answers[i] = apply[event[1]](i, unpack(event, 2)) end
for philosophy, list in pairs(samples) do
    redis.call('RPUSH', root .. ':samples:' .. philosophy, unpack(list))
    redis.call('LTRIM', root .. ':samples:' .. philosophy, -100, -1)
end
for _, philosophy in ipairs(wanted) do means[philosophy] = true end
for philosophy in pairs(means) do means[philosophy] = mean(philosophy) end
return {cjson.encode({answers, time[1] * 1000 + math.floor(time[2] / 1000), means}), unpack(found)}
