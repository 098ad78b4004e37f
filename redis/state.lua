-- The tables of the {pool} slot: read in bulk, changed in memory, and written in bulk by one flush at a function's end, which compares
-- what requests and containers were with what they are. So a function that fails has changed nothing, and a batch costs one Redis
-- command per structure.
--
-- This file begins and flushes, and has what belongs to none of the three tables; state_requests.lua, state_containers.lua and
-- state_pools.lua have a table each, and their functions are fields of `state`, too. Uses bulk.lua, rows.lua, lists.lua, idle.lua and
-- host_table.lua.
--
--   :req      hash  request id -> what it is (rows.lua)
--   :claims   hash  request id -> what its agent's container is to be given, as JSON, until it has it
--   :ended    list  request ids in the order of their ends
--   :c        hash  container id -> what does not change once it is ready;  :is hash container id -> what it is (rows.lua)
--   :uses     hash  container id -> how often it was used, where pool.max_uses asks
--   :pools    hash  philosophy -> counters and settings;  :active zset philosophy by last activity
--   :hungry   zset  philosophies whose requests wait for room on a host
--   :idle:P:K list, :idle:P zset: idle containers (idle.lua); K: a reuse key (! fresh, else key_of)
--   :wait:P   zset  waiting requests by arrival;  :wait:P:K those whose containers have reuse key K
--   :expiry   zset  leased requests by when the lease ends (inf: never);  :timeout zset waiting ones by when they have waited enough
--   :deadline zset  b<P> creates again, p<P> a prediction is due, i<P> idle containers that are too old
--   (:hosts and :hc: are host_table.lua's)
local state = {}

do -- local names of this file: all files of a library are one chunk, which may have 200 in all

-- Requests and containers are arrays (one allocation each); these are their fields. WAS: the state as it was read, false when new.
state.STATE, state.POOL = 1, 2
--   of a request: KEYS is packed by the worker (redis/README.md); ROW of a lease: its row; from ARRIVED on only one that is new or waits
--   has them
state.AGENT, state.TENANT, state.KEYS, state.CONTAINER, state.ROW, state.WAS, state.TOUCHED, state.ARRIVED, state.AGE,
    state.DEADLINE, state.LEASE_MS, state.CPU, state.MEMORY, state.CLAIM, state.PLACE = 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17
--   of a container: STATIC is its row of :c; CREATED of one that is resetting: the number of that; SINCE of one that is idle: the number of
--   that, which is the time in us; from HOST on they are there once details() was called
state.REUSE, state.REQUEST, state.STATIC, state.CREATED, state.SINCE, state.IMAGE = 3, 4, 5, 6, 7, 16

local root, now
local deadlines, plain, before, sequence, repairs

-- Returns what is known in this call: id -> request, id -> container.
function state.begin(slot, time, map)
    root, now = slot, time
    rows.begin()
    lists.begin(slot)
    host_table.begin(slot)
    state.begin_pools(slot, time, map)
    deadlines, plain, before, sequence, repairs = {}, {}, {}, nil, 0
    return state.begin_requests(slot, time, map), state.begin_containers(slot, time)
end

-- Of a pool's creates ("b") and predictions ("p"); requests have theirs by what they are. at: us, or nil when there is none any more.
function state.deadline(member, at) deadlines[member] = at or false end

-- Grows for ever, also when Redis has forgotten: the larger of the last one plus 1 and the time in us.
function state.next_number()
    sequence = sequence or tonumber(frame.number)
    sequence = sequence < now and now or sequence + 1
    return sequence
end

function state.number_text(n) return string.format('%.0f', n) end

function state.key(name) return root .. name end

-- Something contradicted something else and is put right (repair.lua).
function state.repaired(what)
    repairs = repairs + 1
    redis.log(redis.LOG_WARNING, 'warmpool repaired ' .. root .. ': ' .. what)
end

-- Numbers that the fast path (warm.lua) draws itself: from first_number() on, and says which it drew last.
function state.first_number()
    sequence = sequence or tonumber(frame.number)
    return math.max(sequence + 1, now)
end

function state.drew(last) sequence = last end

-- What Redis would refuse is refused before anything is written.
local function checked(command)
    for i = 1, #command do
        local kind = type(command[i])
        if kind ~= 'string' and kind ~= 'number' then error('a ' .. kind .. ' for ' .. command[1] .. ' ' .. tostring(command[2])) end
    end
    return command
end

-- A single write at the flush's end, {'ZADD', ':active', score, member}, or before all others of it.
function state.later(command) plain[#plain + 1] = checked(command) end
function state.first(command) before[#before + 1] = checked(command) end

-- It stands among the deadlines without being what is due there.
function state.not_due(name, id) lists.take(lists.of(name), id) end

local function flush_deadlines()
    local others = lists.of('deadline')
    for member, at in pairs(deadlines) do
        if at then lists.put(others, lists.score(at), member) else lists.take(others, member) end
    end
end

local function write_each(commands)
    for _, command in ipairs(commands) do
        command[2] = root .. command[2]
        redis.call(unpack(command))
    end
end

function state.flush()
    write_each(before)
    state.flush_requests()
    flush_deadlines()
    state.flush_containers()
    idle.flush()
    state.flush_pools()
    lists.flush()
    state.flush_ended()
    host_table.flush()
    if sequence then frame.drawn = state.number_text(sequence) end -- the frame writes it
    write_each(plain)
    if repairs > 0 then redis.call('HINCRBY', root .. ':meta', 'repaired', repairs) end
end
end
