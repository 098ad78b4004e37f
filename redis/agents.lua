-- Who holds what: an agent's philosophy, lease, container, last figures and when it was seen last. Written by assignment and usage, gone
-- when the lease ends; of those who hold nothing, agents_ttl after they were seen last, and never more than agents_max.
--
--   :agents hash agent id -> the request that it holds a container for (the request says which, and since when); when there are figures
--           a line feed (ids have none), cpu, memory, time (NaN: none), seen, placed (us) as doubles of 8 bytes each, and philosophy
--   :seen   zset of those who hold nothing by when they were seen, brought up to date (`placed`) when that is a tenth of agents_ttl or
--           10 s ago; an id may stay there while it holds a container, and is passed over
--
-- Uses bulk.lua.
local agents = {}

do -- local names of this file: all files of a library are one chunk, which may have 200 in all

local root, now, settings, known, puts, gone, to_place, precision
local times_of, stale, times_now -- by when one was placed: seen and placed as a row has them; whether that is long ago; of one placed now
local byte, sub, struct_pack, struct_unpack -- the global tables are not there yet while the library is loaded

function agents.begin(slot, time, map)
    root, now, settings, known, puts, gone, to_place, times_of, stale = slot, time, map, {}, {}, {}, {}, {}, {}
    byte, sub, struct_pack, struct_unpack = string.byte, string.sub, struct.pack, struct.unpack
    times_now = struct_pack('>dd', now, now)
    precision = math.min(10, (map.agents_ttl or 0) / 10) * 1000000
end

local MOST_REMOVED = 1000 -- by one call
local ALL, FIGURES, FIGURES_BYTES = '>ddddd', '>ddd', 24
local PLACED = 33 -- bytes from a row's line feed to `placed`
local NONE = 0 / 0

-- request (empty: it holds nothing), and nil or cpu, memory, time, seen, placed, philosophy
function agents.parse(row)
    local at = row:find('\n', 1, true)
    if not at then return row end
    local cpu, memory, time, seen, placed, rest = struct_unpack(ALL, row, at + 1)
    return row:sub(1, at - 1), cpu, memory, time, seen, placed, row:sub(rest)
end

-- known: the row, false where there is none.
function agents.load(ids)
    local missing, n = bulk.missing(known, ids)
    local rows = bulk.read(root .. ':agents', missing)
    for i = 1, n do known[missing[i]] = rows[i] end
end

-- Their rows, in the order of the ids (of '': false), for the fast path (warm.lua), which adds itself: held(): an agent and its request, in
-- the order of the events; dropped(): an agent that holds nothing any more.
function agents.rows(ids) return bulk.read(root .. ':agents', ids) end
function agents.held() return puts end
function agents.dropped() return gone end

local function put(id, row)
    local n = #puts
    known[id], puts[n + 1], puts[n + 2] = row, id, row
end

function agents.hold(id, request) put(id, request) end

-- The figures of a row that lacks some, with those that it had.
local function merge(figures, row, at)
    local cpu, memory, time = struct_unpack(FIGURES, figures)
    local old_cpu, old_memory, old_time = NONE, NONE, NONE
    if at then old_cpu, old_memory, old_time = struct_unpack(FIGURES, row, at + 1) end
    return struct_pack(FIGURES, cpu == cpu and cpu or old_cpu, memory == memory and memory or old_memory, time == time and time or old_time)
end

-- Seen and placed, as a row has them, of one that was placed then; whether it is to be placed anew.
local function times_after(placed_text)
    local placed = placed_text and struct_unpack('>d', placed_text) or 0
    if now - placed < precision then return struct_pack('>dd', now, placed), false end
    return struct_pack('>dd', now, placed), true
end

-- row: as it was before the call (agents.rows). figures: cpu, memory and time as they stand in a row, and a byte more where one of them
-- is not known. n: how many values held() has; how many it has then.
function agents.used(id, row, name, figures, n)
    local before, holds, placed, at = known[id], '', nil, nil
    if before ~= nil then row = before end
    if row then
        at = byte(row) == 10 and 1 or row:find('\n', 1, true)
        if at ~= 1 then holds = at and sub(row, 1, at - 1) or row end
        if at then placed = sub(row, at + PLACED, at + PLACED + 7) end
    end
    if #figures > FIGURES_BYTES then figures = merge(figures, row, at) end
    local key = placed or ''
    local times = times_of[key]
    if not times then
        times, stale[key] = times_after(placed)
        times_of[key] = times
    end
    if holds == '' and stale[key] then
        times, to_place[id] = times_now, true
    end
    row = holds .. '\n' .. figures .. times .. name
    known[id], puts[n + 1], puts[n + 2] = row, id, row
    return n + 2
end

-- The lease of that request is over. (agents.load was called with the id.)
function agents.drop(id, request)
    if known[id] == nil then agents.load({id}) end
    local row = known[id]
    if row and (row == request or (agents.parse(row)) == request) then known[id], gone[#gone + 1] = false, id end
end

function agents.flush()
    local seen, left, m = {}, {}, 0
    bulk.write('HSET', root .. ':agents', puts)
    for i = 1, #gone do -- unless it was put again after that
        if not known[gone[i]] then left[#left + 1] = gone[i] end
    end
    bulk.write('HDEL', root .. ':agents', left)
    local text
    for id in pairs(to_place) do
        text = text or string.format('%d', now)
        seen[m + 1], seen[m + 2], m = text, id, m + 2
    end
    if m > 0 then
        bulk.write('ZADD', root .. ':seen', seen)
        local over = redis.call('ZCARD', root .. ':seen') - settings.agents_max
        if over > 0 then agents.remove(redis.call('ZRANGE', root .. ':seen', 0, math.min(over, MOST_REMOVED) - 1)) end
    end
end

-- Those of the list go, but who holds a container stays until its lease is over.
function agents.remove(ids)
    if #ids == 0 then return 0 end
    local rows, idle = redis.call('HMGET', root .. ':agents', unpack(ids)), {}
    for i, id in ipairs(ids) do
        if rows[i] and rows[i]:byte(1) == 10 then idle[#idle + 1] = id end
    end
    if #idle > 0 then redis.call('HDEL', root .. ':agents', unpack(idle)) end
    redis.call('ZREM', root .. ':seen', unpack(ids))
    return #ids
end

-- Those not seen for agents_ttl seconds, at most `most`.
function agents.sweep(most)
    local before = string.format('%.0f', now - settings.agents_ttl * 1000000)
    return agents.remove(redis.call('ZRANGEBYSCORE', root .. ':seen', '-inf', before, 'LIMIT', 0, most))
end
end
