-- The cache: entries known as namespace and key, with a time to live, evicted by least recent use.
--   <slot>:v:<namespace>   hash  key -> value
--   <slot>:m:<namespace>   hash  key -> what is known of the entry (CREATED ... BYTES below), as MessagePack
--   <slot>:lru:<namespace> zset  key by the number of its last use       <slot>:exp:<namespace>  zset  key by its expiry in us
--   <slot>:lru, :exp       zset  namespace by the lowest score of its own: where the next victim is found
--   <slot>:ns              hash  namespace -> size, bytes, hits, misses   <slot>:totals  hash  the sums, and what is not per namespace
--   <slot>:resized         zset  event ids of the last resizes
-- A batch is worked out in memory, against what Redis held before it, and then written with one command a structure. What it
-- held is only read until then, so a failure leaves nothing half done.
local store = {}

local NAMESPACES_MAX, RESIZES_KEPT = 1000, 1000
local WORK = 500 -- of a call's removals: one each, and NAMESPACE_WORK (cache_eviction.lua) for each further namespace that they are sought in
local CREATED, EXPIRES, COUNT, LAST, BYTES, JSON = 1, 2, 3, 4, 5, 6 -- of an entry; JSON: bytes of its value as JSON, nil: not counted
local MEMORY_PART = 3 -- of Redis' maxmemory that keys and values may take: 1 in so many
local TOTALS = {'size', 'bytes', 'hits', 'misses', 'evictions', 'expired', 'uses', 'limit'}

function store.totals(slot)
    local values, totals = redis.call('HMGET', slot .. ':totals', unpack(TOTALS)), {}
    for i, name in ipairs(TOTALS) do totals[name] = tonumber(values[i] or 0) end
    return totals
end

-- The limit in bytes that is in force.
function store.max_bytes(settings)
    local most = settings.max_bytes or 0
    return frame.maxmemory > 0 and math.min(most, math.floor(frame.maxmemory / MEMORY_PART)) or most
end

-- What a call works on.
function store.open(slot, now, settings)
    local totals = store.totals(slot)
    return {
        slot = slot, now = now, settings = settings, totals = totals,
        limit = totals.limit > 0 and totals.limit or settings.max_entries,
        max_bytes = store.max_bytes(settings),
        budget = WORK,                    -- of removals, what is left to this call
        namespaces = {}, forgotten = {}, resized = {},
        uses = {}, used = 1,              -- what the batch used, in order, and the first that may still be there
        pending = {}, value_bytes = 0,    -- records whose values are fetched at the end, and the bytes of all values
        walks = {lru = {sources = {}, heads = 0}, exp = {sources = {}, heads = 0}},
    }
end

-- entries: key -> entry, or false when there is none; nil: not read yet. An entry used by this batch has `use`, one set by it
-- `value`. removed: keys that Redis still has. cleared: nothing of what Redis has is left. moved: the order of use has changed;
-- stored: so has what there is.
function store.namespace(state, name)
    local ns = state.namespaces[name]
    if not ns then
        local row = state.rows and (state.rows[name] or false)
        if row == nil then row = redis.call('HGET', state.slot .. ':ns', name) end
        local size, bytes, hits, misses = 0, 0, 0, 0
        if row then size, bytes, hits, misses = unpack(cmsgpack.unpack(row)) end
        ns = {name = name, known = row and true or false, size = size, bytes = bytes, hits = hits, misses = misses,
              entries = {}, removed = {}, expired_removed = 0}
        state.namespaces[name] = ns
    end
    return ns
end

function store.read(state, ns, keys)
    local packed = bulk.read(state.slot .. ':m:' .. ns.name, keys)
    for i, key in ipairs(keys) do ns.entries[key] = packed[i] and cmsgpack.unpack(packed[i]) end
end

local function add_size(state, ns, entries, bytes)
    ns.size, ns.bytes = ns.size + entries, ns.bytes + bytes
    state.totals.size, state.totals.bytes = state.totals.size + entries, state.totals.bytes + bytes
end

function store.remove(state, ns, key, entry)
    add_size(state, ns, -1, -entry[BYTES])
    ns.entries[key], ns.removed[key], ns.moved, ns.stored = false, true, true, true
    if entry[EXPIRES] <= state.now then
        ns.expired_removed = ns.expired_removed + 1
        state.totals.expired = state.totals.expired + 1
    end
end

-- The live entry, or nil; one that has expired goes.
function store.find(state, ns, key)
    local entry = ns.entries[key]
    if entry and entry[EXPIRES] <= state.now then
        store.remove(state, ns, key, entry)
        return nil
    end
    return entry or nil
end

