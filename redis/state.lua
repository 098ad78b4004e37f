-- The tables of the {pool} slot: read in bulk, changed in memory, and written in bulk by one flush at a function's end, which compares
-- what requests and containers were with what they are. So a function that fails has changed nothing, and a batch costs one Redis
-- command per structure.
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
local STATE, POOL = 1, 2
local AGENT, TENANT, CONTAINER, ROW, WAS, TOUCHED, DEADLINE, LEASE_MS, CLAIM, PLACE = 3, 4, 6, 7, 8, 9, 12, 13, 16, 17
local REUSE, REQUEST, STATIC, CREATED, SINCE, C_WAS, WAS_REUSE, C_TOUCHED, HOST, ADDRESS, C_CPU, C_MEMORY, STATIC_CHANGED, IMAGE, WAS_SINCE =
    3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17
local FRESH = '!' -- the reuse key of a container that nobody has used; not a name, so no tenant has it
local EVERYBODY = '*'
local NEVER = '+inf' -- the score of a lease without an end
local PAUSED = 9 -- the byte that begins the reuse key of one that is idle and paused
local pack -- cmsgpack's; the global tables are not there yet while the library is loaded

local root, now, settings
local reqs, req_touched, req_count, containers, container_touched, container_count, pools, pool_dirty
local ended_row, seen_row
local fast
local load_idle, lost_idle
local deadlines, ended, ended_count, plain, before, sequence, repairs

-- Returns what is known in this call: id -> request, id -> container.
function state.begin(slot, time, map)
    root, now, settings, pack = slot, time, map, cmsgpack.pack
    rows.begin()
    local second = pack(math.floor(time / 1000000))
    ended_row, seen_row = '\161e' .. second, '\161x' .. second
    reqs, req_touched, req_count, containers, container_touched, container_count, pools, pool_dirty = {}, {}, 0, {}, {}, 0, {}, {}
    fast = {req = {}, is = {}}
    lists.begin(slot)
    idle.begin(slot, containers, load_idle, lost_idle)
    host_table.begin(slot)
    deadlines, ended, ended_count, plain, before, sequence, repairs = {}, {}, 0, {}, {}, nil, 0
    state.policies_changed = {}
    return reqs, containers
end

-- Requests ----------------------------------------------------------------------------------------------------------------------

local POLICIES = {'same_tenant', 'same_agent', 'always', 'never'} -- of pool.reuse

function state.policy_of(name) return settings.reuses[name] or settings.reuse end

local function key_by(policy, agent, tenant)
    if policy == 'same_tenant' then return tenant end
    if policy == 'same_agent' then return '@' .. agent end
    return policy == 'always' and EVERYBODY or FRESH -- never: it is not reused at all
end

-- Whether the policy gives used containers such a reuse key.
function state.is_key_of(policy, reuse)
    local first = reuse:sub(1, 1)
    if first == FRESH then return true end
    if policy == 'same_agent' then return first == '@' end
    if policy == 'always' then return reuse == EVERYBODY end
    return policy == 'same_tenant' and first ~= '@' and first ~= EVERYBODY
end

-- The reuse key of the container that a request gets: whom it may serve after it, by the pool's policy.
function state.reuse_key(name, agent, tenant) return key_by(state.policy_of(name), agent, tenant) end

function state.key_of(r) return state.reuse_key(r[POOL], r[AGENT], r[TENANT]) end

function state.ended_request(is, was) return {is, '', '', '', '', '', '', was, false} end

local function parse_request(raw)
    if rows.is_lease(raw) then
        local name, tenant, container, agent = rows.lease_whose(raw)
        return {'l', name, agent, tenant, false, container, raw, 'l', false}
    end
    local is = raw:sub(2, 2)
    if is ~= 'w' and is ~= 'b' then return state.ended_request(is, is) end
    local r = {cmsgpack.unpack(raw)}
    r[WAS], r[TOUCHED], r[PLACE] = is, false, 0
    return r
end

function state.load_requests(ids)
    local missing, n = bulk.missing(reqs, ids)
    if n == 0 then return end
    local found = bulk.read(root .. ':req', missing)
    for i = 1, n do reqs[missing[i]] = found[i] end
end

-- What is known of it in this call is its row until somebody asks.
function state.request(id)
    if reqs[id] == nil then state.load_requests({id}) end
    local r = reqs[id]
    if type(r) == 'string' then
        r = parse_request(r)
        reqs[id] = r
    end
    return r
end

-- The rows as they are, in the order of the ids; request() knows them afterwards, but for those that the fast path changes.
function state.request_rows(ids) return bulk.read(root .. ':req', ids) end

