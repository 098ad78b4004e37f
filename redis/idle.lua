-- The idle containers of the {pool} slot: a Redis list for each pool and reuse key, the longest idle first. Lists are read from their head
-- as far as they are needed; flush() takes away what was used up and puts at the end what became idle.
--
--   :idle:P:K  list of entries (rows.lua) of pool P and reuse key K;  :idle:P  zset of K by no later than when its oldest became idle
--
-- A container that leaves from within a list (it died, or the first ones were too small) leaves its entry behind: it is stale. p.stale counts
-- those of a pool; as long as it is 0 no row of :is has to be read to take a container. They go when the list's head reaches them, and
-- in steps when they are more than the idle ones.
--
-- Uses rows.lua and bulk.lua, and of state.lua the containers known in this call.
local idle = {}

do -- local names of this file: all files of a library are one chunk, which may have 200 in all

local STATE, REUSE, SINCE = 1, 3, 7 -- of a container, as in state.lua
local FIRST, PAGE = 4, 1000  -- entries read at once: at first, unless more are expected, and at most
local LOOK = 16              -- live ones looked at for one that fits
local STALE = 64             -- entries that may be stale beside as many as are idle
local STEP = 200             -- entries looked at in one step of clearing

local root, containers, load, lost, all
local sub, ENTRY_ID -- string's; rows'

-- known: id -> container (state.lua); load_idle(id, number, static, l): makes one known, as idle in that list; lost_idle(id, l): says of one that
-- it has no row.
function idle.begin(slot, known, load_idle, lost_idle)
    root, containers, load, lost, all = slot, known, load_idle, lost_idle, {}
    sub, ENTRY_ID = string.sub, rows.ENTRY_ID
end

-- p: the pool, whose idle_by has its lists by reuse key.
function idle.of(p, name, reuse)
    local l = p.idle_by[reuse]
    if not l then
        l = {p = p, pool = name, reuse = reuse, key = root .. ':idle:' .. name .. ':' .. reuse, items = {}, count = 0, ask = FIRST, at = 1,
            complete = false, ids = {}, statics = {}, added = {}, push = {}, pushed = 0}
        p.idle_by[reuse], all[#all + 1] = l, l
    end
    return l
end

-- So many more of it will be looked at in this call.
function idle.expect(l, count) l.ask = math.min(l.ask + count, PAGE) end

local function ids_of(entries)
    local ids = {}
    for i = 1, #entries do ids[i] = sub(entries[i], ENTRY_ID) end
    return ids
end

-- Of entries that were read, those that are stale become false.
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

-- items: the entries; ids: their containers; statics: the rows of these in :c.
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

-- The container that has been idle longest, for who takes any, and its row of :c; it is not among the known containers, and stays so. nil:
-- there is none, or what this call knows of the next one has to be regarded.
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

-- The i-th entry, those that this call has added behind those that were there; nil: no more, false: stale.
local function entry_at(l, i)
    while i > l.count and not l.complete do read(l) end
    if i <= l.count then return l.items[i] end
    i = i - l.count
    if i <= l.pushed then return l.push[i] end
    return l.added[i - l.pushed]
end

-- The i-th container and its number of this spell; nil: no more, false: it is not idle in this list any more.
local function container_at(l, i)
    local entry = entry_at(l, i)
    if not entry then return entry end
    local id, number = rows.entry_fields(entry)
    if containers[id] == nil then load(id, number, l.statics[i] or false, l) end
    local c = containers[id]
    if c and c[STATE] == 'idle' and c[REUSE] == l.reuse and c[SINCE] == tonumber(number) then return id, c end
    return false
end

-- The first that fits(id, container, a); looks at `most` that are idle.
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

-- A container became idle: seen by this call at the list's end. Its entry is put there by the flush, when it is still idle then.
function idle.add(l, id, number) l.added[#l.added + 1] = rows.entry(rows.number(number), id) end

-- At the flush: it is idle since this call.
function idle.put(l, id, number)
    l.pushed = l.pushed + 1
    l.push[l.pushed] = rows.entry(rows.number(number), id)
end

-- At the flush: an entry that Redis has is stale.
function idle.left(l)
    l.p.stale = l.p.stale + 1
    l.holed = true
end

-- Calls visit(l, since) for the idle lists of a pool, those that this call has used and then the others, by no later than when their oldest
-- became idle, until it says true.
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

-- How many entries at the list's head are used up.
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

-- Its place among the pool's lists. The fast path leaves it where it is, which is too far in front, until somebody looks at the list.
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
    elseif l.complete and l.count > 0 and gone == l.count then
        redis.call('ZREM', root .. ':idle:' .. l.pool, l.reuse)
    end
    if gone > 0 and l.looked and gone < l.count then place(l, l.items[gone + 1]) end
end

-- The first entries that are not stale go to the list's end, in their order.
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

-- None of the pool is idle: all entries that are left are stale (unless the pool's row was lost and made anew).
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

-- After the rows of containers were written.
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