function store.use(state, ns, key, entry)
    state.totals.uses = state.totals.uses + 1
    entry.use, ns.moved = state.totals.uses, true
    state.uses[#state.uses + 1] = {ns, key, entry.use}
end

-- What an event asks of a namespace that is not known yet: there may be too many. Empty ones are forgotten first.
function store.make_known(state, ns, forget)
    if ns.known then return true end
    local name = state.slot .. ':ns'
    state.known = state.known or redis.call('HLEN', name)
    if state.known >= NAMESPACES_MAX and forget and not state.forgot then
        state.forgot = true
        local rows = redis.call('HGETALL', name)
        for i = 1, #rows, 2 do
            if cmsgpack.unpack(rows[i + 1])[1] == 0 and not state.namespaces[rows[i]] then
                state.forgotten[#state.forgotten + 1] = rows[i]
            end
        end
        state.known = state.known - #state.forgotten
    end
    if state.known >= NAMESPACES_MAX then return false end
    state.known, ns.known = state.known + 1, true
    return true
end

-- Returns how many live entries went. may_expire: whether some of it may have expired.
function store.clear(state, ns, may_expire)
    if ns.size == 0 then return 0 end
    local expired = 0
    if not ns.cleared and may_expire ~= false then
        expired = redis.call('ZCOUNT', state.slot .. ':exp:' .. ns.name, '-inf', state.now) - ns.expired_removed
    end
    local live = ns.size - expired
    state.totals.expired = state.totals.expired + expired
    add_size(state, ns, -ns.size, -ns.bytes)
    ns.entries, ns.removed, ns.cleared, ns.moved, ns.stored = {}, {}, true, true, true
    return live
end

-- The same for all namespaces: what Redis has of them is read with two commands.
function store.clear_all(state)
    local rows, expiring, count = redis.call('HGETALL', state.slot .. ':ns'), {}, 0
    state.rows = {}
    for i = 1, #rows, 2 do state.rows[rows[i]] = rows[i + 1] end
    for i = 1, #rows, 2 do store.namespace(state, rows[i]) end
    for _, name in ipairs(redis.call('ZRANGEBYSCORE', state.slot .. ':exp', '-inf', frame.text(state.now))) do expiring[name] = true end
    for name, ns in pairs(state.namespaces) do count = count + store.clear(state, ns, expiring[name] or false) end
    return count
end

-- The values as they were before the batch: later ones are in the entries.
function store.fetch_values(state)
    for ns, records in pairs(state.pending) do
        local keys = {}
        for i, record in ipairs(records) do keys[i] = record[7] end
        local values = bulk.read(state.slot .. ':v:' .. ns.name, keys)
        for i, record in ipairs(records) do record[9] = values[i] end
    end
end

local function save_head(state, order, ns)
    local key = state.slot .. ':' .. order
    local head = redis.call('ZRANGE', key .. ':' .. ns.name, 0, 0, 'WITHSCORES')
    if head[1] then redis.call('ZADD', key, head[2], ns.name) else redis.call('ZREM', key, ns.name) end
end

local function save_entries(state, ns)
    local function key(what) return state.slot .. ':' .. what .. ':' .. ns.name end
    if ns.cleared then redis.call('UNLINK', key('v'), key('m'), key('lru'), key('exp')) end
    local gone, values, metas, lru, exp = {}, {}, {}, {}, {}
    for name in pairs(ns.removed) do gone[#gone + 1] = name end
    for name, e in pairs(ns.entries) do
        if e and e.use then
            local n = #metas
            metas[n + 1], metas[n + 2] = name, cmsgpack.pack({e[CREATED], e[EXPIRES], e[COUNT], e[LAST], e[BYTES], e[JSON]})
            lru[n + 1], lru[n + 2] = e.use, name
            if e.value then
                n = #values
                values[n + 1], values[n + 2] = name, e.value
                exp[n + 1], exp[n + 2] = e[EXPIRES], name
            end
        end
    end
    bulk.write('HDEL', key('v'), gone)
    bulk.write('HDEL', key('m'), gone)
    bulk.write('ZREM', key('lru'), gone)
    bulk.write('ZREM', key('exp'), gone)
    bulk.write('HSET', key('v'), values)
    bulk.write('HSET', key('m'), metas)
    bulk.write('ZADD', key('lru'), lru)
    bulk.write('ZADD', key('exp'), exp)
    save_head(state, 'lru', ns)
    if ns.stored then save_head(state, 'exp', ns) end
end

-- Namespaces of which nothing is left, all with a few commands.
local function drop_entries(state, names)
    local keys, n = {}, 0
    for _, name in ipairs(names) do
        for _, what in ipairs({':v:', ':m:', ':lru:', ':exp:'}) do
            n = n + 1
            keys[n] = state.slot .. what .. name
        end
    end
    for i = 1, n, bulk.MOST do redis.call('UNLINK', unpack(keys, i, math.min(i + bulk.MOST - 1, n))) end
    bulk.write('ZREM', state.slot .. ':lru', names)
    bulk.write('ZREM', state.slot .. ':exp', names)
end

function store.save(state)
    store.fetch_values(state)
    local rows, totals, resized, dropped = {}, {}, {}, {}
    for name, ns in pairs(state.namespaces) do
        if ns.cleared and ns.size == 0 then
            dropped[#dropped + 1] = name
        elseif ns.moved then
            save_entries(state, ns)
        end
        if ns.known then
            rows[#rows + 1] = name
            rows[#rows + 1] = cmsgpack.pack({ns.size, ns.bytes, ns.hits, ns.misses})
        end
    end
    drop_entries(state, dropped)
    for i, name in ipairs(TOTALS) do totals[2 * i - 1], totals[2 * i] = name, state.totals[name] end
    for id, at in pairs(state.resized) do
        resized[#resized + 1] = at
        resized[#resized + 1] = id
    end
    bulk.write('HDEL', state.slot .. ':ns', state.forgotten)
    bulk.write('HSET', state.slot .. ':ns', rows)
    bulk.write('HSET', state.slot .. ':totals', totals)
    bulk.write('ZADD', state.slot .. ':resized', resized)
    if #resized > 0 then redis.call('ZREMRANGEBYRANK', state.slot .. ':resized', 0, -RESIZES_KEPT - 1) end
end
