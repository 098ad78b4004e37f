-- The cache: entries known as namespace and key, with a time to live, evicted by least recent use.
--   <slot>:v:<namespace>   hash  key -> value
--   <slot>:m:<namespace>   hash  key -> what is known of the entry (CREATED ... BYTES below), as MessagePack
--   <slot>:lru:<namespace> zset  key by the number of its last use       <slot>:exp:<namespace>  zset  key by its expiry in us
--   <slot>:lru, :exp       zset  namespace by the lowest score of its own: where the next victim is found
--   <slot>:ns              hash  namespace -> size, bytes, hits, misses   <slot>:totals  hash  the sums, and what is not per namespace
--   <slot>:resized         zset  event ids of the last resizes
-- A batch is worked out in memory, against what Redis held before it, and then written with one command a structure. What it
-- held is only read until then, so a failure leaves nothing half done.
local cache = {}

local EXPIRED_A_CALL, EVICTED_A_CALL, SWEPT_A_CALL = 20, 1000, 1000
local NAMESPACES_MAX, RESIZES_KEPT = 1000, 1000
local VALUES_MAX = 4 * 1024 * 1024 -- bytes of values in the records of a call
local ENVELOPE = 320                -- bytes of an answer beside what is counted in room_for_value: names of fields, framings
local KEY_COPIED = 65536            -- an event with a longer message key is answered with its id as the key
local TTL_MAX = 3155760000         -- a hundred years, so that times stay exact
local CREATED, EXPIRES, COUNT, LAST, BYTES = 1, 2, 3, 4, 5
local TOTALS = {'size', 'bytes', 'hits', 'misses', 'evictions', 'expired', 'uses', 'limit'}

local function read_totals(slot)
    local values, totals = redis.call('HMGET', slot .. ':totals', unpack(TOTALS)), {}
    for i, name in ipairs(TOTALS) do totals[name] = tonumber(values[i] or 0) end
    return totals
end

-- unpack takes only some thousand values at once.
local function call_with_all(command, key, list)
    for i = 1, #list, 1000 do redis.call(command, key, unpack(list, i, math.min(i + 999, #list))) end
end

local function open(slot, now, settings)
    local totals = read_totals(slot)
    return {
        slot = slot, now = now, settings = settings, totals = totals,
        limit = totals.limit > 0 and totals.limit or settings.max_entries,
        budget = EVICTED_A_CALL,          -- removals left to this call
        namespaces = {}, forgotten = {}, resized = {},
        uses = {}, used = 1,              -- what the batch used, in order, and the first that may still be there
        pending = {}, value_bytes = 0,    -- records whose values are fetched at the end, and the bytes of all values
        walks = {lru = {sources = {}, heads = 0}, exp = {sources = {}, heads = 0}},
    }
end

-- entries: key -> entry, or false when there is none; nil: not read yet. An entry used by this batch has `use`, one set by it
-- `value`. removed: keys that Redis still has. cleared: nothing of what Redis has is left. moved: the order of use has changed;
-- stored: so has what there is.
local function namespace(state, name)
    local ns = state.namespaces[name]
    if not ns then
        local row = redis.call('HGET', state.slot .. ':ns', name)
        local size, bytes, hits, misses = 0, 0, 0, 0
        if row then size, bytes, hits, misses = unpack(cmsgpack.unpack(row)) end
        ns = {name = name, known = row and true or false, size = size, bytes = bytes, hits = hits, misses = misses,
              entries = {}, removed = {}, expired_removed = 0}
        state.namespaces[name] = ns
    end
    return ns
end

