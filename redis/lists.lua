-- Ordered lists (sorted sets) of the {pool} slot, read from their head as far as they are needed. item(l, i) is the i-th of the members that
-- the list had when the call began, and then of those added since. Members that the call has taken out are still among them: the caller sees
-- that by their state. Changes are written by flush(). Uses bulk.lua.
local lists = {}

do -- local names of this file: all files of a library are one chunk, which may have 200 in all

local FIRST, PAGE = 4, 1000 -- members read at once: the first time (unless more are expected), and at most
local root, known
local time_last, time_text

function lists.begin(slot) root, known = slot, {} end

-- The list of that name. A user may set l.read(members, l), which gets members as they are read; and l.stands_in, the name of another list in
-- which the member l.stands_as has the score of this list's first member.
function lists.of(name)
    local l = known[name]
    if not l then
        l = {key = root .. ':' .. name, items = {}, added = {}, gone = {}, gone_count = 0, put = {}, put_count = 0, ask = FIRST, at = 1}
        known[name] = l
    end
    return l
end

-- Says that so many more members will be read in this call.
function lists.expect(l, count) l.ask = math.min(l.ask + count, PAGE) end

function lists.item(l, i)
    local items = l.items
    while i > #items and not l.complete do
        local from = #items
        local more = redis.call('ZRANGE', l.key, from, from + l.ask - 1)
        if l.read then l.read(more, l) end
        for k = 1, #more do items[from + k] = more[k] end
        local asked = l.ask
        l.ask = math.min(2 * asked, PAGE)
        if #more < asked then
            l.complete = true
            for k = 1, #l.added do items[#items + 1] = l.added[k] end
        end
    end
    return items[i]
end

-- The first member for which fits(member, what, a, b) is true, and its `what`: what find(member, l) returns, nil for a member that has left the
-- list. Tries `most` members that are still there. l.at: all members before it have left, and are not read again.
function lists.first(l, most, find, fits, a, b)
    local items, i, looked = l.items, l.at, 0
    while looked < most do
        local member = items[i] or lists.item(l, i)
        if not member then return nil end
        local what = find(member, l)
        if what then
            if fits(member, what, a, b) then return member, what end
            looked = looked + 1
        elseif i == l.at then
            l.at = i + 1
        end
        i = i + 1
    end
end

-- Makes a member that this call puts at the end visible to this call.
function lists.add(l, member)
    local into = l.complete and l.items or l.added
    into[#into + 1] = member
end

-- A time as text, for a score: faster than a number, which Redis would format each time, and often many are the same.
function lists.score(us)
    if us ~= time_last then time_last, time_text = us, string.format('%d', us) end
    return time_text
end

-- Notes a member to be written by the flush.
function lists.put(l, score, member)
    local values, n = l.put, l.put_count
    values[n + 1], values[n + 2], l.put_count = score, member, n + 2
end

-- Notes a member to be removed by the flush.
function lists.take(l, member)
    local n = l.gone_count + 1
    l.gone[n], l.gone_count = member, n
end

local function flush_list(l)
    bulk.write('ZREM', l.key, l.gone)
    bulk.write('ZADD', l.key, l.put)
    if l.stands_in and l.gone_count + l.put_count > 0 then
        local head = redis.call('ZRANGE', l.key, 0, 0, 'WITHSCORES')
        if head[1] then
            redis.call('ZADD', root .. ':' .. l.stands_in, head[2], l.stands_as)
        else
            redis.call('ZREM', root .. ':' .. l.stands_in, l.stands_as)
        end
    end
end

function lists.flush()
    for _, l in pairs(known) do flush_list(l) end
end
end
