-- The table of requests of the {pool} slot (see state.lua), and the reuse keys, which say whom a container may serve after a request.
-- Uses bulk.lua, rows.lua, lists.lua, tenants.lua and turns.lua, and from state.lua and state_pools.lua single writes and pools.

do -- local names of this file

local STATE, POOL, AGENT, TENANT, ROW, WAS, TOUCHED, DEADLINE, LEASE_MS, CLAIM, PLACE, COUNTED = 1, 2, 3, 4, 7, 8, 9, 12, 13, 16, 17, 18 -- as in state.lua
local FRESH = '!' -- the reuse key of a container that nobody has used; no legal name, so no tenant has it
local EVERYBODY = '*'
local NEVER = '+inf' -- the score of a lease without an end
local pack -- cmsgpack.pack; the global tables do not exist yet while the library is loaded

local root, now, settings
local reqs, touched, count
local ended, ended_count, ended_row, seen_row
local fast

-- Begins a call. Returns the requests known in it: id -> request.
function state.begin_requests(slot, time, map)
    root, now, settings, pack = slot, time, map, cmsgpack.pack
    local second = pack(math.floor(time / 1000000))
    ended_row, seen_row = '\161e' .. second, '\161x' .. second
    reqs, touched, count, ended, ended_count, fast = {}, {}, 0, {}, 0, {}
    return reqs
end

-- Whom a container may serve -----------------------------------------------------------------------------------------------------

local POLICIES = {'same_tenant', 'same_agent', 'always', 'never'} -- of pool.reuse

function state.policy_of(name) return settings.reuses[name] or settings.reuse end

-- Whether hosts have something to do with a used container of the pool before its next use: to clean it, or to run its reset command.
function state.is_prepared(name)
    local cleans, resets = settings.cleans and settings.cleans[name], settings.resets[name]
    if cleans == nil then cleans = settings.clean end
    if resets == nil then resets = settings.reset end
    return cleans or resets
end

local function key_by(policy, agent, tenant)
    if policy == 'same_tenant' then return tenant end
    if policy == 'same_agent' then return '@' .. tenant .. '/' .. agent end -- a tenant's name has no slash
    return policy == 'always' and EVERYBODY or FRESH -- never: it is not reused at all
end

-- True when the policy gives used containers such a reuse key.
function state.is_key_of(policy, reuse)
    local first = reuse:sub(1, 1)
    if first == FRESH then return true end
    if policy == 'same_agent' then return first == '@' end
    if policy == 'always' then return reuse == EVERYBODY end
    return policy == 'same_tenant' and first ~= '@' and first ~= EVERYBODY
end

-- The reuse key of a container after this request: whom it may serve next, by the pool's policy.
function state.reuse_key(name, agent, tenant) return key_by(state.policy_of(name), agent, tenant) end

function state.key_of(r) return state.reuse_key(r[POOL], r[AGENT], r[TENANT]) end

-- Reading and changing ------------------------------------------------------------------------------------------------------------

function state.ended_request(is, was) return {is, '', '', '', '', '', '', was, false} end

local IS_COUNTED = 2 -- TOUCHED in a row
local COUNTED_AS = {w = 'waiting', b = 'leases', l = 'leases'} -- by state

local function parse_request(raw)
    if rows.is_lease(raw) then
        local name, tenant, container, agent, counted = rows.lease_whose(raw)
        return {'l', name, agent, tenant, false, container, raw, 'l', false, [COUNTED] = counted and COUNTED_AS.l}
    end
    local is = raw:sub(2, 2)
    if is ~= 'w' and is ~= 'b' then return state.ended_request(is, is) end
    local r = {cmsgpack.unpack(raw)}
    r[WAS], r[TOUCHED], r[PLACE], r[COUNTED] = is, false, 0, r[TOUCHED] == IS_COUNTED and COUNTED_AS[is]
    return r
end

function state.load_requests(ids)
    local missing, n = bulk.missing(reqs, ids)
    if n == 0 then return end
    local found = bulk.read(root .. ':req', missing)
    for i = 1, n do reqs[missing[i]] = found[i] end
end

-- The request, or false. Loaded requests are kept as raw rows until they are asked for.
function state.request(id)
    if reqs[id] == nil then state.load_requests({id}) end
    local r = reqs[id]
    if type(r) == 'string' then
        r = parse_request(r)
        reqs[id] = r
    end
    return r
end