-- Changed, or new.
function state.put_request(id, r)
    reqs[id] = r
    if not r[TOUCHED] then
        req_count = req_count + 1
        r[TOUCHED], req_touched[req_count] = true, id
    end
    if r[STATE] == 'e' or r[STATE] == 'x' then
        ended_count = ended_count + 1
        ended[ended_count] = id
    end
    if r[CLAIM] and r[STATE] ~= 'w' and r[STATE] ~= 'b' then
        r[CLAIM] = false
        state.later({'HDEL', ':claims', id})
    end
end

local function pack_request(r)
    local is = r[STATE] -- of one that is over only that and the second is kept
    if is == 'l' then return r[ROW] end
    if is == 'w' or is == 'b' then return pack(unpack(r, 1, 16)) end
    return is == 'e' and ended_row or seen_row
end

-- Containers --------------------------------------------------------------------------------------------------------------------
-- state: creating, idle, leased, resetting, ending. A container goes one way: creating -> idle <-> leased -> ending -> gone, and between
-- leased and idle it may be resetting: made fit for its next use.

local STATES = {c = 'creating', i = 'idle', r = 'resetting', e = 'ending'}

local function parse_container(is, static)
    local what, reuse, request, created, since = 'leased', FRESH, is, 0, 0 -- of a leased one its request says the reuse key: leased_container
    if is:byte(1) == 10 then
        what, request = STATES[is:sub(2, 2)], ''
        if what == 'creating' then created = tonumber(is:sub(3)) end
        if what == 'idle' then
            since, reuse = rows.idle_fields(is)
            since = tonumber(since)
        end
        if what == 'resetting' then
            created, reuse = is:match('^..(%d+) (.*)$')
            created = tonumber(created)
        end
    end
    local pool, host, address, cpu, memory, image = rows.static_fields(static)
    return {what, pool, reuse, request, static, created, since, what, reuse, false, host, address, cpu, memory, false, image, since}
end

function state.load_containers(ids)
    local missing, n = bulk.missing(containers, ids)
    if n == 0 then return end
    local is, static = bulk.read(root .. ':is', missing), bulk.read(root .. ':c', missing)
    for i = 1, n do
        if is[i] and static[i] then
            containers[missing[i]] = parse_container(is[i], static[i])
        elseif is[i] or static[i] then
            state.drop_container_rows(missing[i])
        end
    end
end

-- One of its two rows is gone, or it is listed without: what is left of it goes.
function state.drop_container_rows(id)
    for _, hash in ipairs({':is', ':c', ':uses'}) do state.later({'HDEL', hash, id}) end
    state.repaired('the container ' .. id .. ' lacked a row')
end

-- Known in this call in place of a container that has no rows: nothing is written of it.
function state.stand_in(id, name)
    containers[id] = {'gone', name, FRESH, '', '', 0, 0, 'gone', FRESH, false, '', '', 0, 0, false, ''}
end

