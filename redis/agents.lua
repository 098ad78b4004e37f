-- Who holds what: an agent's philosophy, lease, container, last figures and when it was seen last. Written by assignment and usage, gone
-- when the lease ends or agents_ttl after it was seen last, and never more than agents_max.
--
--   :agents hash agent id -> record;  :seen zset agent id by when it was seen last (us)
local agents = {}

local root, now, settings, known, dirty

function agents.begin(slot, time, map)
    root, now, settings, known, dirty = slot, time, map, {}, {}
end

function agents.parse(raw)
    local a = {}
    a.pool, a.request, a.container, a.cpu, a.memory, a.time, a.seen = cmsgpack.unpack(raw)
    return a
end

function agents.load(ids)
    local missing = {}
    for _, id in ipairs(ids) do
        if known[id] == nil then
            known[id] = false
            missing[#missing + 1] = id
        end
    end
    for i = 1, #missing, 4000 do
        local last = math.min(i + 3999, #missing)
        local values = redis.call('HMGET', root .. ':agents', unpack(missing, i, last))
        for k = i, last do known[missing[k]] = values[k - i + 1] and agents.parse(values[k - i + 1]) or false end
    end
end

function agents.hold(id, pool, request, container)
    if id == '' then return end
    known[id] = {pool = pool, request = request, container = container, cpu = false, memory = false, time = false, seen = now}
    dirty[id] = true
end

function agents.used(id, pool, cpu, memory, time)
    if id == '' then return end
    local a = known[id] or {pool = pool, request = '', container = ''}
    a.cpu, a.memory, a.time, a.seen = cpu or a.cpu, memory or a.memory, time or a.time, now
    known[id], dirty[id] = a, true
end

-- The lease of that request is over. (agents.load was called with the id.)
function agents.drop(id, request)
    if id == '' then return end
    if known[id] == nil then agents.load({id}) end
    if known[id] and known[id].request == request then known[id], dirty[id] = false, true end
end

function agents.flush()
    local set, seen, gone = {}, {}, {}
    for id in pairs(dirty) do
        local a = known[id]
        if a then
            set[#set + 1] = id
            set[#set + 1] = cmsgpack.pack(a.pool, a.request, a.container, a.cpu or false, a.memory or false, a.time or false, a.seen)
            seen[#seen + 1] = a.seen
            seen[#seen + 1] = id
        else
            gone[#gone + 1] = id
        end
    end
    for i = 1, #set, 4000 do
        redis.call('HSET', root .. ':agents', unpack(set, i, math.min(i + 3999, #set)))
        redis.call('ZADD', root .. ':seen', unpack(seen, i, math.min(i + 3999, #seen)))
    end
    for i = 1, #gone, 4000 do
        redis.call('HDEL', root .. ':agents', unpack(gone, i, math.min(i + 3999, #gone)))
        redis.call('ZREM', root .. ':seen', unpack(gone, i, math.min(i + 3999, #gone)))
    end
    if #set > 0 then
        local over = redis.call('ZCARD', root .. ':seen') - settings.agents_max
        if over > 0 then agents.remove(redis.call('ZRANGE', root .. ':seen', 0, math.min(over, 4000) - 1)) end
    end
end

function agents.remove(ids)
    if #ids == 0 then return 0 end
    redis.call('HDEL', root .. ':agents', unpack(ids))
    redis.call('ZREM', root .. ':seen', unpack(ids))
    return #ids
end

-- Those not seen for agents_ttl seconds, at most `most`.
function agents.sweep(most)
    local before = string.format('%.0f', now - settings.agents_ttl * 1000000)
    return agents.remove(redis.call('ZRANGEBYSCORE', root .. ':seen', '-inf', before, 'LIMIT', 0, most))
end
