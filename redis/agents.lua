-- The table of agents: of each its lease, philosophy, last usage figures and when it was last seen. Written at assignments and by usage records.
-- An agent is forgotten when its lease ends; one that holds no container agents_ttl after it was last seen, or when there are more than
-- agents_max of these.
--
--   :agents hash agent id -> the request whose lease it holds (empty: none); when there are figures also a line feed (ids have none), placed,
--           seen (us), cpu, memory, time (NaN: none) as doubles of 8 bytes each, a record id (empty: none), a line feed, and the philosophy
--   :seen   zset of agents that hold no container by when they were seen. An agent's score (`placed`) is renewed when it is older than a tenth
--           of agents_ttl, or 10 s; an agent that holds a container may be in it, too, and is passed over
--
-- Uses bulk.lua.
local agents = {}

do -- local names of this file: all files of a library are one chunk, which may have 200 in all

local root, now, settings, known, puts, gone, to_place, precision
local begin_of, is_old -- by the old `placed` of an agent without a lease: the beginning of its new row; whether it is to be placed anew
local sub, struct_pack, struct_unpack -- the global tables do not exist yet while the library is loaded

function agents.begin(slot, time, map)
    root, now, settings, known, puts, gone, to_place, begin_of, is_old = slot, time, map, {}, {}, {}, {}, {}, {}
    sub, struct_pack, struct_unpack = string.sub, struct.pack, struct.unpack
    precision = math.min(10, (map.agents_ttl or 0) / 10) * 1000000
end

local MOST_REMOVED = 1000 -- by one call
local ALL, FIGURES, FIGURES_BYTES = '>ddddd', '>ddd', 24
local TIMES, TIMES_BYTES = '>dd', 16 -- placed and seen
local LINE_FEED, HEAD, HEAD_BYTES = 10, '>Bd', 9 -- the row of an agent without a lease begins with a line feed and `placed`
local NONE = 0 / 0

-- Unpacks a row: request (empty: it holds no container), and if there are figures cpu, memory, time, seen, placed, philosophy.
function agents.parse(row)
    local at = row:find('\n', 1, true)
    if not at then return row end
    local placed, seen, cpu, memory, time, rest = struct_unpack(ALL, row, at + 1)
    return row:sub(1, at - 1), cpu, memory, time, seen, placed, row:sub(row:find('\n', rest, true) + 1)
end

-- Loads rows into `known`; false where there is none.
function agents.load(ids)
    local missing, n = bulk.missing(known, ids)
    local rows = bulk.read(root .. ':agents', missing)
    for i = 1, n do known[missing[i]] = rows[i] end
end

-- For the fast path (warm.lua) and usage.lua. rows(): the rows in the order of the ids (false for ''). The fast path appends to the arrays itself:
-- an agent and its request to held(), an agent to be forgotten to dropped().
function agents.rows(ids) return bulk.read(root .. ':agents', ids) end
function agents.held() return puts end
function agents.dropped() return gone end

local function put(id, row)
    local n = #puts
    known[id], puts[n + 1], puts[n + 2] = row, id, row
end

function agents.hold(id, request) put(id, request) end

-- Completes a sample of which some figures are missing with those of the row.
local function merge(sample, row)
    local cpu, memory, time = struct_unpack(FIGURES, sample)
    local old_cpu, old_memory, old_time = NONE, NONE, NONE
    local at = row and row:find('\n', 1, true)
    if at then old_cpu, old_memory, old_time = struct_unpack(FIGURES, row, at + 1 + TIMES_BYTES) end
    return struct_pack(FIGURES, cpu == cpu and cpu or old_cpu, memory == memory and memory or old_memory, time == time and time or old_time) ..
        sub(sample, FIGURES_BYTES + 1)
end

-- The end of a row with figures.
function agents.row_end(philosophy) return '\n' .. philosophy end

-- Fills begin_of and is_old for agents that were placed then.
local function find_begin(placed)
    is_old[placed] = now - placed >= precision
    begin_of[placed] = '\n' .. struct_pack(TIMES, is_old[placed] and now or placed, now)
    return begin_of[placed]
end

-- The beginning of the new row of an agent that holds a lease.
local function begin_with_lease(row)
    local at = row:find('\n', 1, true)
    local placed = at and struct_unpack('>d', row, at + 1) or 0
    return (at and sub(row, 1, at - 1) or row) .. '\n' .. struct_pack(TIMES, placed, now)
end

-- A usage record of the agent. row: as it was before the call (agents.rows). sample: cpu, memory, time and record id, as in a row. g: with
-- is_whole (none of the figures is missing) and row_end. n: the number of values in held(); returns the new number.
function agents.used(id, row, sample, g, n)
    local before, first, placed = known[id], LINE_FEED, 0
    if before ~= nil then row = before end
    if row then
        first = nil
        if #row >= HEAD_BYTES then first, placed = struct_unpack(HEAD, row) end
    end
    if not g.is_whole then sample = merge(sample, row) end
    if first == LINE_FEED then
        row = (begin_of[placed] or find_begin(placed)) .. sample .. g.row_end
        if is_old[placed] then to_place[id] = true end
    else
        row = begin_with_lease(row) .. sample .. g.row_end
    end
    known[id], puts[n + 1], puts[n + 2] = row, id, row
    return n + 2
end

-- The request's lease has ended: forgets the agent, unless it holds another lease by now. Loads the agent's row when it is not known.
function agents.drop(id, request)
    if known[id] == nil then agents.load({id}) end
    local row = known[id]
    if row and (row == request or (agents.parse(row)) == request) then known[id], gone[#gone + 1] = false, id end
end

function agents.flush()
    local seen, left, m = {}, {}, 0
    bulk.write('HSET', root .. ':agents', puts)
    for i = 1, #gone do -- known: it was put again afterwards
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

-- Forgets agents, but for those that hold a container; these are only taken out of :seen. Returns the number of ids.
function agents.remove(ids)
    if #ids == 0 then return 0 end
    local rows, idle = redis.call('HMGET', root .. ':agents', unpack(ids)), {}
    for i, id in ipairs(ids) do
        if rows[i] and rows[i]:byte(1) == LINE_FEED then idle[#idle + 1] = id end
    end
    if #idle > 0 then redis.call('HDEL', root .. ':agents', unpack(idle)) end
    redis.call('ZREM', root .. ':seen', unpack(ids))
    return #ids
end

-- Forgets agents that were not seen for agents_ttl seconds, at most `most`.
function agents.sweep(most)
    local before = string.format('%.0f', now - settings.agents_ttl * 1000000)
    return agents.remove(redis.call('ZRANGEBYSCORE', root .. ':seen', '-inf', before, 'LIMIT', 0, most))
end
end