-- The raw rows, in the order of the ids, for the fast path. Those that it leaves become known in leases.lua (column_topic).
function state.request_rows(ids) return bulk.read(root .. ':req', ids) end

local function count_for_tenant(r)
    local as = COUNTED_AS[r[STATE]]
    if r[COUNTED] == as then return end
    if r[COUNTED] then tenants.count(r[COUNTED], r[TENANT], -1) end
    if as then tenants.count(as, r[TENANT], 1) end
    r[COUNTED] = as
end

-- Notes a request that is new or was changed.
function state.put_request(id, r)
    reqs[id] = r
    count_for_tenant(r)
    if not r[TOUCHED] then
        count = count + 1
        r[TOUCHED], touched[count] = IS_COUNTED, id
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
    local is = r[STATE] -- of a request that is over only the state and the second are kept
    if is == 'l' then return r[ROW] end
    if is == 'w' or is == 'b' then return pack(unpack(r, 1, 16)) end
    return is == 'e' and ended_row or seen_row
end

-- The arrays to which the fast path (warm.lua) appends: names and values for :req (written before other changes), and ids for :ended, whose new
-- number it sets.
function state.fast_requests() return fast end
function state.fast_ended() return ended end
function state.fast_ended_count(n) ended_count = n end
function state.ended_row() return ended_row end

-- Writing -------------------------------------------------------------------------------------------------------------------------

-- The score in :expiry of a lease that begins now.
function state.expiry_score(lease_ms) return lease_ms > 0 and lists.score(now + lease_ms * 1000) or NEVER end

-- Takes a request off the waiting lists of its tenant and its reuse key; in a mixed pool, off those of the keys of all policies.
local function leave_waiting_lists(p, id, r)
    lists.take(p.wait_list, id)
    lists.take(state.waiting_of(p, r[POOL], r[TENANT]), id)
    if state.key_of(r) ~= r[TENANT] then lists.take(state.waiting_of(p, r[POOL], state.key_of(r)), id) end
    turns.leave(p, r[TENANT])
    if not p.mixed then return end
    for _, policy in ipairs(POLICIES) do lists.take(state.waiting_of(p, r[POOL], key_by(policy, r[AGENT], r[TENANT])), id) end
end

local function enter_waiting_lists(p, id, r)
    local place, key = lists.score(r[PLACE]), state.key_of(r)
    lists.put(p.wait_list, place, id)
    lists.put(state.waiting_of(p, r[POOL], r[TENANT]), place, id)
    if key ~= r[TENANT] then lists.put(state.waiting_of(p, r[POOL], key), place, id) end
end

-- Changes a request's places on the waiting lists and among the deadlines, by its old and new state.
local function place_request(id, r, leases, waits)
    local is, was = r[STATE], r[WAS]
    if is == was then return end
    if was == 'l' then
        lists.take(leases, id)
    elseif was == 'w' then
        leave_waiting_lists(state.pool(r[POOL]), id, r)
    end
    if (was == 'w' or was == 'b') and is ~= 'w' and is ~= 'b' then lists.take(waits, id) end
    if is == 'l' then
        lists.put(leases, state.expiry_score(r[LEASE_MS]), id)
    elseif is == 'w' then
        enter_waiting_lists(state.pool(r[POOL]), id, r)
    end
    if is == 'b' or (is == 'w' and was ~= 'b') then lists.put(waits, lists.score(r[DEADLINE]), id) end
end

function state.flush_requests()
    local set, leases, waits = fast, lists.of('expiry'), lists.of('timeout')
    local n = #set
    for i = 1, count do
        local id = touched[i]
        local r = reqs[id]
        set[n + 1], set[n + 2], n = id, pack_request(r), n + 2
        place_request(id, r, leases, waits)
    end
    bulk.write('HSET', root .. ':req', set)
end

-- Forgets ended requests, the oldest first: those that ended request_ttl ago, and those beyond max_requests; at most `most`. Returns how many.
function state.forget(most)
    local key = root .. ':ended'
    local over = redis.call('LLEN', key) - settings.max_requests
    local before = math.floor(now / 1000000) - settings.request_ttl
    local function seconds_of(row) -- when the request ended; nil: it has not
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

function state.flush_ended()
    bulk.write('RPUSH', root .. ':ended', ended)
    if ended_count > 0 then state.forget(ended_count + 20) end -- a call that adds ended requests also forgets some
end
end
