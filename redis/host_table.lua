-- The table of hosts of the {pool} slot: capacity and its use, heartbeat, and the containers of each.
--
--   :hosts         hash  host -> capacity, use and heartbeat; own: how many philosophies have an image of their own there; stopped_at: the last
--                        number drawn before a worker stopped with its containers; lacks: why the image of all others is missing; missing: how
--                        many images are
--   :images:<host> hash  philosophy that has an image of its own -> 1 (it is there), or 0 and a sentence that says why it is not; apart from
--                        :hosts, which is read whole and often
--   :hc:<host>     zset  its containers, by name
--   :former_hosts  hash  host that is gone -> its memory_mb, and when it went (us)
--
-- Uses bulk.lua and frame.lua.
local host_table = {}

do -- local names of this file: all files of a library are one chunk, which may have 200 in all

local REMEMBERED, LATELY = 600 * 1000000, 10 * 1000000 -- us

local root, now, hosts, dirty, members, own_images, image_changes
local former -- changes of :former_hosts, false: to be removed

function host_table.begin(slot, time)
    root, now, hosts, dirty, members, own_images, image_changes, former = slot, time, nil, {}, {}, {}, {}, {}
end

-- All hosts, by name.
function host_table.all()
    if not hosts then
        hosts = {}
        local rows = redis.call('HGETALL', root .. ':hosts')
        for i = 1, #rows, 2 do
            local h = {}
            h.capacity, h.memory_mb, h.used, h.memory_used, h.beat, h.state, h.runtime, h.ttl_us, h.ending, h.claims,
                h.failures, h.retry_at, h.image, h.own, h.stopped_at, h.lacks, h.missing = cmsgpack.unpack(rows[i + 1])
            h.name = rows[i]
            hosts[rows[i]] = h
        end
    end
    return hosts
end

local function change(name, field, by)
    local h = host_table.all()[name]
    if h then h[field], dirty[name] = h[field] + by, true end
end

-- Adds `count` containers (may be negative) of that memory. Memory is counted in whole MB, because sums of fractions would drift.
function host_table.use(name, count, memory)
    change(name, 'used', count)
    change(name, 'memory_used', math.ceil(memory) * count)
end

-- Adds `count` ending containers (may be negative).
function host_table.ending(name, count) change(name, 'ending', count) end

-- Adds the container to the host's (is), or removes it.
function host_table.member(name, id, is)
    members[name] = members[name] or {}
    members[name][id] = is
end

-- The row of the pool's own image on the host; false: it has none.
local function own_image(h, name)
    if h.own == 0 then return false end
    local key = h.name .. '\n' .. name
    if own_images[key] == nil then own_images[key] = redis.call('HGET', root .. ':images:' .. h.name, name) end
    return own_images[key]
end

-- True when the host has the image for containers of the pool.
function host_table.can_make(h, name)
    local own = own_image(h, name)
    if own then return own == '1' end
    return h.image
end

-- Why it has not got the image, a sentence.
function host_table.lacks(h, name)
    local own = own_image(h, name)
    if own then return own:sub(2) end
    return h.lacks or ''
end

