-- The entries of the cache, known by namespace and key: reads, changes and writes them. Entries have a time to live and are evicted by least
-- recent use (cache_eviction.lua). Uses frame.lua and bulk.lua.
--   <slot>:v:<namespace>   hash  key -> value
--   <slot>:m:<namespace>   hash  key -> the entry's row (ROW below)
--   <slot>:lru:<namespace> zset  key by the number of its last use       <slot>:exp:<namespace>  zset  key by its expiry in us
--   <slot>:lru, :exp       zset  namespace by the lowest score of its own zset: leads to the next entry to be removed
--   <slot>:ns              hash  namespace -> size, bytes, hits, misses   <slot>:totals  hash  the sums, and what is not per namespace
--   <slot>:resized         zset  event ids of the last resizes
--   <slot>:cleared         zset  namespaces that were cleared but whose keys still exist: each call removes some (STEP)
-- A batch is handled in memory and then written with one command for each structure. Redis is only read until then, so a failure leaves nothing
-- half done.
--
-- In a call an entry is a number, the index of its fields in the arrays below, so that no table is needed for each entry.
local store = {}

local expires          -- when it expires, us
local bytes            -- size of its key and value
local count            -- how often it was read
local row_of           -- its row, which is written with another beginning (USE)
local key_of, space_of -- its key and its namespace
local use, value       -- the number of its last use in this call; its value, if this call has set it (else nil)
local numbers          -- the number of entries known in this call

local NAMESPACES_MAX, RESIZES_KEPT = 1000, 1000
local WORK = 500 -- budget of a call's removals: 1 for each, and NAMESPACE_WORK (cache_eviction.lua) for each further namespace searched
local ROW = '>I4I7I7I4I4I7' -- count, last use (us), expires, bytes, json (size of the value as JSON, 0: not counted), created (us); In: n bytes
local NEEDED, JSON_AT = '>I4I7I7I4', 23 -- the fields that each call needs; where json begins
local USE, REST_AT = '>I4I7', 12        -- the fields that a use changes; where the others begin
local STEP = 100 -- cleared namespaces whose keys one call removes
local MEMORY_PART = 3 -- keys and values may take this fraction (a third) of Redis' maxmemory
local TOTALS = {'size', 'bytes', 'hits', 'misses', 'evictions', 'expired', 'uses', 'limit'}

local struct_pack, struct_unpack -- the global tables do not exist yet while the library is loaded

function store.totals(slot)
    local values, totals = redis.call('HMGET', slot .. ':totals', unpack(TOTALS)), {}
    for i, name in ipairs(TOTALS) do totals[name] = tonumber(values[i] or 0) or 0 end
    totals.are_gone = not values[1]
    return totals
end

-- The limit in bytes that is in force: cache.max_bytes, or the fraction of maxmemory if that is less.
function store.max_bytes(settings)
    local most = settings.max_bytes or 0
    return frame.maxmemory > 0 and math.min(most, math.floor(frame.maxmemory / MEMORY_PART)) or most
end

-- A namespace's own limits of entries and bytes, if it has any.
function store.limits_of(settings, name)
    local entries, most_bytes = settings.max_entries_of and settings.max_entries_of[name] or 0, settings.max_bytes_of and settings.max_bytes_of[name] or 0
    return entries > 0 and entries or math.huge, most_bytes > 0 and most_bytes or math.huge
end

-- Unpacks a row: count, last, expires, bytes, json, created.
function store.row(text) return struct.unpack(ROW, text) end

-- Begins a call; returns its state.
function store.open(slot, now, settings)
    struct_pack, struct_unpack = struct.pack, struct.unpack
    expires, bytes, count, row_of, key_of, space_of, use, value, numbers = {}, {}, {}, {}, {}, {}, {}, {}, 0
    local totals = store.totals(slot)
    local state = {
        slot = slot, now = now, settings = settings, totals = totals,
        limit = totals.limit > 0 and totals.limit or settings.max_entries,
        max_bytes = store.max_bytes(settings),
        budget = WORK,                    -- left of this call's removals
        namespaces = {}, forgotten = {}, resized = {},
        pending = redis.call('ZCARD', slot .. ':cleared'), -- the number of cleared namespaces whose keys still exist
        all_cleared = false,              -- this call has cleared everything that Redis has
        uses = {}, before = totals.uses,  -- the entries that this call uses, by the number of the use minus `before`
        used = 1,                         -- the first of these that may not have been evicted yet
        value_bytes = 0,                  -- bytes of all values in the answers
        walks = {lru = {sources = {}, heads = 0}, exp = {sources = {}, heads = 0}},
    }
    if totals.are_gone and redis.call('EXISTS', slot .. ':ns') == 1 then store.begin_anew(state, 'its totals were gone') end
    return state
