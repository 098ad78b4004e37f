-- The idle containers of the {pool} slot: a Redis list for each pool and reuse key, the longest idle first. Lists are read from their head
-- as far as they are needed; flush() trims the entries that were used up, and appends the containers that became idle.
--
--   :idle:P:K  list of entries (rows.lua) of pool P and reuse key K;  :idle:P  zset of K by a time that is not after its oldest idle spell began
--
-- A container that leaves a list from its middle (it died, or the first ones were too small) leaves its entry there, which is stale then.
-- p.stale counts the stale entries of a pool: while it is 0 a container can be taken without reading its row of :is. Stale entries go when the
-- list's head reaches them, and in steps when there are more of them than idle containers.
--
-- Uses rows.lua and bulk.lua, and the containers that state_containers.lua knows in this call.
local idle = {}

do -- local names of this file: all files of a library are one chunk, which may have 200 in all

local STATE, REUSE, SINCE = 1, 3, 7 -- of a container, as in state.lua
local FIRST, PAGE = 4, 1000  -- entries read at once: at first, unless more are expected, and at most
local LOOK = 16              -- idle containers tried for one that fits
local STALE = 64             -- stale entries of a pool, beside as many as are idle, that are not cleared yet
local STEP = 200             -- entries checked in one step of clearing

local root, containers, load, lost, all
local sub, ENTRY_ID -- string.sub; rows.ENTRY_ID

-- Callbacks of state_containers.lua. known: id -> container; load_idle(id, number, static, l): makes a container known as idle in that list;
-- lost_idle(id, l): an entry's container has no row.
function idle.begin(slot, known, load_idle, lost_idle)
    root, containers, load, lost, all = slot, known, load_idle, lost_idle, {}
    sub, ENTRY_ID = string.sub, rows.ENTRY_ID
end