local function read_entries(state, ns, keys)
    if #keys == 0 then return end
    for i = 1, #keys, 1000 do
        local last = math.min(i + 999, #keys)
        local packed = redis.call('HMGET', state.slot .. ':m:' .. ns.name, unpack(keys, i, last))
        for j = i, last do ns.entries[keys[j]] = packed[j - i + 1] and cmsgpack.unpack(packed[j - i + 1]) end
    end
end

local function add_size(state, ns, entries, bytes)
    ns.size, ns.bytes = ns.size + entries, ns.bytes + bytes
    state.totals.size, state.totals.bytes = state.totals.size + entries, state.totals.bytes + bytes
end

local function remove(state, ns, key, entry)
    add_size(state, ns, -1, -entry[BYTES])
    ns.entries[key], ns.removed[key], ns.moved, ns.stored = false, true, true, true
    if entry[EXPIRES] <= state.now then
        ns.expired_removed = ns.expired_removed + 1
        state.totals.expired = state.totals.expired + 1
    end
end

-- The live entry, or nil; one that has expired goes.
local function find(state, ns, key)
    local entry = ns.entries[key]
    if entry and entry[EXPIRES] <= state.now then
        remove(state, ns, key, entry)
        return nil
    end
    return entry or nil
end

local function use(state, ns, key, entry)
    state.totals.uses = state.totals.uses + 1
    entry.use, ns.moved = state.totals.uses, true
    state.uses[#state.uses + 1] = {ns, key, entry.use}
end

-- ---- victims: what Redis held before the batch, in the order of `lru` or `exp`, over all namespaces ----

local function insert(sources, source)
    local low, high = 1, #sources + 1
    while low < high do
        local middle = math.floor((low + high) / 2)
        if sources[middle].score <= source.score then low = middle + 1 else high = middle end
    end
    table.insert(sources, low, source)
end

-- The namespaces with the lowest scores come first, some at a time.
local function read_heads(state, order, walk)
    local heads = redis.call('ZRANGE', state.slot .. ':' .. order, walk.heads, walk.heads + 15, 'WITHSCORES')
    walk.heads = walk.heads + 16
    walk.all_heads = #heads < 32
    for i = 1, #heads, 2 do
        walk.last_head = tonumber(heads[i + 1])
        insert(walk.sources, {name = heads[i], score = walk.last_head, from = 0, size = 4, at = 1, page = {}})
    end
end

-- Moves the source to its next key, reading ever larger pages; false after the last.
local function advance(state, order, source)
    if source.at > #source.page then
        if source.ended then return false end
        source.page = redis.call('ZRANGE', state.slot .. ':' .. order .. ':' .. source.name, source.from,
                                 source.from + source.size - 1, 'WITHSCORES')
        source.ended = #source.page < 2 * source.size
        source.from, source.size, source.at = source.from + source.size, math.min(2 * source.size, 64), 1
        local keys = {}
        for i = 1, #source.page, 2 do
            if source.ns.entries[source.page[i]] == nil then keys[#keys + 1] = source.page[i] end
        end
        read_entries(state, source.ns, keys)
        if #source.page == 0 then return false end
    end
    source.key, source.score = source.page[source.at], tonumber(source.page[source.at + 1])
    source.at = source.at + 2
    return true
end

-- The next namespace, key and entry that this batch neither used nor removed, with a score up to `limit`.
local function next_victim(state, order, limit)
    local walk = state.walks[order]
    while true do
        while not walk.all_heads and (not walk.sources[1] or walk.sources[1].score >= walk.last_head) do
            read_heads(state, order, walk)
        end
        local source = walk.sources[1]
        if not source or source.score > limit then return nil end
        table.remove(walk.sources, 1)
        source.ns = namespace(state, source.name)
        if not source.ns.cleared and (source.key or advance(state, order, source)) then
            local ns, key = source.ns, source.key
            if advance(state, order, source) then insert(walk.sources, source) end
            local entry = ns.entries[key]
            if entry and not entry.use then return ns, key, entry end
        end
    end
end

local function remove_expired(state)
    local ns, key, entry = next_victim(state, 'exp', state.now)
    if ns then remove(state, ns, key, entry) end
    return ns ~= nil
end

-- Whatever this batch has used was used later than all the rest.
local function evict(state)
    local ns, key, entry = next_victim(state, 'lru', math.huge)
    while not ns and state.uses[state.used] do
        local used = state.uses[state.used]
        state.used = state.used + 1
        local found = used[1].entries[used[2]]
        if found and found.use == used[3] then ns, key, entry = used[1], used[2], found end
    end
    if ns then
        remove(state, ns, key, entry)
        state.totals.evictions = state.totals.evictions + 1
    end
    return ns ~= nil
end

-- Makes room for so many entries and bytes more: expired entries go first, then the least recently used. When the call's share of
-- removals is used up, an entry more than the limit may stay (a resize is still going on) if one went for it, but never a
-- byte: then false.
local function make_room(state, entries, bytes)
    local totals, removed = state.totals, 0
    while true do
        local heavy = totals.bytes + bytes > state.settings.max_bytes
        if not heavy and totals.size + entries <= state.limit then return true end
        if state.budget <= 0 and heavy then return false end
        if state.budget <= 0 and removed >= entries then return true end
        if not remove_expired(state) and not evict(state) then return not heavy end
        removed, state.budget = removed + 1, state.budget - 1
    end
end

-- ---- the operations: event -> record, or nil when the call must end before this event ----

local function answer(event, hit, value, ttl, reason, count)
    return {3, event[2], event[3], event[4], event[5], event[6], event[7], hit, value, ttl, reason or '', count or false}
end

-- What an event asks of a namespace that is not known yet: there may be too many. Empty ones are forgotten first.
local function make_known(state, ns, forget)
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

local function count_lookup(state, ns, what)
    state.totals[what] = state.totals[what] + 1
    if make_known(state, ns, false) then ns[what] = ns[what] + 1 end
end

-- How many bytes a value may have in the answer to a get like this event, so that Kafka takes it.
local function room_for_value(state, event)
    local key = #event[2] > KEY_COPIED and 0 or #event[2]
    return (state.settings.answer_bytes or math.huge) - ENVELOPE - key - #event[3] - 2 * (#event[4] + #event[6] + #event[7])
end

local function count(text, set)
    local _, found = text:gsub(set, '')
    return found
end

-- The most that a value takes as JSON: a string, or base64 when it is no UTF-8, which only bytes from 128 on can say.
local function json_length(value)
    local short = count(value, '["\\\n\r\t]')
    local escaped = #value + short + 5 * (count(value, '[%z\1-\31]') - count(value, '[\n\r\t]'))
    return value:find('[\128-\255]') and math.max(escaped, 4 * math.ceil(#value / 3)) or escaped
end

-- value is a function, because most need not be looked at.
local function fits(state, event, length, value)
    local room = room_for_value(state, event)
    if not state.settings.answer_json then return length <= room end
    return 6 * length <= room or length <= room and json_length(value()) <= room
end

local ops = {}

function ops.get(state, event, first)
    local ns, key = namespace(state, event[6]), event[7]
    local entry = find(state, ns, key)
    if not entry then
        count_lookup(state, ns, 'misses')
        return answer(event, false, false, false)
    end
    local length = entry[BYTES] - #key
    if not first and state.value_bytes + length > VALUES_MAX then return nil end
    local function value()
        return entry.value or redis.call('HGET', state.slot .. ':v:' .. ns.name, key)
    end
    if not fits(state, event, length, value) then
        count_lookup(state, ns, 'misses')
        return answer(event, false, false, false, 'too_large')
    end
    state.value_bytes = state.value_bytes + length
    count_lookup(state, ns, 'hits')
    entry[COUNT], entry[LAST] = entry[COUNT] + 1, state.now
    use(state, ns, key, entry)
    local record = answer(event, true, entry.value or false, math.ceil((entry[EXPIRES] - state.now) / 1000000))
    if not entry.value then
        state.pending[ns] = state.pending[ns] or {}
        table.insert(state.pending[ns], record)
    end
    return record
end

local function ttl_of(state, event)
    local ttl = event[9] or state.settings.ttl[event[6]] or state.settings.default_ttl
    return math.min(ttl, TTL_MAX)
end

function ops.set(state, event, first)
    local ns, key, value = namespace(state, event[6]), event[7], event[8]
    local old = find(state, ns, key)
    local bytes, ttl = #key + #value, ttl_of(state, event)
    local refused
    if #value > state.settings.max_value_bytes or bytes > state.settings.max_bytes or
            not fits(state, event, #value, function() return value end) then
        refused = 'too_large'
    elseif ttl > 0 and not make_known(state, ns, true) then
        refused = 'too_many_namespaces'
    elseif ttl > 0 then
        if old then -- not to be evicted for itself
            state.totals.uses = state.totals.uses + 1
            old.use, ns.moved = state.totals.uses, true
        end
        if not make_room(state, old and 0 or 1, bytes - (old and old[BYTES] or 0)) then
            if not first then return nil end
            refused = 'no_room'
        end
    end
    if old then remove(state, ns, key, old) end -- nobody is to read a stale value
    if refused then return answer(event, old ~= nil, false, false, refused) end
    if ttl > 0 then
        local entry = {state.now, state.now + ttl * 1000000, 0, state.now, bytes}
        entry.value = value
        ns.entries[key], ns.removed[key], ns.stored = entry, nil, true
        add_size(state, ns, 1, bytes)
        use(state, ns, key, entry)
    end
    return answer(event, old ~= nil, false, ttl)
end

function ops.invalidate(state, event)
    local ns = namespace(state, event[6])
    local entry = find(state, ns, event[7])
    if entry then remove(state, ns, event[7], entry) end
    return answer(event, entry ~= nil, false, false)
end

-- Returns how many live entries went.
local function clear(state, ns)
    if ns.size == 0 then return 0 end
    local expired = 0
    if not ns.cleared then
        expired = redis.call('ZCOUNT', state.slot .. ':exp:' .. ns.name, '-inf', state.now) - ns.expired_removed
    end
    local live = ns.size - expired
    state.totals.expired = state.totals.expired + expired
    add_size(state, ns, -ns.size, -ns.bytes)
    ns.entries, ns.removed, ns.cleared, ns.moved, ns.stored = {}, {}, true, true, true
    return live
end

function ops.clear(state, event)
    local count = 0
    if event[6] ~= '' then
        count = clear(state, namespace(state, event[6]))
    else
        for _, name in ipairs(redis.call('HKEYS', state.slot .. ':ns')) do namespace(state, name) end
        for _, ns in pairs(state.namespaces) do count = count + clear(state, ns) end
    end
    return answer(event, count > 0, false, false, nil, count)
end

-- Every worker may ask for the same resize: only the first of an event id counts.
function ops.resize(state, event)
    local id, key = event[4], state.slot .. ':resized'
    if not state.resized[id] and not redis.call('ZSCORE', key, id) then
        state.totals.uses = state.totals.uses + 1
        state.resized[id] = state.totals.uses
        state.totals.limit, state.limit = event[10], event[10]
        make_room(state, 0, 0)
    end
    return answer(event, false, false, false, nil, state.limit)
end

-- Why an event cannot be handled, or nil. A worker has checked this before: it is for those that have not.
local function fault(event)
    local op = event[5]
    if not ops[op] then return 'unknown op' end
    if op == 'resize' then return (event[10] or 0) < 1 and 'a resize needs a count of at least 1' or nil end
    if op == 'clear' then return nil end
    if event[6] == '' or event[7] == '' then return op .. ' needs a namespace and a key' end
    if op ~= 'set' then return nil end
    if event[8] == false then return 'a set needs a value' end
    if event[9] and event[9] < 0 then return 'ttl_seconds is negative' end
end

-- ---- a batch ----

-- The entries that the batch names are read with one command a namespace.
local function prepare(state, events)
    local wanted = {}
    for _, event in ipairs(events) do
        local name, key = event[6], event[7]
        if name ~= '' and key ~= '' then
            wanted[name] = wanted[name] or {seen = {}}
            if not wanted[name].seen[key] then
                wanted[name].seen[key] = true
                table.insert(wanted[name], key)
            end
        end
    end
    for name, keys in pairs(wanted) do read_entries(state, namespace(state, name), keys) end
end

-- The values as they were before the batch: later ones are in the entries.
local function fetch_values(state)
    for ns, records in pairs(state.pending) do
        for i = 1, #records, 1000 do
            local keys = {}
            for j = i, math.min(i + 999, #records) do keys[#keys + 1] = records[j][7] end
            local values = redis.call('HMGET', state.slot .. ':v:' .. ns.name, unpack(keys))
            for j, value in ipairs(values) do records[i + j - 1][9] = value end
        end
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
            metas[n + 1], metas[n + 2] = name, cmsgpack.pack({e[CREATED], e[EXPIRES], e[COUNT], e[LAST], e[BYTES]})
            lru[n + 1], lru[n + 2] = e.use, name
            if e.value then
                n = #values
                values[n + 1], values[n + 2] = name, e.value
                exp[n + 1], exp[n + 2] = e[EXPIRES], name
            end
        end
    end
    call_with_all('HDEL', key('v'), gone)
    call_with_all('HDEL', key('m'), gone)
    call_with_all('ZREM', key('lru'), gone)
    call_with_all('ZREM', key('exp'), gone)
    call_with_all('HSET', key('v'), values)
    call_with_all('HSET', key('m'), metas)
    call_with_all('ZADD', key('lru'), lru)
    call_with_all('ZADD', key('exp'), exp)
    save_head(state, 'lru', ns)
    if ns.stored then save_head(state, 'exp', ns) end
end

local function save(state)
    fetch_values(state)
    local rows, totals, resized = {}, {}, {}
    for name, ns in pairs(state.namespaces) do
        if ns.moved then save_entries(state, ns) end
        if ns.known then
            rows[#rows + 1] = name
            rows[#rows + 1] = cmsgpack.pack({ns.size, ns.bytes, ns.hits, ns.misses})
        end
    end
    for i, name in ipairs(TOTALS) do totals[2 * i - 1], totals[2 * i] = name, state.totals[name] end
    for id, at in pairs(state.resized) do
        resized[#resized + 1] = at
        resized[#resized + 1] = id
    end
    call_with_all('HDEL', state.slot .. ':ns', state.forgotten)
    call_with_all('HSET', state.slot .. ':ns', rows)
    call_with_all('HSET', state.slot .. ':totals', totals)
    call_with_all('ZADD', state.slot .. ':resized', resized)
    if #resized > 0 then redis.call('ZREMRANGEBYRANK', state.slot .. ':resized', 0, -RESIZES_KEPT - 1) end
end

local function apply_one(state, event, first)
    local wrong = fault(event)
    if wrong then return {5, event[2], event[3], wrong} end
    if state.settings.enabled then return ops[event[5]](state, event, first) end
    if event[5] == 'get' then count_lookup(state, namespace(state, event[6]), 'misses') end
    return answer(event, false, false, false, 'disabled')
end

-- The topic function (delivery.lua): the batches one after the other, as if they were one.
function cache.apply(batches, now, settings, slot)
    local state, all, lists, applied = open(slot, now, settings), {}, {}, {}
    for _, events in ipairs(batches) do
        for i = 1, #events do all[#all + 1] = events[i] end
    end
    prepare(state, all)
    for _ = 1, EXPIRED_A_CALL do
        if not remove_expired(state) then break end
    end
    make_room(state, 0, 0)
    local first, enough = true, false
    for b, events in ipairs(batches) do
        if enough then break end
        local records = delivery.records()
        lists[b] = records
        for i, event in ipairs(events) do
            local record = apply_one(state, event, first)
            enough = not record
            if enough then break end
            records.n, records[i], records.offsets[i] = i, record, event[1]
            applied[b], first = event[1], false
        end
    end
    save(state)
    return lists, applied
end

-- Removes what has expired, and goes on with a resize; returns how many went.
function cache.sweep(slot, now, settings)
    local state = open(slot, now, settings)
    local before = state.totals.size
    for _ = 1, SWEPT_A_CALL do
        if not remove_expired(state) then break end
    end
    make_room(state, 0, 0)
    if state.totals.size < before then save(state) end
    return before - state.totals.size
end

-- ---- for those who only read ----

local function milliseconds(us) return math.floor(us / 1000) end

function cache.entry(slot, now, name, key)
    local packed = redis.call('HGET', slot .. ':m:' .. name, key)
    local entry = packed and cmsgpack.unpack(packed)
    if not entry or entry[EXPIRES] <= now then return {} end
    return {created = milliseconds(entry[CREATED]), expires = milliseconds(entry[EXPIRES]), access_count = entry[COUNT],
            last_accessed = milliseconds(entry[LAST]), bytes = entry[BYTES]}
end

local function hit_rate(hits, misses)
    if hits + misses == 0 then return 0 end
    return math.floor(hits * 10000 / (hits + misses) + 0.5) / 100
end

function cache.stats(slot, now, settings)
    local totals, namespaces = read_totals(slot), {}
    local rows = redis.call('HGETALL', slot .. ':ns')
    for i = 1, #rows, 2 do
        local size, _, hits, misses = unpack(cmsgpack.unpack(rows[i + 1]))
        namespaces[rows[i]] = {size = size, hits = hits, misses = misses, hit_rate_percent = hit_rate(hits, misses)}
    end
    return {size = totals.size, max_size = totals.limit > 0 and totals.limit or settings.max_entries or 0, hits = totals.hits,
            misses = totals.misses, hit_rate_percent = hit_rate(totals.hits, totals.misses), bytes = totals.bytes,
            max_bytes = settings.max_bytes or 0, evictions = totals.evictions, expired = totals.expired,
            now = milliseconds(now), namespaces = namespaces}
end
