-- The cache's operations and its batches (delivery.lua calls them), on the entries of cache_store.lua.
local cache = {}

local EXPIRED_A_CALL = 20
local VALUES_MAX = 4 * 1024 * 1024 -- bytes of values in the records of a call
local ENVELOPE = 320                -- bytes of an answer beside what is counted in room_for_value: names of fields, framings
local KEY_COPIED = 65536            -- an event with a longer message key is answered with its id as the key
local JSON_MOST = 6                -- bytes that a byte of a value takes as JSON, at most
local TTL_MAX = 3155760000         -- a hundred years, so that times stay exact

-- ---- the operations: event -> record, or nil when the call must end before this event ----

local function answer(event, hit, value, ttl, reason, count)
    return {3, event[2], event[3], event[4], event[5], event[6], event[7], hit, value, ttl, reason or '', count or false}
end

local function count_lookup(state, ns, what)
    state.totals[what] = state.totals[what] + 1
    if store.make_known(state, ns, false) then ns[what] = ns[what] + 1 end
end

-- How many bytes a value may have in the answer to a get like this event, so that Kafka takes it.
local function room_for_value(state, event)
    local key = #event[2] > KEY_COPIED and 0 or #event[2]
    return (state.settings.answer_bytes or math.huge) - ENVELOPE - key - #event[3] - 2 * (#event[4] + #event[6] + #event[7])
end

-- bytes: of the value; json: the most that it takes as JSON, where somebody has counted (no character takes more than six bytes).
local function fits(state, event, bytes, json)
    return (state.settings.answer_json and (json or JSON_MOST * bytes) or bytes) <= room_for_value(state, event)
end

