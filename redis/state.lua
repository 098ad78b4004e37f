-- The tables of the {pool} slot: read in bulk, changed in memory, written in bulk by one flush at a function's end. So a function
-- that fails has changed nothing, and a batch costs one Redis command per structure.
--
--   :req      hash  request id -> MessagePack values: state w (waiting) and its fields, l (leased) and its answer, e (ended)
--                   or x (released before it was seen) and the second
--   :ended    list  "<second> <request id>" in the order of their ends
--   :c        hash  container id -> state and fields
--   :pools    hash  philosophy -> counters and settings;  :active zset philosophy by last activity
--   :hungry   zset  philosophies whose requests wait for room on a host
--   :idle:P   zset  idle containers by when they became idle;  :idle:P:K those of reuse key K (! fresh, else a tenant)
--   :wait:P   zset  waiting requests by arrival;  :wait:P:T those of tenant T
--   :deadline zset  l<request> its lease ends, w<request> it times out, b<P> creates again, p<P> a prediction is due
--   :hosts    hash  host -> capacity and use;  :hc:<host> zset of its containers
local state = {}

-- Requests and containers are arrays (one allocation each); these are their fields.
state.STATE, state.POOL = 1, 2
state.AGENT, state.TENANT, state.KEY, state.TRACE, state.CONTAINER, state.ANSWER, state.ARRIVED, state.AGE, state.DEADLINE, state.LEASE_MS,
    state.CPU, state.MEMORY = 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14
state.HOST, state.ADDRESS, state.C_CPU, state.C_MEMORY, state.REUSE, state.REQUEST, state.CREATED = 3, 4, 5, 6, 7, 8, 9
local STATE, POOL, HOST, C_MEMORY, REUSE = 1, 2, 3, 6, 7
local FRESH = '!' -- the reuse key of a container that nobody has used; not a name, so no tenant has it
local format -- string's; the global tables are not there yet while the library is loaded
local BULK = 4000 -- values in one command

local root, now, settings
local reqs, req_dirty, containers, container_dirty, pools, pool_dirty
local second_text, second_packed
local lists, hosts, host_dirty, host_sets, deadlines, ended, plain, sequence

function state.begin(slot, time, map)
    root, now, settings, format = slot, time, map, string.format
    local second = math.floor(time / 1000000)
    second_text, second_packed = string.format('%d ', second), cmsgpack.pack(second)
    reqs, req_dirty, containers, container_dirty, pools, pool_dirty = {}, {}, {}, {}, {}, {}
    lists, hosts, host_dirty, host_sets = {}, nil, {}, {}
    deadlines, ended, plain, sequence = {name = root .. ':deadline', changes = {}}, {}, {}, nil
end

local function bulk(name, key, values, size)
    local n = #values
    if n == 0 then return end
    if n <= BULK then
        redis.call(name, key, unpack(values))
        return
    end
    for i = 1, n, size do redis.call(name, key, unpack(values, i, math.min(i + size - 1, n))) end
end
state.bulk = function(name, key, values) bulk(name, root .. key, values, BULK) end

