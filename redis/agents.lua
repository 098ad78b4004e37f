-- Who holds what: an agent's philosophy, lease, container, last figures and when it was seen last. Written by assignment and usage, gone
-- when the lease ends; of those who hold nothing, agents_ttl after they were seen last, and never more than agents_max.
--
--   :agents hash agent id -> record;  :seen zset of those who hold nothing by when they were seen last (us); an id may stay there
--   while it holds a container, and is passed over
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
    known[id] = {pool = pool, request = request, container = container, cpu = false, memory = false, time = false, seen = now}
    dirty[id] = true
end

function agents.used(id, pool, cpu, memory, time)
    if id == '' then return end
    local a = known[id] or {pool = pool, request = '', container = '', cpu = false, memory = false, time = false}
    a.cpu, a.memory, a.time, a.seen = cpu or a.cpu, memory or a.memory, time or a.time, now
    known[id], dirty[id] = a, true
end

-- The lease of that request is over. (agents.load was called with the id.)
function agents.drop(id, request)
    if known[id] == nil then agents.load({id}) end
    if known[id] and known[id].request == request then known[id], dirty[id] = false, true end
end

local function bulk(name, key, values)
    for i = 1, #values, 4000 do redis.call(name, key, unpack(values, i, math.min(i + 3999, #values))) end
end

function agents.flush()
    local set, seen, gone, n, m = {}, {}, {}, 0, 0
    local text
    for id in pairs(dirty) do
        local a = known[id]
        if a then
            set[n + 1], set[n + 2], n = id, cmsgpack.pack(a.pool, a.request, a.container, a.cpu, a.memory, a.time, a.seen), n + 2
            if a.request == '' then
                text = text or string.format('%d', now)
                seen[m + 1], seen[m + 2], m = text, id, m + 2
            end
        else
            gone[#gone + 1] = id
        end
    end
    bulk('HSET', root .. ':agents', set)
    bulk('HDEL', root .. ':agents', gone)
    if m > 0 then
        bulk('ZADD', root .. ':seen', seen)
        local over = redis.call('ZCARD', root .. ':seen') - settings.agents_max
        if over > 0 then agents.remove(redis.call('ZRANGE', root .. ':seen', 0, math.min(over, 4000) - 1)) end
    end
end

-- Those of the list go, but who holds a container stays until its lease is over.
function agents.remove(ids)
    if #ids == 0 then return 0 end
    local rows, idle = redis.call('HMGET', root .. ':agents', unpack(ids)), {}
    for i, id in ipairs(ids) do
        if rows[i] and agents.parse(rows[i]).request == '' then idle[#idle + 1] = id end
    end
    if #idle > 0 then redis.call('HDEL', root .. ':agents', unpack(idle)) end
    redis.call('ZREM', root .. ':seen', unpack(ids))
    return #ids
end

-- Those not seen for agents_ttl seconds, at most `most`.
function agents.sweep(most)
    local before = string.format('%.0f', now - settings.agents_ttl * 1000000)
    return agents.remove(redis.call('ZRANGEBYSCORE', root .. ':seen', '-inf', before, 'LIMIT', 0, most))
end