-- They, and the requests that they are leased to, whose ids are returned.
function state.load_containers_and_holders(ids)
    state.load_containers(ids)
    local holders = {}
    for _, id in ipairs(ids) do
        local c = state.known_container(id)
        if c and c[STATE] == 'leased' then holders[#holders + 1] = c[REQUEST] end
    end
    state.load_requests(holders)
    return holders
end

-- One of an idle list: what it is follows from that. static: its row of :c, or false.
function load_idle(id, number, static, l)
    local since = tonumber(number)
    local c = {'idle', l.pool, l.reuse, '', static, 0, since, 'idle', l.reuse, false}
    c[WAS_SINCE], containers[id] = since, c
end

-- An entry's container has no row: it is no longer counted.
function lost_idle(id, l)
    local p = l.p
    p.idle, p.stale, pool_dirty[l.pool] = math.max(0, p.idle - 1), p.stale + 1, true
    state.drop_container_rows(id)
end

-- The container of a lease: what it is follows from the lease.
function state.leased_container(r)
    local c, key = containers[r[CONTAINER]], state.key_of(r)
    if c == nil then
        c = {'leased', r[POOL], key, '', false, 0, 0, 'leased', key, false}
        containers[r[CONTAINER]] = c
    elseif c then
        c[REUSE], c[WAS_REUSE] = key, key
    end
    return c
end

-- The packed part of its answers; reads it when the container is known by its list or lease alone.
function state.static(id, c)
    if not c[STATIC] then c[STATIC] = redis.call('HGET', root .. ':c', id) end
    return c[STATIC]
end

-- Its host, address, cpu and memory.
function state.details(id, c)
    if not c[HOST] then
        local _
        local static = state.static(id, c)
        if static then
            _, c[HOST], c[ADDRESS], c[C_CPU], c[C_MEMORY], c[IMAGE] = rows.static_fields(static)
        else -- its row was lost (repair.lua)
            c[HOST], c[ADDRESS], c[C_CPU], c[C_MEMORY], c[IMAGE] = '', '', 0, 0, ''
        end
    end
    return c[HOST], c[ADDRESS], c[C_CPU], c[C_MEMORY]
end

local function set_static(c)
    c[STATIC], c[STATIC_CHANGED] = rows.static(c[POOL], c[HOST], c[ADDRESS], c[C_CPU], c[C_MEMORY], c[IMAGE]), true
end

function state.set_address(id, c, address, image)
    state.details(id, c)
    c[ADDRESS], c[IMAGE] = address, image
    set_static(c)
end

function state.container(id)
    if containers[id] == nil then state.load_containers({id}) end
    return containers[id]
end

function state.known_container(id) return containers[id] end

-- Pools -------------------------------------------------------------------------------------------------------------------------

local COUNTERS = {idle = true, leased = true, creating = true, resetting = true, ending = true, waiting = true}

local function empty_pool()
    return {idle = 0, leased = 0, creating = 0, ending = 0, waiting = 0, warm = 0, cold = 0, rejected = 0, lost = 0, peak = 0, size = -1,
        draining = false, failures = 0, retry_at = 0, active = now, cold_us = 0, hungry = false, why = '', resetting = 0, paused = 0,
        idle_due = 0, policy = settings.reuse, mixed = false, stale = 0, had_stale = false}
end

function state.parse_pool(raw)
    local p = {}
    p.idle, p.leased, p.creating, p.ending, p.waiting, p.warm, p.cold, p.rejected, p.lost, p.peak, p.size, p.draining, p.failures,
        p.retry_at, p.active, p.cold_us, p.hungry, p.why, p.resetting, p.paused, p.idle_due, p.policy, p.mixed, p.stale = cmsgpack.unpack(raw)
    p.had_stale = p.stale > 0
    return p
end

function state.load_pools(names)
    local missing, n = bulk.missing(pools, names)
    if n == 0 then return end
    local rows = bulk.read(root .. ':pools', missing)
    for i = 1, n do
        if rows[i] then pools[missing[i]] = state.parse_pool(rows[i]) end
    end
end

local function give_lists(p, name)
    p.name, p.wait_list, p.idle_by, p.wait_by = name, lists.of('wait:' .. name), {}, {}
end

-- pool.reuse may have changed since the pool's row was written: those that wait are then listed by keys of several policies (mixed, until
-- nobody waits), and used containers that are idle have keys that nobody asks for any more (state.policies_changed).
local function follow_policy(p, name)
    local policy = state.policy_of(name)
    if p.policy == policy then return end
    if not p.new then
        p.mixed = p.mixed or p.waiting > 0
        state.policies_changed[#state.policies_changed + 1] = name
    end
    p.policy, pool_dirty[name] = policy, true
end

-- The pool; nil when there is none. (philosophies.lua makes it.)
function state.pool(name)
    if pools[name] == nil then state.load_pools({name}) end
    local p = pools[name]
    if p and not p.wait_list then
        give_lists(p, name)
        follow_policy(p, name)
    end
    return p or nil
end

function state.known_pool(name) return pools[name] end

-- Those there are, with those that this call makes.
function state.count_pools()
    local new = 0
    for name in pairs(pool_dirty) do if pools[name] and pools[name].new then new = new + 1 end end
    return redis.call('HLEN', root .. ':pools') + new
end

function state.new_pool(name)
    local p = empty_pool()
    p.new, pools[name], pool_dirty[name] = true, p, true
    give_lists(p, name)
    follow_policy(p, name)
    return p
end

-- Its row is removed by the caller (state.first).
function state.forget_pool(name) pools[name] = false end

-- Whether nothing is in it, and nobody has said anything about it that lasts.
function state.is_empty(p)
    return p.idle + p.leased + p.creating + p.resetting + p.ending + p.waiting == 0 and p.size < 0 and not p.draining
end

function state.touch_pool(name) pool_dirty[name] = true end

-- Of an idle one.
function state.is_paused(c) return c[REUSE]:byte(1) == PAUSED end

-- The reuse key of idle ones that are paused.
function state.paused_key(reuse) return '\t' .. reuse end

-- The setter of a container's state: nobody else changes it, or the counters of its pool.
function state.move(id, c, to)
    local name = c[POOL]
    local p, from = pools[name], c[STATE]
    if from then p[from] = math.max(0, p[from] - 1) end -- 0: its pool's row was lost (repair.lua)
    if from == 'idle' and state.is_paused(c) then p.paused = math.max(0, p.paused - 1) end
    if COUNTERS[to] then p[to] = p[to] + 1 end
    c[STATE] = to
    if to == 'idle' then
        c[SINCE] = state.next_number()
        if state.is_paused(c) then p.paused = p.paused + 1 end
        idle.add(p.idle_by[c[REUSE]] or idle.of(p, name, c[REUSE]), id, c[SINCE])
    elseif to == 'leased' then
        if p.leased > p.peak then p.peak = p.leased end
    elseif to == 'ending' then
        host_table.ending(state.details(id, c), 1)
    elseif to == 'gone' then
        state.details(id, c)
        if from == 'ending' then host_table.ending(c[HOST], -1) end
        host_table.use(c[HOST], -1, c[C_MEMORY])
        host_table.member(c[HOST], id, false)
    end
    if not c[C_TOUCHED] then
        container_count = container_count + 1
        c[C_TOUCHED], container_touched[container_count] = true, id
    end
    pool_dirty[name] = true
end

function state.add_container(id, name, host, cpu, memory)
    local c = {false, name, FRESH, '', false, now, 0, false, FRESH, false, host, '', cpu, memory, false, '', 0}
    set_static(c)
    containers[id] = c
    host_table.use(host, 1, memory)
    host_table.member(host, id, true)
    state.move(id, c, 'creating')
    return c
end

-- The waiting requests of a pool whose containers have that reuse key (lists.lua).
function state.waiting_of(p, name, reuse)
    local l = p.wait_by[reuse]
    if not l then
        l = lists.of('wait:' .. name .. ':' .. reuse)
        p.wait_by[reuse] = l
    end
    return l
end

-- Deadlines, numbers, other writes --------------------------------------------------------------------------------------------------

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

-- What the fast path (warm.lua) writes itself: names and values for :req and :is, before all other changes of these, ids for :ended, and how
-- many these are then. Numbers: it draws them from first_number() on, and says which it drew last.
function state.fast_requests() return fast.req end
function state.fast_containers() return fast.is end
function state.fast_ended() return ended end
function state.fast_ended_count(count) ended_count = count end
function state.ended_row() return ended_row end

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

-- The score in :expiry of a lease that begins now.
function state.expiry_score(lease_ms) return lease_ms > 0 and lists.score(now + lease_ms * 1000) or NEVER end

-- It is on the list of one of its keys.
local function leave_waiting_lists(p, id, r)
    lists.take(state.waiting_of(p, r[POOL], state.key_of(r)), id)
    if not p.mixed then return end
    for _, policy in ipairs(POLICIES) do lists.take(state.waiting_of(p, r[POOL], key_by(policy, r[AGENT], r[TENANT])), id) end
end

-- A request's places on the waiting lists and among the deadlines, by what it was and what it is.
local function place_request(id, r, leases, waits)
    local is, was = r[STATE], r[WAS]
    if is == was then return end
    if was == 'l' then
        lists.take(leases, id)
    elseif was == 'w' then
        local p = state.pool(r[POOL])
        lists.take(p.wait_list, id)
        leave_waiting_lists(p, id, r)
    end
    if (was == 'w' or was == 'b') and is ~= 'w' and is ~= 'b' then lists.take(waits, id) end
    if is == 'l' then
        lists.put(leases, state.expiry_score(r[LEASE_MS]), id)
    elseif is == 'w' then
        local p = state.pool(r[POOL])
        lists.put(p.wait_list, lists.score(r[PLACE]), id)
        lists.put(state.waiting_of(p, r[POOL], state.key_of(r)), lists.score(r[PLACE]), id)
    end
    if is == 'b' or (is == 'w' and was ~= 'b') then lists.put(waits, lists.score(r[DEADLINE]), id) end
end

local function flush_requests()
    local set, leases, waits, others = fast.req, lists.of('expiry'), lists.of('timeout'), lists.of('deadline')
    local n = #set
    for i = 1, req_count do
        local id = req_touched[i]
        local r = reqs[id]
        set[n + 1], set[n + 2], n = id, pack_request(r), n + 2
        place_request(id, r, leases, waits)
    end
    for member, at in pairs(deadlines) do
        if at then lists.put(others, lists.score(at), member) else lists.take(others, member) end
    end
    bulk.write('HSET', root .. ':req', set)
end

-- Its entry in the idle list, by what it was and what it is.
local function place_container(id, c)
    local is, since = c[STATE] == 'idle', c[SINCE]
    local was = c[C_WAS] == 'idle'
    if was and is and since == c[WAS_SINCE] then return end
    local p = state.pool(c[POOL])
    if was then idle.left(idle.of(p, c[POOL], c[WAS_REUSE])) end
    if is then idle.put(idle.of(p, c[POOL], c[REUSE]), id, since) end
end

local function is_row(c)
    local is = c[STATE]
    if is == 'leased' then return c[REQUEST] end
    if is == 'idle' then return rows.idle(rows.number(c[SINCE]), c[REUSE]) end
    if is == 'resetting' then return '\nr' .. lists.score(c[CREATED]) .. ' ' .. c[REUSE] end
    return is == 'ending' and '\ne' or '\nc' .. lists.score(c[CREATED])
end

local function flush_containers()
    local set, static, gone = fast.is, {}, {}
    local n = #set
    for i = 1, container_count do
        local id = container_touched[i]
        local c = containers[id]
        place_container(id, c)
        if c[STATE] == 'gone' then
            gone[#gone + 1] = id
        else
            set[n + 1], set[n + 2], n = id, is_row(c), n + 2
            if c[STATIC_CHANGED] then
                static[#static + 1] = id
                static[#static + 1] = c[STATIC]
            end
        end
    end
    bulk.write('HSET', root .. ':is', set)
    bulk.write('HSET', root .. ':c', static)
    bulk.write('HDEL', root .. ':is', gone)
    bulk.write('HDEL', root .. ':c', gone)
    bulk.write('HDEL', root .. ':uses', gone)
end

local function pack_pool(p)
    return cmsgpack.pack(p.idle, p.leased, p.creating, p.ending, p.waiting, p.warm, p.cold, p.rejected, p.lost, p.peak, p.size, p.draining, p.failures,
        p.retry_at, p.active, p.cold_us, p.hungry, p.why, p.resetting, p.paused, p.idle_due, p.policy, p.mixed, p.stale)
end

-- Requests that ended request_ttl ago, or are more than max_requests, oldest first, at most so many of them. How many.
function state.forget(most)
    local key = root .. ':ended'
    local over = redis.call('LLEN', key) - settings.max_requests
    local before = math.floor(now / 1000000) - settings.request_ttl
    local function seconds_of(row) -- nil: it is not one that ended
        if not row or rows.is_lease(row) then return nil end
        local is, at = cmsgpack.unpack(row)
        return (is == 'e' or is == 'x') and at or nil
    end
    local oldest = redis.call('LRANGE', key, 0, 0)[1]
    if not oldest then return 0 end
    local since = over <= 0 and seconds_of(redis.call('HGET', root .. ':req', oldest))
    if since and since > before then return 0 end
    local ids, past, n = redis.call('LRANGE', key, 0, math.min(most, bulk.MOST) - 1), {}, 0
    for i, row in ipairs(redis.call('HMGET', root .. ':req', unpack(ids))) do
        local at = seconds_of(row)
        if at and at > before and i > over then break end
        n = i
        if at then past[#past + 1] = ids[i] end
    end
    if n > 0 then redis.call('LPOP', key, n) end
    if #past > 0 then redis.call('HDEL', root .. ':req', unpack(past)) end
    return n
end

local function flush_pools()
    local active, rows = {}, {}
    for name in pairs(pool_dirty) do
        local p = pools[name]
        if p then
            local n = #rows
            if p.waiting == 0 then p.mixed = false end
            active[n + 1], active[n + 2] = lists.score(p.active), name
            rows[n + 1], rows[n + 2] = name, pack_pool(p)
        end
    end
    bulk.write('HSET', root .. ':pools', rows)
    bulk.write('ZADD', root .. ':active', active)
end

local function write_each(commands)
    for _, command in ipairs(commands) do
        command[2] = root .. command[2]
        redis.call(unpack(command))
    end
end

function state.flush()
    write_each(before)
    flush_requests()
    flush_containers()
    idle.flush()
    flush_pools()
    lists.flush()
    bulk.write('RPUSH', root .. ':ended', ended)
    if ended_count > 0 then state.forget(ended_count + 20) end -- whoever adds to them also takes away
    host_table.flush()
    if sequence then frame.drawn = state.number_text(sequence) end -- the frame writes it
    write_each(plain)
    if repairs > 0 then redis.call('HINCRBY', root .. ':meta', 'repaired', repairs) end
end
end
