-- Eviction: when the cache is full expired entries are removed, then the least recently used ones; when a namespace has reached a limit of its own,
-- those of that namespace. Searches what Redis held before the batch in the order of :lru or :exp, over all namespaces or in the one. Uses
-- cache_store.lua and its arrays.
local eviction = {}

local NAMESPACE_WORK = 20

-- A source is a namespace's zset that is being walked. Inserts it in the order of its next score.
local function insert(sources, source)
    local low, high = 1, #sources + 1
    while low < high do
        local middle = math.floor((low + high) / 2)
        if sources[middle].score <= source.score then low = middle + 1 else high = middle end
    end
    table.insert(sources, low, source)
end

-- Reads the next namespaces, those with the lowest scores first.
local function read_heads(state, order, walk)
    local heads = redis.call('ZRANGE', state.slot .. ':' .. order, walk.heads, walk.heads + 15, 'WITHSCORES')
    walk.heads = walk.heads + 16
    walk.all_heads = #heads < 32
    for i = 1, #heads, 2 do
        walk.last_head = tonumber(heads[i + 1])
        insert(walk.sources, {name = heads[i], score = walk.last_head, from = 0, size = 4, at = 1, page = {}})
    end
end

-- Moves the source to its next key, reading pages of growing size. False: there are no more keys.
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
        store.read(state, source.ns, keys)
        if #source.page == 0 then return false end
    end
    source.key, source.score = source.page[source.at], tonumber(source.page[source.at + 1])
    source.at = source.at + 2
    return true
end

-- The next namespace, key and entry with a score up to `limit` that this call has neither used nor removed; nil: there is none.
local function next_victim(state, order, limit)
    local walk = state.walks[order]
    while true do
        local source = walk.sources[1]
        while not walk.all_heads and (not source or (source.score >= walk.last_head and source.score <= limit)) do
            read_heads(state, order, walk)
            source = walk.sources[1]
        end
        if not source or source.score > limit then return nil end
        table.remove(walk.sources, 1)
        source.ns = store.namespace(state, source.name)
        if source.from == 0 then
            if walk.opened then state.budget = state.budget - NAMESPACE_WORK end
            walk.opened = true
        end
        if not source.ns.cleared and (source.key or advance(state, order, source)) then
            local ns, key = source.ns, source.key
            if advance(state, order, source) then insert(walk.sources, source) end
            local entry = ns.entries[key]
            if entry and not use[entry] then return ns, key, entry end
            if not entry and not ns.removed[key] then
                store.forget(state, ns, key)
                state.budget = state.budget - 1
                if state.budget <= 0 then return nil end
            end
        end
    end
end

-- Removes the next expired entry. False: there is none.
function eviction.remove_expired(state)
    local ns, key, entry = next_victim(state, 'exp', state.now)
    if ns then
        store.remove(state, ns, key, entry)
        state.budget = state.budget - 1
    end
    return ns ~= nil
end

-- Removes the least recently used entry. Entries that this call has used come last, in the order of their uses. False: there is none.
local function evict(state)
    local ns, key, entry = next_victim(state, 'lru', math.huge)
    while not ns and state.before + state.used <= state.totals.uses do
        local used, number = state.uses[state.used], state.before + state.used
        state.used = state.used + 1
        if used and use[used] == number and space_of[used].entries[key_of[used]] == used then
            ns, key, entry = space_of[used], key_of[used], used
        end
    end
    if ns then
        store.remove(state, ns, key, entry)
        state.totals.evictions, state.budget = state.totals.evictions + 1, state.budget - 1
    end
    return ns ~= nil
end

-- ---- within a namespace ----

-- The next key and entry of a namespace with a score up to `limit` that this call has neither used nor removed; nil: there is none.
local function next_of_namespace(state, ns, order, limit)
    ns.sources = ns.sources or {}
    local source = ns.sources[order] or {name = ns.name, ns = ns, from = 0, size = 4, at = 1, page = {}}
    ns.sources[order] = source
    while not ns.cleared and state.budget > 0 and (source.waits or advance(state, order, source)) do
        source.waits = source.score > limit
        if source.waits then return nil end
        local entry = ns.entries[source.key]
        if entry and not use[entry] then return source.key, entry end
        if not entry and not ns.removed[source.key] then
            store.forget(state, ns, source.key)
            state.budget = state.budget - 1
        end
    end
end

-- The entry of the namespace that this call has used first, and its key; nil: there is none.
local function first_used(state, ns)
    local number = ns.first_used or 1
    while state.before + number <= state.totals.uses do
        local used = state.uses[number]
        ns.first_used, number = number + 1, number + 1
        if used and use[used] == state.before + ns.first_used - 1 and space_of[used] == ns and ns.entries[key_of[used]] == used then
            return key_of[used], used
        end
    end
end

-- Removes the namespace's next expired entry, else its least recently used one. False: there is none.
local function evict_of_namespace(state, ns)
    local key, entry = next_of_namespace(state, ns, 'exp', state.now)
    if not key then
        key, entry = next_of_namespace(state, ns, 'lru', math.huge)
        if not key then key, entry = first_used(state, ns) end
        if key then state.totals.evictions = state.totals.evictions + 1 end
    end
    if not key then return false end
    store.remove(state, ns, key, entry)
    state.budget = state.budget - 1
    return true
end

-- Makes room in a namespace within its own limits, as make_room() does in the cache. Its counts are wrong when it counts as full and nothing is left.
function eviction.make_room_in(state, ns, entries, bytes)
    local most, most_bytes = store.limits_of(state.settings, ns.name)
    local removed = 0
    while true do
        local heavy = ns.bytes + bytes > most_bytes
        if not heavy and ns.size + entries <= most then return true end
        if state.budget <= 0 and heavy then return false end
        if state.budget <= 0 and removed >= entries then return true end
        local size = ns.size
        if not evict_of_namespace(state, ns) and ns.size == size then
            if state.budget > 0 then store.clear(state, ns, false) end
            return true
        end
        removed = removed + 1
    end
end

-- Removes entries of namespaces that have more than their limits, because these were lowered.
function eviction.keep_limits(state)
    local seen = {}
    for _, family in ipairs({'max_entries_of', 'max_bytes_of'}) do
        for name in pairs(state.settings[family] or {}) do
            if state.budget > 0 and not seen[name] then
                seen[name] = true
                eviction.make_room_in(state, store.namespace(state, name), 0, 0)
            end
        end
    end
end

-- ---- in the whole cache ----

-- Makes room for `entries` and `bytes` more: removes expired entries, then the least recently used ones. When the call's budget is used
-- up and there is no room in bytes it returns false; over the limit of entries (a resize goes on) it is enough that as many entries were removed
-- as are added. When nothing is left to be removed although the cache counts as full, its counts are wrong (somebody has deleted keys).
function eviction.make_room(state, entries, bytes)
    local totals, removed = state.totals, 0
    while true do
        local heavy = totals.bytes + bytes > state.max_bytes
        if not heavy and totals.size + entries <= state.limit then return true end
        if state.budget <= 0 and heavy then return false end
        if state.budget <= 0 and removed >= entries then return true end
        local size = totals.size
        if not eviction.remove_expired(state) and not evict(state) and totals.size == size then
            if state.budget <= 0 or (size == 0 and totals.bytes == 0) then return not heavy end
            store.begin_anew(state, 'nothing was left to be removed, but it counted as full')
        end
        removed = removed + 1
    end
end
