-- The tables of the {pool} slot: read in bulk, changed in memory, and written in bulk by one flush at a call's end, which compares the old and
-- the new state of requests and containers. So a call that fails has changed nothing, and a batch costs one Redis command for each structure.
--
-- This file begins and flushes a call's state, and has what belongs to none of the three tables. state_requests.lua, state_containers.lua and
-- state_pools.lua have one table each; their functions are fields of `state`, too, as are those of turns.lua that begin and flush. Uses bulk.lua,
-- rows.lua, lists.lua, idle.lua, host_table.lua and tenants.lua.
--
--   :req      hash  request id -> its row (rows.lua)
--   :claims   hash  request id -> its claim as JSON, until it is bound
--   :ended    list  request ids in the order of their ends
--   :c        hash  container id -> its fields that do not change once it is ready;  :is hash container id -> its state (both: rows.lua)
--   :uses     hash  container id -> how often it was used, if pool.max_uses is set
--   :pools    hash  philosophy -> counters and settings;  :active zset philosophy by last activity
--   :hungry   zset  starved pools, whose requests wait for room on a host, by since when (the key keeps its older name: it is stored)
--   :held     zset  pools whose requests wait until fewer containers are being made for their tenants (tenant.max_creating), by since when
--   :thin     zset  pools that have less ready than pool.min_idle, because there was no room for it, by since when
--   :idle:P:K list, :idle:P zset: idle containers of pool P (idle.lua); K: a reuse key (! of fresh ones, else state.key_of)
--   :wait:P   zset  waiting requests by arrival;  :wait:P:K those that get containers with reuse key K;  :wait:P:T those of tenant T (a reuse
--             key, too, with pool.reuse same_tenant);  :turn:P zset the tenants that wait (turns.lua)
--   (:tenant: and :making: are tenants.lua's)
--   :outdated:P zset idle containers of pool P that are outdated (rollout.lua), by when they became idle
--   :expiry   zset  leased requests by when the lease ends (inf: never);  :timeout zset waiting requests by when they time out
--   :deadline zset  by when it is due: b<P> try creates again, p<P> publish a prediction, i<P> look for idle containers that are too old,
--             f<P> make containers for pool.min_idle (pool.refill_rate)
--   (:hosts and :hc: are host_table.lua's)
local state = {}

do -- local names of this file: all files of a library are one chunk, which may have 200 in all

-- Requests and containers are arrays, which take one allocation each; these are the indexes of their fields. WAS: the state as it was read,
-- false when new.
state.STATE, state.POOL = 1, 2
--   Fields of a request. KEYS is packed by the worker (redis/README.md); ROW: a lease's row, or the packed binding; only a new or waiting
--   request has the fields from ARRIVED to PLACE. COUNTED: as what tenants.lua counts it, or false.
state.AGENT, state.TENANT, state.KEYS, state.CONTAINER, state.ROW, state.WAS, state.TOUCHED, state.ARRIVED, state.AGE,
    state.DEADLINE, state.LEASE_MS, state.CPU, state.MEMORY, state.CLAIM, state.PLACE, state.COUNTED = 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18
--   Fields of a container. STATIC is its row of :c; CREATED: while resetting, the number of the reset; SINCE: while idle, the number of the
--   idle spell, which is its time in us; the fields from HOST on (state_containers.lua) are set by details(); FOR: the tenant that it is made for.
state.REUSE, state.REQUEST, state.STATIC, state.CREATED, state.SINCE, state.IMAGE, state.FOR = 3, 4, 5, 6, 7, 16, 18

local root, now
local deadlines, plain, before, sequence, repairs

-- Begins a call. Returns the tables of what is known in it: id -> request, id -> container.
function state.begin(slot, time, map)
    root, now = slot, time
    rows.begin()
    lists.begin(slot)
    host_table.begin(slot, time)
    tenants.begin(slot, map)
    state.begin_turns(slot, map)
    state.begin_pools(slot, time, map)
    deadlines, plain, before, sequence, repairs = {}, {}, {}, nil, 0
    return state.begin_requests(slot, time, map), state.begin_containers(slot, time)
end

-- Sets a member of :deadline. at: us; nil or false: there is none any more. (Deadlines of requests follow from their state.)
function state.deadline(member, at) deadlines[member] = at or false end

-- A number larger than all before it, even after Redis has lost its data: the last one plus 1, or the time in us if that is larger.
function state.next_number()
    sequence = sequence or tonumber(frame.number)
    sequence = sequence < now and now or sequence + 1
    return sequence
end

function state.number_text(n) return string.format('%.0f', n) end

function state.key(name) return root .. name end

-- Counts and logs a row that contradicted others and was put right (repair.lua).
function state.repaired(what)
    repairs = repairs + 1
    redis.log(redis.LOG_WARNING, 'warmpool repaired ' .. root .. ': ' .. what)
end

-- The fast path (warm.lua) draws numbers itself: from first_number() on, and reports the last one to drew().
function state.first_number()
    sequence = sequence or tonumber(frame.number)
    return math.max(sequence + 1, now)
end

function state.drew(last) sequence = last end

-- Raises an error for an argument that Redis would refuse, before anything is written.
local function checked(command)
    for i = 1, #command do
        local kind = type(command[i])
        if kind ~= 'string' and kind ~= 'number' then error('a ' .. kind .. ' for ' .. command[1] .. ' ' .. tostring(command[2])) end
    end
    return command
end

-- Notes a single command, {'ZADD', ':active', score, member}, for the flush: later() after all other writes, first() before them.
function state.later(command) plain[#plain + 1] = checked(command) end
function state.first(command) before[#before + 1] = checked(command) end

-- Takes a member out of a zset of deadlines in which it does not belong.
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
    state.flush_turns()
    state.flush_ended()
    host_table.flush()
    tenants.flush()
    if sequence then frame.drawn = state.number_text(sequence) end -- frame.lua writes it
    write_each(plain)
    if repairs > 0 then redis.call('HINCRBY', root .. ':meta', 'repaired', repairs) end
end
end