-- Takes the images from a heartbeat. image: of philosophies without an image of their own; images: philosophy -> bool; lacks: philosophy, or ''
-- for that one -> why it is missing. Returns true when an image has come that was missing. Changes are written by the flush.
function host_table.set_images(h, image, images, lacks)
    local key, came, count, set, gone = root .. ':images:' .. h.name, h.image == false and image, 0, {}, {}
    local missing = image and 0 or 1
    local known, rows = {}, h.own > 0 and redis.call('HGETALL', key) or {}
    for i = 1, #rows, 2 do known[rows[i]] = rows[i + 1] end
    for name, has in pairs(images) do
        local row = has and '1' or '0' .. (lacks[name] or '')
        count = count + 1
        if not has then missing = missing + 1 end
        if known[name] ~= row then
            if has and (known[name] or '1') ~= '1' then came = true end
            set[#set + 1], set[#set + 2] = name, row
        end
        known[name] = nil
    end
    for name in pairs(known) do gone[#gone + 1] = name end
    image_changes[key] = {set = set, gone = gone}
    h.image, h.own, h.lacks, h.missing = image, count, lacks[''] or '', missing
    if came then h.failures, h.retry_at = 0, 0 end
    return came
end

-- A create on the host has ended. After a failure it is used for creates only when there is no other host, until pause(failures) (us).
function host_table.created(name, failed, pause)
    local h = host_table.all()[name]
    if not h or (h.failures == 0 and not failed) then return end
    h.failures = failed and h.failures + 1 or 0
    h.retry_at = failed and pause(h.failures) or 0
    dirty[name] = true
end

-- Adds a host of which only containers are known, until it registers.
function host_table.placeholder(name, time, ttl_us)
    host_table.put(name, {capacity = 0, memory_mb = 0, used = 0, memory_used = 0, beat = time, state = 'draining', runtime = '', ttl_us = ttl_us,
        ending = 0, claims = false, failures = 0, retry_at = 0, image = true, own = 0})
end

function host_table.is_registered(name)
    local h = host_table.all()[name]
    return h ~= nil and h.runtime ~= ''
end

-- Where the worker runs that holds the host's name (hosts.lua); nil: no live one does.
function host_table.worker_of(name)
    local row = redis.call('HGET', root .. ':names', 'host.name ' .. name)
    if not row then return nil end
    local _, beat, lasts, where = unpack(cmsgpack.unpack(row))
    return frame.beat - beat <= lasts and where or nil
end

-- True while a worker drives the host: it holds the name, or the host's own heartbeat came lately and was not that of a stop.
function host_table.is_alive(name, h)
    if host_table.worker_of(name) then return true end
    return (h.state == 'up' or h.state == 'away') and frame.beat - h.beat <= math.min(h.ttl_us, LATELY)
end

-- Adds a host, or notes that the caller has changed it.
function host_table.put(name, h)
    h.name = name
    host_table.all()[name] = h
    dirty[name] = true
end

-- Hosts that are gone and still remembered: name -> when they went (us).
function host_table.former()
    local rows, went = redis.call('HGETALL', root .. ':former_hosts'), {}
    for i = 1, #rows, 2 do
        local _, at = cmsgpack.unpack(rows[i + 1])
        if now - at <= REMEMBERED and not host_table.all()[rows[i]] then went[rows[i]] = at end
    end
    return went
end

function host_table.forget(name)
    local h = hosts[name]
    if h and h.runtime ~= '' then former[name] = cmsgpack.pack(h.memory_mb, now) end
    hosts[name], dirty[name] = nil, true
end

-- The memory in MB of the largest host that is known, or was there in the last ten minutes. nil: there is none, or one has no limit.
function host_table.largest()
    local largest
    for _, h in pairs(host_table.all()) do
        if h.memory_mb == 0 then return nil end
        largest = math.max(largest or 0, h.memory_mb)
    end
    local rows, old = redis.call('HGETALL', root .. ':former_hosts'), {}
    for i = 1, #rows, 2 do
        local memory, went = cmsgpack.unpack(rows[i + 1])
        if now - went > REMEMBERED then
            former[rows[i]] = false
        elseif memory == 0 then
            return nil
        else
            largest = math.max(largest or 0, memory)
        end
    end
    return largest
end

function host_table.flush()
    local rows, gone = {}, {}
    for name in pairs(dirty) do
        local h = hosts[name]
        if h then
            rows[#rows + 1] = name
            rows[#rows + 1] = cmsgpack.pack(h.capacity, h.memory_mb, h.used, h.memory_used, h.beat, h.state, h.runtime, h.ttl_us, h.ending, h.claims,
                h.failures, h.retry_at, h.image, h.own, h.stopped_at or 0, h.lacks or '', h.missing or 0)
        else
            gone[#gone + 1] = name
            redis.call('UNLINK', root .. ':images:' .. name)
        end
    end
    for name, row in pairs(former) do
        if row then redis.call('HSET', root .. ':former_hosts', name, row) else redis.call('HDEL', root .. ':former_hosts', name) end
    end
    bulk.write('HSET', root .. ':hosts', rows)
    bulk.write('HDEL', root .. ':hosts', gone)
    for key, changed in pairs(image_changes) do
        bulk.write('HSET', key, changed.set)
        bulk.write('HDEL', key, changed.gone)
    end
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