-- What a get finds: the live entry or nil, and why it is not given.
local function look_up(state, event)
    local ns, key = store.namespace(state, event[6]), event[7]
    local entry = store.find(state, ns, key)
    if not entry then return nil end
    if not fits(state, event, entry[BYTES] - #key, entry[JSON]) then return nil, 'too_large' end
    return entry
end

local function found(state, event, entry)
    local ns = store.namespace(state, event[6])
    local record = answer(event, true, entry.value or false, math.ceil((entry[EXPIRES] - state.now) / 1000000))
    if not entry.value then
        state.pending[ns] = state.pending[ns] or {}
        table.insert(state.pending[ns], record)
    end
    return record
end

local ops = {}

function ops.get(state, event, first)
    local ns, key = store.namespace(state, event[6]), event[7]
    local entry, reason = look_up(state, event)
    if not entry then
        count_lookup(state, ns, 'misses')
        return answer(event, false, false, false, reason)
    end
    local bytes = entry[BYTES] - #key
    if not first and state.value_bytes + bytes > VALUES_MAX then return nil end
    state.value_bytes = state.value_bytes + bytes
    count_lookup(state, ns, 'hits')
    entry[COUNT], entry[LAST] = entry[COUNT] + 1, state.now
    store.use(state, ns, key, entry)
    return found(state, event, entry)
end

local function ttl_of(state, event)
    local ttl = event[9] or state.settings.ttl[event[6]] or state.settings.default_ttl
    return math.min(ttl, TTL_MAX)
end

function ops.set(state, event, first)
    local ns, key, value = store.namespace(state, event[6]), event[7], event[8]
    local old = store.find(state, ns, key)
    local bytes, ttl = #key + #value, ttl_of(state, event)
    local refused
    if #value > state.settings.max_value_bytes or bytes > state.max_bytes or not fits(state, event, #value, event[11]) then
        refused = 'too_large'
    elseif ttl > 0 and not store.make_known(state, ns, true) then
        refused = 'too_many_namespaces'
    elseif ttl > 0 then
        if old then -- not to be evicted for itself
            state.totals.uses = state.totals.uses + 1
            old.use, ns.moved = state.totals.uses, true
        end
        if not eviction.make_room(state, old and 0 or 1, bytes - (old and old[BYTES] or 0)) then
            if not first then return nil end
            refused = 'no_room'
        end
    end
    if old then store.remove(state, ns, key, old) end -- nobody is to read a stale value
    if refused then return answer(event, old ~= nil, false, false, refused) end
    if ttl > 0 then
        local entry = {state.now, state.now + ttl * 1000000, 0, state.now, bytes, event[11] or nil}
        entry.value = value
        ns.entries[key], ns.removed[key], ns.stored = entry, nil, true
        add_size(state, ns, 1, bytes)
        store.use(state, ns, key, entry)
    end
    return answer(event, old ~= nil, false, ttl)
end

function ops.invalidate(state, event)
    local ns = store.namespace(state, event[6])
    local entry = store.find(state, ns, event[7])
    if entry then store.remove(state, ns, event[7], entry) end
    return answer(event, entry ~= nil, false, false)
end

function ops.clear(state, event)
    local count = event[6] == '' and store.clear_all(state) or store.clear(state, store.namespace(state, event[6]))
    return answer(event, count > 0, false, false, nil, count)
end

-- Every worker may ask for the same resize: only the first of an event id counts.
function ops.resize(state, event)
    local id, key = event[4], state.slot .. ':resized'
    if not state.resized[id] and not redis.call('ZSCORE', key, id) then
        state.totals.uses = state.totals.uses + 1
        state.resized[id] = state.totals.uses
        state.totals.limit, state.limit = event[10], event[10]
        eviction.make_room(state, 0, 0)
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
    for name, keys in pairs(wanted) do store.read(state, store.namespace(state, name), keys) end
end

local function apply_one(state, event, first)
    local wrong = fault(event)
    if wrong then return {5, event[2], event[3], wrong} end
    if state.settings.enabled then return ops[event[5]](state, event, first) end
    if event[5] == 'get' then count_lookup(state, store.namespace(state, event[6]), 'misses') end
    return answer(event, false, false, false, 'disabled')
end

-- Gets are not stored: what is asked again is read again, uncounted, and answered with what there is then.
function cache.is_read(event) return event[5] == 'get' and event[6] ~= '' and event[7] ~= '' end

-- reply.bytes: of what is answered again in this call. Returns records, and how many of the events they answer.
function cache.reread(events, reply)
    local state, records = store.open(frame.slot, frame.now, frame.settings), delivery.records()
    prepare(state, events)
    for i, event in ipairs(events) do
        local entry, reason = nil, 'disabled'
        if state.settings.enabled then entry, reason = look_up(state, event) end
        local bytes = entry and entry[BYTES] or 0
        if i > 1 and reply.bytes + bytes > VALUES_MAX then break end
        reply.bytes = reply.bytes + bytes
        records.n, records.offsets[i] = i, event[1]
        records[i] = entry and found(state, event, entry) or answer(event, false, false, false, reason)
    end
    store.fetch_values(state)
    return records, records.n
end

-- The topic function (delivery.lua): the batches one after the other, as if they were one.
function cache.apply(batches, now, settings, slot)
    local state, all, lists, applied = store.open(slot, now, settings), {}, {}, {}
    for _, events in ipairs(batches) do
        for i = 1, #events do all[#all + 1] = events[i] end
    end
    prepare(state, all)
    for _ = 1, EXPIRED_A_CALL do
        if not eviction.remove_expired(state) then break end
    end
    eviction.make_room(state, 0, 0)
    local first, enough = true, false
    for b, events in ipairs(batches) do
        if enough then break end
        local records, reads = delivery.records(), {}
        lists[b], records.reads = records, reads
        for i, event in ipairs(events) do
            local record = apply_one(state, event, first)
            enough = not record
            if enough then break end
            delivery.add(records, event[1], record)
            reads[i] = cache.is_read(event)
            applied[b], first = event[1], false
            if records.bytes > events.room then break end
        end
    end
    store.save(state)
    return lists, applied
end

-- Removes what has expired, and goes on with a resize; returns how many went.
function cache.sweep(slot, now, settings)
    local state = store.open(slot, now, settings)
    local before = state.totals.size
    while state.budget > 0 and eviction.remove_expired(state) do end
    eviction.make_room(state, 0, 0)
    if state.totals.size < before then store.save(state) end
    return before - state.totals.size
end