end

-- True when the namespace was cleared and its keys still exist.
function store.is_pending(slot, name) return redis.call('ZSCORE', slot .. ':cleared', name) ~= false end

-- The namespace, with the fields: entries, key -> entry, false (there is none) or nil (not read yet); removed, keys that are to be removed from
-- Redis; cleared, all keys in Redis are to go; moved, the order of use has changed; stored, entries were added or removed.
function store.namespace(state, name)
    local ns = state.namespaces[name]
    if not ns then
        local row, size, bytes, hits, misses = redis.call('HGET', state.slot .. ':ns', name), 0, 0, 0, 0
        if row then
            size, bytes, hits, misses = unpack(cmsgpack.unpack(row))
        else -- it is new, or somebody has deleted its row
            size = redis.call('HLEN', state.slot .. ':m:' .. name)
        end
        local cleared = state.all_cleared or (state.pending > 0 and store.is_pending(state.slot, name))
        if cleared then size, bytes = 0, 0 end
        ns = {name = name, known = row and true or false, size = size, bytes = bytes, hits = hits, misses = misses,
              entries = {}, removed = {}, expired_removed = 0, cleared = cleared, moved = cleared, stored = cleared}
        state.namespaces[name] = ns
    end
    return ns
end

function store.read(state, ns, keys)
    local found, entries, n, _ = ns.cleared and {} or bulk.read(state.slot .. ':m:' .. ns.name, keys), ns.entries, numbers, nil
    for i = 1, #keys do
        local key, row = keys[i], found[i]
        if row then
            n = n + 1
            count[n], _, expires[n], bytes[n] = struct_unpack(NEEDED, row)
            row_of[n], key_of[n], space_of[n], entries[key] = row, key, ns, n
        else
            entries[key] = false
        end
    end
    numbers = n
end

local function add_size(state, ns, entries, size)
    ns.size, ns.bytes = ns.size + entries, ns.bytes + size
    state.totals.size, state.totals.bytes = state.totals.size + entries, state.totals.bytes + size
end

function store.remove(state, ns, key, entry)
    add_size(state, ns, -1, -bytes[entry])
    ns.entries[key], ns.removed[key], ns.moved, ns.stored = false, true, true, true
    if expires[entry] <= state.now then
        ns.expired_removed = ns.expired_removed + 1
        state.totals.expired = state.totals.expired + 1
    end
end

-- A zset names a key that has no row (somebody has deleted it): takes it out of the zsets and the counts. Its size is not known.
function store.forget(state, ns, key)
    if ns.size > 0 then add_size(state, ns, -1, ns.size == 1 and -ns.bytes or 0) end
    ns.removed[key], ns.moved, ns.stored = true, true, true
end

-- The live entry, or nil. Removes an expired one.
function store.find(state, ns, key)
    local entry = ns.entries[key]
    if entry and expires[entry] <= state.now then
        store.remove(state, ns, key, entry)
        return nil
    end
    return entry or nil
end

function store.use(state, ns, entry)
    local number = state.totals.uses + 1
    state.totals.uses, use[entry], state.uses[number - state.before], ns.moved = number, number, entry, true
end

-- The size of an entry's value as JSON; 0: not counted.
function store.json_bytes(entry) return (struct_unpack('>I4', row_of[entry], JSON_AT)) end

-- Adds an entry, in the place of `old` if the key has one (else nil).
function store.put(state, ns, key, text, ttl, json_bytes, old)
    local n, size = numbers + 1, #key + #text
    numbers = n
    expires[n], bytes[n], count[n] = state.now + ttl * 1000000, size, 0
    row_of[n] = struct_pack(ROW, 0, state.now, expires[n], size, json_bytes, state.now)
    key_of[n], space_of[n], value[n] = key, ns, text
    ns.entries[key], ns.removed[key], ns.stored = n, nil, true
    add_size(state, ns, old and 0 or 1, size - (old and bytes[old] or 0))
    store.use(state, ns, n)
end