-- The idle list of a pool and reuse key; p.idle_by keeps the pool's lists by reuse key.
function idle.of(p, name, reuse)
    local l = p.idle_by[reuse]
    if not l then
        l = {p = p, pool = name, reuse = reuse, key = root .. ':idle:' .. name .. ':' .. reuse, items = {}, count = 0, ask = FIRST, at = 1,
            complete = false, ids = {}, statics = {}, added = {}, push = {}, pushed = 0}
        p.idle_by[reuse], all[#all + 1] = l, l
    end
    return l
end

-- Says that so many more entries will be read in this call.
function idle.expect(l, count) l.ask = math.min(l.ask + count, PAGE) end

local function ids_of(entries)
    local ids = {}
    for i = 1, #entries do ids[i] = sub(entries[i], ENTRY_ID) end
    return ids
end

-- Replaces the stale ones among entries that were read by false.
local function mark_stale(l, entries, ids)
    local is = bulk.read(root .. ':is', ids)
    for i = 1, #entries do
        local _, number = rows.entry_fields(entries[i])
        if is[i] ~= rows.idle(number, l.reuse) then entries[i] = false end
    end
end

local function append(to, count, more, n)
    for i = 1, n do to[count + i] = more[i] end
end

-- Reads the next entries: l.items are the entries, l.ids their containers, l.statics the containers' rows of :c.
local function read(l)
    local from = l.count
    local items = redis.call('LRANGE', l.key, from, from + l.ask - 1)
    local n, ids = #items, ids_of(items)
    local statics = bulk.read(root .. ':c', ids)
    if l.p.had_stale and n > 0 then mark_stale(l, items, ids) end
    for i = 1, n do
        if not statics[i] and items[i] then
            items[i] = false
            lost(ids[i], l)
        end
    end
    if from == 0 then
        l.items, l.ids, l.statics = items, ids, statics
    else
        append(l.items, from, items, n)
        append(l.ids, from, ids, n)
        append(l.statics, from, statics, n)
    end
    l.count, l.complete = from + n, n < l.ask
    l.ask = math.min(2 * l.ask, PAGE)
end

-- Takes the container that has been idle longest, and returns it with its row of :c. It does not become a known container. nil: there is none,
-- or the next one is known in this call already, so that the caller has to use first().
function idle.take(l)
    while true do
        local at = l.at
        local entry = l.items[at]
        if entry then
            local id = l.ids[at]
            if containers[id] ~= nil then return nil end
            l.at = at + 1
            return id, l.statics[at]
        elseif entry == false then
            l.at = at + 1
        elseif l.complete then
            return nil
        else
            read(l)
        end
    end
end

-- The i-th entry; entries that this call has added come last. nil: there are no more, false: stale.
local function entry_at(l, i)
    while i > l.count and not l.complete do read(l) end
    if i <= l.count then return l.items[i] end
    i = i - l.count
    if i <= l.pushed then return l.push[i] end
    return l.added[i - l.pushed]
end

-- The i-th container and its fields; nil: there are no more, false: it is not idle in this list any more.
local function container_at(l, i)
    local entry = entry_at(l, i)
    if not entry then return entry end
    local id, number = rows.entry_fields(entry)
    if containers[id] == nil then load(id, number, l.statics[i] or false, l) end
    local c = containers[id]
    if c and c[STATE] == 'idle' and c[REUSE] == l.reuse and c[SINCE] == tonumber(number) then return id, c end
    return false
end

-- The first container for which fits(id, container, a) is true; tries `most` idle ones.
function idle.first(l, fits, a, most)
    local i, looked = l.at, 0
    l.looked, most = true, most or LOOK
    while looked < most do
        local id, c = container_at(l, i)
        if id == nil then return nil end
        if id then
            if fits(id, c, a) then return id, c end
            looked = looked + 1
        elseif i == l.at and i <= l.count then
            l.at = i + 1
        end
        i = i + 1
    end
end

-- A container became idle: makes it visible to this call at the list's end. The flush writes its entry if it is still idle then.
function idle.add(l, id, number) l.added[#l.added + 1] = rows.entry(rows.number(number), id) end

-- At the flush: notes a container that has been idle since this call.
function idle.put(l, id, number)
    l.pushed = l.pushed + 1
    l.push[l.pushed] = rows.entry(rows.number(number), id)
end

-- At the flush: notes that an entry in Redis has become stale.
function idle.left(l)
    l.p.stale = l.p.stale + 1
    l.holed = true
end

-- Calls visit(l, since) for the idle lists of a pool: for those that this call has used (since = 0), then for the others in the order of `since`,
-- a time that is not after the list's oldest idle spell began. Ends when visit returns true for one of the others.
function idle.each(p, name, visit)
    local seen, known = {}, {}
    for reuse, l in pairs(p.idle_by) do seen[reuse], known[#known + 1] = true, l end
    for _, l in ipairs(known) do visit(l, 0) end
    local from = 0
    while true do
        local keys = redis.call('ZRANGE', root .. ':idle:' .. name, from, from + PAGE - 1, 'WITHSCORES')
        for i = 1, #keys, 2 do
            if not seen[keys[i]] and visit(idle.of(p, name, keys[i]), tonumber(keys[i + 1])) then return end
        end
        if #keys < 2 * PAGE then return end
        from = from + PAGE
    end
end

-- ---- the flush ----

-- The number of entries at the list's head that are used up: stale, or their containers have left.
local function used_up(l)
    local at = l.at
    while at <= l.count do
        local entry = l.items[at]
        if entry then
            local id, number = rows.entry_fields(entry)
            local c = containers[id]
            if not c or (c[STATE] == 'idle' and c[REUSE] == l.reuse and c[SINCE] == tonumber(number)) then break end
        end
        at = at + 1
    end
    return at - 1
end

-- Sets the list's score among the pool's lists. The fast path does not: then the score is too low until a call reads the list.
local function place(l, entry)
    if entry then redis.call('ZADD', root .. ':idle:' .. l.pool, tonumber(sub(entry, 1, ENTRY_ID - 2)), l.reuse) end
end

local function flush_list(l)
    local gone = used_up(l)
    if gone > 0 then
        redis.call('LTRIM', l.key, gone, -1)
        l.p.stale = l.p.stale - gone
    end
    if l.pushed > 0 then
        local length = 0
        for i = 1, l.pushed, bulk.MOST do
            length = redis.call('RPUSH', l.key, unpack(l.push, i, math.min(i + bulk.MOST - 1, l.pushed)))
        end
        if length == l.pushed then place(l, l.push[1]) end
    elseif gone > 0 and gone == l.count and (l.complete or redis.call('EXISTS', l.key) == 0) then
        redis.call('ZREM', root .. ':idle:' .. l.pool, l.reuse)
    end
    if gone > 0 and l.looked and gone < l.count then place(l, l.items[gone + 1]) end
end

-- Checks the list's first entries: drops the stale ones, and moves the others to the list's end in their order.
local function clear_stale(l)
    local entries = redis.call('LRANGE', l.key, 0, STEP - 1)
    local live, n = {}, #entries
    mark_stale(l, entries, ids_of(entries))
    for i = 1, n do if entries[i] then live[#live + 1] = entries[i] end end
    redis.call('LTRIM', l.key, n, -1)
    bulk.write('RPUSH', l.key, live)
    l.p.stale = l.p.stale - (n - #live)
    if #live == 0 and redis.call('EXISTS', l.key) == 0 then redis.call('ZREM', root .. ':idle:' .. l.pool, l.reuse) end
end

-- Drops all lists of a pool without idle containers: their entries are stale, unless the pool's row was lost and made anew.
local function clear_pool(name, p)
    local key, entries = root .. ':idle:' .. name, 0
    local keys = redis.call('ZRANGE', key, 0, PAGE - 1)
    for i = 1, #keys do
        keys[i] = key .. ':' .. keys[i]
        entries = entries + redis.call('LLEN', keys[i])
    end
    if entries ~= p.stale then return end
    redis.call('UNLINK', key, unpack(keys))
    p.stale = 0
end

-- To be called when state_containers.lua has noted all containers.
function idle.flush()
    for i = 1, #all do flush_list(all[i]) end
    for i = 1, #all do
        local p = all[i].p
        if p.idle == 0 and p.stale > 0 then clear_pool(all[i].pool, p) end
    end
    for i = 1, #all do
        local l = all[i]
        if l.holed and l.p.stale > l.p.idle + STALE then clear_stale(l) end
    end
end
end