local function read_hash(key, names, into, parse)
    for i = 1, #names, BULK do
        local last = math.min(i + BULK - 1, #names)
        local values = redis.call('HMGET', key, unpack(names, i, last))
        for k = i, last do
            local raw = values[k - i + 1]
            into[names[k]] = raw and parse(raw) or false
        end
    end
end

-- Requests ----------------------------------------------------------------------------------------------------------------------

local function parse(raw) return {cmsgpack.unpack(raw)} end

-- A leased request is kept as its packed answer, to be given again as it was: the fields that are still needed are in it.
local LEASED = '\161l' -- 'l' as MessagePack

local function parse_request(raw)
    if raw:byte(2) ~= 108 then return parse(raw) end -- 'l'
    local _, _, _, key, trace, _, agent, pool, _, container = cmsgpack.unpack_limit(raw, 9)
    return {'l', pool, agent, '', key, trace, container, raw}
end

-- The packed answer of a leased request, without its offset; and its epoch and when it expires (ms, 0: never).
function state.answer_of(r) return r[state.ANSWER]:sub(#LEASED + 1) end
function state.keep_answer(r, rest) r[state.ANSWER] = LEASED .. rest end
function state.lease_of(r)
    local _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, epoch, expires = cmsgpack.unpack_limit(r[state.ANSWER], 16)
    return epoch, expires
end

local function pack_array(t) return cmsgpack.pack(unpack(t)) end

function state.load_requests(ids)
    local missing = {}
    for _, id in ipairs(ids) do
        if reqs[id] == nil then
            missing[#missing + 1] = id
            reqs[id] = false
        end
    end
    if #missing > 0 then read_hash(root .. ':req', missing, reqs, parse_request) end
end

function state.request(id)
    if reqs[id] == nil then state.load_requests({id}) end
    return reqs[id]
end

function state.put_request(id, r)
    reqs[id], req_dirty[id] = r, true
    if r[STATE] == 'e' or r[STATE] == 'x' then ended[#ended + 1] = second_text .. id end
end

local function pack_request(r)
    local is = r[STATE] -- of one that is over only that and the second is kept
    if is == 'l' then return r[state.ANSWER] end
    if is == 'w' then return pack_array(r) end
    return (is == 'e' and '\161e' or '\161x') .. second_packed
end

-- Containers --------------------------------------------------------------------------------------------------------------------
-- state: creating, idle, leased, ending. A container goes one way: creating -> idle <-> leased -> ending -> gone.

function state.load_containers(ids)
    local missing = {}
    for _, id in ipairs(ids) do
        if containers[id] == nil then
            missing[#missing + 1] = id
            containers[id] = false
        end
    end
    if #missing > 0 then read_hash(root .. ':c', missing, containers, parse) end
end

function state.container(id)
    if containers[id] == nil then state.load_containers({id}) end
    return containers[id]
end

function state.known_container(id) return containers[id] end
function state.known_containers() return containers end
function state.known_requests() return reqs end
function state.touch_container(id) container_dirty[id] = true end

-- Pools -------------------------------------------------------------------------------------------------------------------------

local COUNTERS = {idle = true, leased = true, creating = true, ending = true, waiting = true}

local function new_pool()
    return {idle = 0, leased = 0, creating = 0, ending = 0, waiting = 0, warm = 0, cold = 0, rejected = 0, lost = 0, peak = 0, size = -1,
        draining = false, failures = 0, retry_at = 0, active = now, cold_us = 0, hungry = false}
end

function state.parse_pool(raw)
    local p = {}
    p.idle, p.leased, p.creating, p.ending, p.waiting, p.warm, p.cold, p.rejected, p.lost, p.peak, p.size, p.draining, p.failures,
        p.retry_at, p.active, p.cold_us, p.hungry = cmsgpack.unpack(raw)
    return p
end

function state.load_pools(names)
    local missing = {}
    for _, name in ipairs(names) do
        if pools[name] == nil then
            missing[#missing + 1] = name
            pools[name] = false
        end
    end
    if #missing > 0 then read_hash(root .. ':pools', missing, pools, state.parse_pool) end
end

local function give_lists(p, name)
    p.idle_list, p.wait_list, p.idle_by, p.wait_by = state.list('idle:' .. name), state.list('wait:' .. name), {}, {}
end

-- The pool, made when it is new; nil when there are too many philosophies.
function state.pool(name, make)
    if pools[name] == nil then state.load_pools({name}) end
    local p = pools[name]
    if p and not p.idle_list then give_lists(p, name) end
    if not p and make then
        local more = 0
        for other in pairs(pool_dirty) do if pools[other] and pools[other].new then more = more + 1 end end
        if redis.call('HLEN', root .. ':pools') + more >= settings.max_philosophies then return nil end
        p = new_pool()
        p.new, pools[name] = true, p
        give_lists(p, name)
    end
    return p or nil
end

function state.touch_pool(name) pool_dirty[name] = true end

-- The setter of a container's state: nobody else changes it, or the counters of its pool.
function state.move(id, c, to)
    local p = pools[c[POOL]]
    local from = c[STATE]
    if from then p[from] = p[from] - 1 end
    if COUNTERS[to] then p[to] = p[to] + 1 end
    if from == 'idle' then
        local own = p.idle_by[c[REUSE]] or state.idle_of(p, c[POOL], c[REUSE])
        p.idle_list.changes[id], own.changes[id] = false, false
    end
    c[STATE] = to
    if from == 'ending' then state.host_ending(c[HOST], -1) end
    if to == 'ending' then
        state.host_ending(c[HOST], 1)
    elseif to == 'idle' then
        local since = state.next_number()
        state.list_add(p.idle_list, id, since)
        state.list_add(p.idle_by[c[REUSE]] or state.idle_of(p, c[POOL], c[REUSE]), id, since)
    elseif to == 'leased' then
        if p.leased > p.peak then p.peak = p.leased end
    elseif to == 'gone' then
        state.host_use(c[HOST], -1, c[C_MEMORY])
        state.host_member(c[HOST], id, false)
    end
    container_dirty[id], pool_dirty[c[POOL]] = true, true
end

function state.add_container(id, c)
    containers[id] = c
    state.host_use(c[HOST], 1, c[C_MEMORY])
    state.host_member(c[HOST], id, true)
    state.move(id, c, 'creating')
end

-- Ordered lists (zsets), read lazily from their head: item(name, i) is the i-th member that was there when the function began or was
-- added since; members removed meanwhile are still seen and are told apart by their state. ---------------------------------------------

function state.list(name)
    local l = lists[name]
    if not l then
        l = {name = root .. ':' .. name, items = {}, added = {}, changes = {}, ask = 16, at = 1}
        lists[name] = l
    end
    return l
end

-- So many more of it will be looked at in this call.
function state.expect(l, count) l.ask = math.min(l.ask + count, 1000) end

function state.list_item(l, i)
    local items = l.items
    if l.complete then return items[i] end
    while i > #items and not l.complete do
        local from = #items
        local more = redis.call('ZRANGE', l.name, from, from + l.ask - 1)
        for k = 1, #more do items[from + k] = more[k] end
        if #more < l.ask then
            l.complete = true
            for k = 1, #l.added do items[#items + 1] = l.added[k] end
        end
    end
    return items[i]
end

function state.list_add(l, member, score)
    l.changes[member] = score
    if l.complete then l.items[#l.items + 1] = member else l.added[#l.added + 1] = member end
end

function state.list_remove(l, member) l.changes[member] = false end

-- The idle containers of a pool with that reuse key, and the waiting requests of a tenant.
function state.idle_of(p, name, reuse)
    local l = p.idle_by[reuse]
    if not l then
        l = state.list('idle:' .. name .. ':' .. reuse)
        p.idle_by[reuse] = l
    end
    return l
end

function state.waiting_of(p, name, tenant)
    local l = p.wait_by[tenant]
    if not l then
        l = state.list('wait:' .. name .. ':' .. tenant)
        p.wait_by[tenant] = l
    end
    return l
end

-- Hosts -------------------------------------------------------------------------------------------------------------------------

function state.hosts()
    if not hosts then
        hosts = {}
        local all = redis.call('HGETALL', root .. ':hosts')
        for i = 1, #all, 2 do
            local h = {}
            h.capacity, h.memory_mb, h.used, h.memory_used, h.beat, h.state, h.runtime, h.ttl_us, h.ending = cmsgpack.unpack(all[i + 1])
            hosts[all[i]] = h
        end
    end
    return hosts
end

-- Memory is counted in whole MB: sums of fractions would drift.
function state.host_use(name, count, memory)
    local h = state.hosts()[name]
    if not h then return end
    h.used, h.memory_used = h.used + count, h.memory_used + math.ceil(memory) * count
    host_dirty[name] = true
end

function state.host_ending(name, count)
    local h = state.hosts()[name]
    if not h then return end
    h.ending, host_dirty[name] = h.ending + count, true
end

function state.host_member(name, id, is)
    host_sets[name] = host_sets[name] or {}
    host_sets[name][id] = is
end

function state.touch_host(name) host_dirty[name] = true end
function state.forget_host(name) hosts[name], host_dirty[name] = nil, true end

-- Deadlines, numbers, other writes --------------------------------------------------------------------------------------------------

-- at: us, or nil when there is none any more.
function state.deadline(member, at) deadlines.changes[member] = at or false end

-- Grows for ever, also when Redis has forgotten: the larger of the last one plus 1 and the time in us.
function state.next_number()
    if not sequence then sequence = tonumber(redis.call('HGET', root .. ':meta', 'n') or 0) end
    sequence = sequence < now and now or sequence + 1
    return sequence
end

function state.number_text(n) return string.format('%.0f', n) end

-- A single write to do with the flush: {'ZADD', ':active', score, member}.
function state.later(command) plain[#plain + 1] = command end

local function flush_map(key, map, dirty, packer)
    local set, gone, n, m = {}, {}, 0, 0
    for name in pairs(dirty) do
        local value = packer(map[name])
        if value then
            set[n + 1], set[n + 2], n = name, value, n + 2
        else
            m = m + 1
            gone[m] = name
        end
    end
    bulk('HSET', root .. key, set, BULK)
    bulk('HDEL', root .. key, gone, BULK)
end

local function flush_list(l)
    local add, gone = {}, {}
    local n, m = 0, 0
    local last, text -- many have the same deadline; Redis would write a number out slower than string.format does
    for member, score in pairs(l.changes) do
        if score then
            if score ~= last then last, text = score, format('%d', score) end
            add[n + 1], add[n + 2], n = text, member, n + 2
        else
            m = m + 1
            gone[m] = member
        end
    end
    bulk('ZREM', l.name, gone, BULK)
    bulk('ZADD', l.name, add, BULK)
end

local function pack_container(c)
    if c[STATE] == 'gone' then return nil end
    return cmsgpack.pack(unpack(c, 1, 9))
end

local function pack_pool(p)
    return cmsgpack.pack(p.idle, p.leased, p.creating, p.ending, p.waiting, p.warm, p.cold, p.rejected, p.lost, p.peak, p.size, p.draining, p.failures,
        p.retry_at, p.active, p.cold_us, p.hungry)
end

-- Requests that ended request_ttl ago, or are more than max_requests, oldest first, at most so many of them. How many.
function state.forget(most)
    local key = root .. ':ended'
    local over = redis.call('LLEN', key) - settings.max_requests
    local before = math.floor(now / 1000000) - settings.request_ttl
    local oldest = redis.call('LRANGE', key, 0, 0)[1]
    if not oldest or (over <= 0 and tonumber(oldest:match('^%d+')) > before) then return 0 end
    local ids, seconds, past = {}, {}, {}
    for i, entry in ipairs(redis.call('LRANGE', key, 0, math.min(most, BULK) - 1)) do
        local at, id = entry:match('^(%d+) (.*)$')
        if i > over and tonumber(at) > before then break end
        ids[i], seconds[i] = id, tonumber(at)
    end
    local rows = redis.call('HMGET', root .. ':req', unpack(ids))
    for i, row in ipairs(rows) do -- one that ended again later is on the list again
        local is, at = cmsgpack.unpack(row or '\192\192')
        if (is == 'e' or is == 'x') and at <= seconds[i] then past[#past + 1] = ids[i] end
    end
    redis.call('LPOP', key, #ids)
    if #past > 0 then redis.call('HDEL', root .. ':req', unpack(past)) end
    return #ids
end

function state.flush()
    flush_map(':req', reqs, req_dirty, pack_request)
    flush_map(':c', containers, container_dirty, pack_container)
    local active = {}
    for name in pairs(pool_dirty) do
        if pools[name] then
            active[#active + 1] = format('%d', pools[name].active)
            active[#active + 1] = name
        else
            pool_dirty[name] = nil
        end
    end
    flush_map(':pools', pools, pool_dirty, pack_pool)
    bulk('ZADD', root .. ':active', active, BULK)
    for _, l in pairs(lists) do flush_list(l) end
    flush_list(deadlines)
    bulk('RPUSH', root .. ':ended', ended, BULK)
    if #ended > 0 then state.forget(#ended + 20) end -- whoever adds to them also takes away
    flush_map(':hosts', hosts or {}, host_dirty, function(h)
        return h and cmsgpack.pack(h.capacity, h.memory_mb, h.used, h.memory_used, h.beat, h.state, h.runtime, h.ttl_us, h.ending) or nil
    end)
    for name, members in pairs(host_sets) do
        for id, is in pairs(members) do
            if is then redis.call('ZADD', root .. ':hc:' .. name, 0, id) else redis.call('ZREM', root .. ':hc:' .. name, id) end
        end
    end
    if sequence then redis.call('HSET', root .. ':meta', 'n', state.number_text(sequence)) end
    for _, command in ipairs(plain) do
        command[2] = root .. command[2]
        redis.call(unpack(command))
    end
end
