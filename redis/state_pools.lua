-- The table of pools of the {pool} slot (see state.lua), one for each philosophy: counters and settings. Uses bulk.lua and lists.lua, and from
-- state_requests.lua policy_of().

do -- local names of this file

local MANY = '\n' -- of p.users: containers have been used under several reuse keys

local root, now, settings
local pools, dirty

function state.begin_pools(slot, time, map)
    root, now, settings = slot, time, map
    pools, dirty = {}, {}
    state.policies_changed = {} -- names of pools (follow_policy)
end

local function empty_pool()
    return {idle = 0, leased = 0, creating = 0, ending = 0, waiting = 0, warm = 0, cold = 0, rejected = 0, lost = 0, peak = 0, size = -1,
        draining = false, failures = 0, retry_at = 0, active = now, cold_us = 0, starved = false, why = '', resetting = 0, paused = 0,
        idle_due = 0, policy = settings.reuse, mixed = false, stale = 0, had_stale = false, fresh = 0, users = '!', thin = false, refill_at = 0,
        turn = 0, held = false, outdated = 0, outdated_idle = 0, owed = 0, away = 0}
end

function state.parse_pool(raw)
    local p = {}
    p.idle, p.leased, p.creating, p.ending, p.waiting, p.warm, p.cold, p.rejected, p.lost, p.peak, p.size, p.draining, p.failures,
        p.retry_at, p.active, p.cold_us, p.starved, p.why, p.resetting, p.paused, p.idle_due, p.policy, p.mixed, p.stale, p.fresh, p.users, p.thin,
        p.refill_at, p.turn, p.held, p.outdated, p.outdated_idle, p.owed, p.away = cmsgpack.unpack(raw)
    p.held = p.held or false
    p.had_stale = p.stale > 0
    p.outdated, p.outdated_idle, p.owed, p.away = p.outdated or 0, p.outdated_idle or 0, p.owed or 0, p.away or 0 -- a row from before has none
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

-- A row from before pools were kept ready has no such fields: all that nobody has used count.
local function count_fresh(p, name)
    local lists = redis.call('LLEN', root .. ':idle:' .. name .. ':!') + redis.call('LLEN', root .. ':idle:' .. name .. ':\t!')
    p.fresh, p.users, p.thin, p.refill_at = math.min(p.idle, lists), p.idle > lists and MANY or '!', false, 0
end

-- A row from before tenants had turns: turns.lua.
local function begin_turns(p, name)
    p.turn = p.waiting > 0 and -state.next_number() or 0
    state.first({'UNLINK', ':turn:' .. name})
    dirty[name] = true
end

local function give_lists(p, name)
    p.name, p.wait_list, p.idle_by, p.wait_by = name, lists.of('wait:' .. name), {}, {}
end

-- Notices that pool.reuse has changed since the pool's row was written. Its waiting requests are then on lists of keys of several policies
-- (p.mixed, until nobody waits), and its used idle containers have keys that no request asks for any more (state.policies_changed).
local function follow_policy(p, name)
    local policy = state.policy_of(name)
    if p.policy == policy then return end
    if not p.new then
        p.mixed = p.mixed or p.waiting > 0
        state.policies_changed[#state.policies_changed + 1] = name
    end
    p.policy, p.users, dirty[name] = policy, '!', true
end

-- The pool; nil when there is none. (philosophies.lua makes pools.)
function state.pool(name)
    if pools[name] == nil then state.load_pools({name}) end
    local p = pools[name]
    if p and not p.wait_list then
        if p.fresh == nil then count_fresh(p, name) end
        give_lists(p, name)
        if p.turn == nil then begin_turns(p, name) end
        follow_policy(p, name)
    end
    return p or nil
end

function state.known_pool(name) return pools[name] end

-- The number of pools, with those that this call makes.
function state.count_pools()
    local new = 0
    for name in pairs(dirty) do if pools[name] and pools[name].new then new = new + 1 end end
    return redis.call('HLEN', root .. ':pools') + new
end

function state.new_pool(name)
    local p = empty_pool()
    p.new, pools[name], dirty[name] = true, p, true
    give_lists(p, name)
    follow_policy(p, name)
    return p
end

-- Forgets a pool; the caller removes its row (state.first).
function state.forget_pool(name) pools[name] = false end

-- True when the pool has no containers and no waiting requests, and no resize or drain is in force.
function state.is_empty(p)
    return p.idle + p.leased + p.creating + p.resetting + p.ending + p.away + p.waiting == 0 and p.size < 0 and not p.draining
end

function state.touch_pool(name) dirty[name] = true end

-- How many idle containers of the pool that any request could get are kept at all times: pool.min_idle, else what is pre-warmed. Second result:
-- somebody has asked for that number.
function state.min_idle(name)
    local own, prewarms = settings.min_idle_of, settings.prewarms
    if own and own[name] then return own[name], true end
    if prewarms and prewarms[name] then return prewarms[name], false end
    return settings.min_idle or 0, true
end

-- Notes the reuse key of a request of the pool. While there is one key only, all idle containers are for whoever comes.
function state.used_by(p, key)
    if p.users == key or p.users == MANY or key == '!' then return end
    p.users, dirty[p.name] = p.users == '!' and key or MANY, true
end

-- True when a request could come that may not have the pool's used containers.
function state.is_shared(p)
    if p.users == MANY and p.fresh == p.idle and p.leased + p.resetting + p.away == 0 then p.users = '!' end -- nothing used is left
    return p.users == MANY
end

-- The number of idle containers that any request could get.
function state.ready_of(p) return state.is_shared(p) and p.fresh or p.idle end

-- The list (lists.lua) of a pool's idle outdated containers.
function state.outdated_of(p) return lists.of('outdated:' .. p.name) end

-- The list (lists.lua) of a pool's waiting requests that get containers with that reuse key.
function state.waiting_of(p, name, reuse)
    local l = p.wait_by[reuse]
    if not l then
        l = lists.of('wait:' .. name .. ':' .. reuse)
        p.wait_by[reuse] = l
    end
    return l
end

local function pack_pool(p)
    return cmsgpack.pack(p.idle, p.leased, p.creating, p.ending, p.waiting, p.warm, p.cold, p.rejected, p.lost, p.peak, p.size, p.draining, p.failures,
        p.retry_at, p.active, p.cold_us, p.starved, p.why, p.resetting, p.paused, p.idle_due, p.policy, p.mixed, p.stale, p.fresh, p.users, p.thin,
        p.refill_at, p.turn, p.held, p.outdated, p.outdated_idle, p.owed, p.away)
end

function state.flush_pools()
    local active, rows = {}, {}
    for name in pairs(dirty) do
        local p = pools[name]
        if p then
            local n = #rows
            if p.waiting == 0 then p.mixed, p.turn = false, 0 end
            active[n + 1], active[n + 2] = lists.score(p.active), name
            rows[n + 1], rows[n + 2] = name, pack_pool(p)
        end
    end
    bulk.write('HSET', root .. ':pools', rows)
    bulk.write('ZADD', root .. ':active', active)
end
end
