-- The hosts of the {pool} slot: capacity and what is used of it, heartbeat, and which containers each has.
--
--   :hosts    hash  host -> capacity and use;  :hc:<host> zset of its containers
local host_table = {}

do -- local names of this file: all files of a library are one chunk, which may have 200 in all

local root, hosts, dirty, members

function host_table.begin(slot) root, hosts, dirty, members = slot, nil, {}, {} end

-- All of them, by name.
function host_table.all()
    if not hosts then
        hosts = {}
        local rows = redis.call('HGETALL', root .. ':hosts')
        for i = 1, #rows, 2 do
            local h = {}
            h.capacity, h.memory_mb, h.used, h.memory_used, h.beat, h.state, h.runtime, h.ttl_us, h.ending, h.claims,
                h.failures, h.retry_at, h.image, h.images = cmsgpack.unpack(rows[i + 1])
            hosts[rows[i]] = h
        end
    end
    return hosts
end

local function change(name, field, by)
    local h = host_table.all()[name]
    if h then h[field], dirty[name] = h[field] + by, true end
end

-- So many containers of that size more (or less). Memory is counted in whole MB: sums of fractions would drift.
function host_table.use(name, count, memory)
    change(name, 'used', count)
    change(name, 'memory_used', math.ceil(memory) * count)
end

-- So many containers more (or less) that end.
function host_table.ending(name, count) change(name, 'ending', count) end

-- Whether the container is one of its.
function host_table.member(name, id, is)
    members[name] = members[name] or {}
    members[name][id] = is
end

-- Whether it has what a container of the pool is made of.
function host_table.can_make(h, name)
    local own = h.images[name]
    if own == nil then own = h.image end
    return own
end

-- A create on it ended: `failed`, and it is passed over for a while (until, us) as long as another one can do it.
function host_table.created(name, failed, pause)
    local h = host_table.all()[name]
    if not h or (h.failures == 0 and not failed) then return end
    h.failures = failed and h.failures + 1 or 0
    h.retry_at = failed and pause(h.failures) or 0
    dirty[name] = true
end

-- A host that is known by its containers alone, until it registers.
function host_table.placeholder(name, time, ttl_us)
    host_table.put(name, {capacity = 0, memory_mb = 0, used = 0, memory_used = 0, beat = time, state = 'draining', runtime = '', ttl_us = ttl_us,
        ending = 0, claims = false, failures = 0, retry_at = 0, image = true, images = {}})
end

function host_table.is_registered(name)
    local h = host_table.all()[name]
    return h ~= nil and h.runtime ~= ''
end

-- New, or changed by the caller.
function host_table.put(name, h)
    host_table.all()[name] = h
    dirty[name] = true
end

function host_table.forget(name) hosts[name], dirty[name] = nil, true end

function host_table.flush()
    local rows, gone = {}, {}
    for name in pairs(dirty) do
        local h = hosts[name]
        if h then
            rows[#rows + 1] = name
            rows[#rows + 1] = cmsgpack.pack(h.capacity, h.memory_mb, h.used, h.memory_used, h.beat, h.state, h.runtime, h.ttl_us, h.ending, h.claims,
                h.failures, h.retry_at, h.image, h.images)
        else
            gone[#gone + 1] = name
        end
    end
    bulk.write('HSET', root .. ':hosts', rows)
    bulk.write('HDEL', root .. ':hosts', gone)
    for name, changed in pairs(members) do
        local come, left = {}, {}
        for id, is in pairs(changed) do
            if is then come[#come + 1], come[#come + 2] = 0, id else left[#left + 1] = id end
        end
        bulk.write('ZADD', root .. ':hc:' .. name, come)
        bulk.write('ZREM', root .. ':hc:' .. name, left)
    end
end
end