-- Makes a namespace known, which gives it a row. False: there are too many. forget: forget empty ones first.
function store.make_known(state, ns, forget)
    if ns.known then return true end
    local name = state.slot .. ':ns'
    state.known = state.known or redis.call('HLEN', name)
    if state.known >= NAMESPACES_MAX and forget and not state.forgot then
        state.forgot = true
        local rows, cleared = redis.call('HGETALL', name), {}
        for _, each in ipairs(redis.call('ZRANGE', state.slot .. ':cleared', 0, -1)) do cleared[each] = true end
        for i = 1, #rows, 2 do
            local empty = state.all_cleared or cleared[rows[i]] or cmsgpack.unpack(rows[i + 1])[1] == 0
            if empty and not state.namespaces[rows[i]] then
                state.forgotten[#state.forgotten + 1] = rows[i]
            end
        end
        state.known = state.known - #state.forgotten
    end
    if state.known >= NAMESPACES_MAX then return false end
    state.known, ns.known = state.known + 1, true
    return true
end

local function mark_cleared(ns) ns.entries, ns.removed, ns.cleared, ns.moved, ns.stored = {}, {}, true, true, true end

-- Clears a namespace; returns how many live entries it had. may_expire false: none of its entries has expired.
function store.clear(state, ns, may_expire)
    if ns.size == 0 then return 0 end
    local expired = 0
    if not ns.cleared and may_expire ~= false then
        expired = redis.call('ZCOUNT', state.slot .. ':exp:' .. ns.name, '-inf', state.now) - ns.expired_removed
    end
    local live = ns.size - expired
    state.totals.expired = state.totals.expired + expired
    add_size(state, ns, -ns.size, -ns.bytes)
    mark_cleared(ns)
    return live
end

-- Clears all namespaces. Those that this call does not use otherwise are not read: save_clear() marks them as cleared.
function store.clear_all(state)
    local expiring, live, expired = {}, 0, 0
    if not state.all_cleared then
        for _, name in ipairs(redis.call('ZRANGEBYSCORE', state.slot .. ':exp', '-inf', frame.text(state.now))) do
            expiring[name] = true
            if not state.namespaces[name] then
                expired = expired + redis.call('ZCOUNT', state.slot .. ':exp:' .. name, '-inf', state.now)
            end
        end
    end
    for name, ns in pairs(state.namespaces) do
        live = live + store.clear(state, ns, expiring[name] or false)
        mark_cleared(ns) -- also where it is empty already
    end
    local totals = state.totals
    live = live + totals.size - expired
    totals.expired, totals.size, totals.bytes, state.all_cleared = totals.expired + expired, 0, 0, true
    return live
end

-- The counts contradict what there is: clears all namespaces.
function store.begin_anew(state, why)
    redis.log(redis.LOG_WARNING, 'warmpool repaired ' .. state.slot .. ': ' .. why)
    local names, values = redis.call('HKEYS', state.slot .. ':ns'), {}
    for i = 1, #names do values[2 * i - 1], values[2 * i] = '0', names[i] end
    bulk.write('ZADD', state.slot .. ':cleared', values) -- save_clear() adds those that are in :lru, which may be gone
    for _, ns in pairs(state.namespaces) do
        ns.size, ns.bytes = 0, 0
        mark_cleared(ns)
    end
    state.totals.size, state.totals.bytes, state.all_cleared = 0, 0, true
end

-- The values of a batch's hits, in their order. hits: the entries; keys: their keys; own: the values that the call has set itself; the others
-- are read from Redis. is_mixed: the hits are of several namespaces, or some are own.
function store.values(state, hits, keys, own, is_mixed)
    if not is_mixed then return bulk.read(state.slot .. ':v:' .. space_of[hits[1]].name, keys) end
    local values, keys_of, at_of = {}, {}, {} -- by namespace: the keys to be read, and the places of their values
    for i = 1, #hits do
        local ns = space_of[hits[i]]
        if own[i] then
            values[i] = own[i]
        else
            if not keys_of[ns] then keys_of[ns], at_of[ns] = {}, {} end
            local n = #keys_of[ns] + 1
            keys_of[ns][n], at_of[ns][n], values[i] = keys[i], i, false
        end
    end
    for ns, wanted in pairs(keys_of) do
        local found = bulk.read(state.slot .. ':v:' .. ns.name, wanted)
        for n = 1, #wanted do values[at_of[ns][n]] = found[n] end
    end
    return values
end

local PADDED, high_last, high_text = {}, 0, '' -- numbers below 1000 with three digits; the thousands formatted last

-- The number of a use as text, for a score: faster than a number, which Redis would format.
local function use_text(number)
    local low = number % 1000
    local high = (number - low) / 1000
    if high == 0 then return frame.text(number) end
    if high ~= high_last then high_last, high_text = high, frame.text(high) end
    local padded = PADDED[low]
    if not padded then
        padded = string.format('%03d', low)
        PADDED[low] = padded
    end
    return high_text .. padded
end

local function save_head(state, order, ns)
    local key = state.slot .. ':' .. order
    local head = redis.call('ZRANGE', key .. ':' .. ns.name, 0, 0, 'WITHSCORES')
    if head[1] then redis.call('ZADD', key, head[2], ns.name) else redis.call('ZREM', key, ns.name) end
end

-- Collects what is to be written of the entries that this call has used, in ns.metas, ns.lru (`used` values in each), ns.values and ns.exp (`set`
-- values), in the form that commands take. Of several uses of an entry the last one counts.
local function collect_entries(state)
    local before, uses, begins, sub, expiry_last, expiry_text = state.before, state.uses, {}, string.sub, nil, nil
    local ns, entries, metas, lru, n
    for i = 1, state.totals.uses - before do
        local e = uses[i]
        if e and use[e] == before + i then
            local space, name, reads = space_of[e], key_of[e], count[e]
            if space ~= ns then
                if ns then ns.used = n end
                if not space.metas then space.metas, space.lru, space.values, space.exp, space.used, space.set = {}, {}, {}, {}, 0, 0 end
                ns, entries, metas, lru, n = space, space.entries, space.metas, space.lru, space.used
            end
            if entries[name] == e then
                local row = row_of[e]
                if reads > 0 then -- else its row was made in this call
                    local begin = begins[reads]
                    if not begin then
                        begin = struct_pack(USE, reads, state.now)
                        begins[reads] = begin
                    end
                    row = begin .. sub(row, REST_AT)
                end
                metas[n + 1], metas[n + 2] = name, row
                lru[n + 1], lru[n + 2], n = use_text(before + i), name, n + 2
                if value[e] then
                    local values, exp, m = ns.values, ns.exp, ns.set
                    if expires[e] ~= expiry_last then expiry_last, expiry_text = expires[e], frame.text(expires[e]) end
                    values[m + 1], values[m + 2] = name, value[e]
                    exp[m + 1], exp[m + 2], ns.set = expiry_text, name, m + 2
                end
            end
        end
    end
    if ns then ns.used = n end
end

local function save_entries(state, ns)
    local function key(what) return state.slot .. ':' .. what .. ':' .. ns.name end
    if ns.cleared then redis.call('UNLINK', key('v'), key('m'), key('lru'), key('exp')) end
    local gone = {}
    for name in pairs(ns.removed) do gone[#gone + 1] = name end
    bulk.write('HDEL', key('v'), gone)
    bulk.write('HDEL', key('m'), gone)
    bulk.write('ZREM', key('lru'), gone)
    bulk.write('ZREM', key('exp'), gone)
    if ns.metas then
        bulk.write('HSET', key('v'), ns.values)
        bulk.write('HSET', key('m'), ns.metas)
        bulk.write('ZADD', key('lru'), ns.lru)
        bulk.write('ZADD', key('exp'), ns.exp)
    end
    save_head(state, 'lru', ns)
    if ns.stored then save_head(state, 'exp', ns) end
end

-- Removes the keys of empty namespaces with a few commands.
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

-- After a clear of everything: marks all namespaces with entries as cleared; each call removes the keys of some.
local function save_clear(state)
    local lru, exp, cleared = state.slot .. ':lru', state.slot .. ':exp', state.slot .. ':cleared'
    local names, values = redis.call('ZRANGE', lru, 0, -1), {}
    for i = 1, #names do values[2 * i - 1], values[2 * i] = '0', names[i] end
    bulk.write('ZADD', cleared, values)
    redis.call('UNLINK', lru, exp)
    state.pending = 1
end

-- Removes the keys of some cleared namespaces, which this call has not used. Their hits and misses stay.
function store.drop_cleared(state)
    if state.pending == 0 then return end
    local names, empty = redis.call('ZRANGE', state.slot .. ':cleared', 0, STEP - 1), {}
    local rows = bulk.read(state.slot .. ':ns', names)
    for i, name in ipairs(names) do
        if rows[i] then
            local _, _, hits, misses = unpack(cmsgpack.unpack(rows[i]))
            empty[#empty + 1] = name
            empty[#empty + 1] = cmsgpack.pack({0, 0, hits, misses})
        end
    end
    drop_entries(state, names)
    bulk.write('HSET', state.slot .. ':ns', empty)
    bulk.write('ZREM', state.slot .. ':cleared', names)
end

function store.save(state)
    if state.all_cleared then save_clear(state) end
    local rows, totals, resized, dropped, replaced = {}, {}, {}, {}, {}
    collect_entries(state)
    for name, ns in pairs(state.namespaces) do
        if ns.cleared and ns.size == 0 then
            dropped[#dropped + 1] = name
        elseif ns.moved then
            save_entries(state, ns)
            if ns.cleared then replaced[#replaced + 1] = name end
        end
        if ns.known then
            rows[#rows + 1] = name
            rows[#rows + 1] = cmsgpack.pack({ns.size, ns.bytes, ns.hits, ns.misses})
        end
    end
    drop_entries(state, dropped)
    if state.pending > 0 then
        bulk.write('ZREM', state.slot .. ':cleared', dropped)
        bulk.write('ZREM', state.slot .. ':cleared', replaced)
        store.drop_cleared(state)
    end
    if state.totals.size == 0 then state.totals.bytes = 0 end -- bytes of entries that were forgotten may still be counted
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
