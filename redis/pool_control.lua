-- Handles the events of pool-control (pre_warm, resize, expire, drain, rollout), and their further steps when one call cannot do all.
--
-- Takes from leases.lua: topic(), the fields of containers, bounds (STEP, CREATES), go_on(), destroy(), idle containers, size_of(),
-- restore_later(); from capacity.lua: prewarm(); from pool.lua: reject_draining(); from container_events.lua: reject_all_waiting(). Uses
-- philosophies.lua (pools).

-- The first idle container of a list: {l = list, id, c = container, since}; nil: there is none.
local function head_of(l)
    local id, c = first_idle(l, false)
    return id and {l = l, id = id, c = c, since = c[SINCE]}
end

-- The heads of those idle lists of a pool that may hold its `most` oldest containers: of the lists that this call has used, and of the `most`
-- others with the oldest heads.
local function oldest_heads(name, p, most)
    local heads, allowed = {}, most
    for _ in pairs(p.idle_by) do allowed = allowed + 1 end
    idle.each(p, name, function(l)
        heads[#heads + 1] = head_of(l)
        allowed = allowed - 1
        return allowed <= 0
    end)
    return heads
end

local function oldest_of(heads)
    local at
    for i, head in pairs(heads) do if not at or head.since < heads[at].since then at = i end end
    return at
end

-- Destroys idle containers, the longest idle first: `most` or STEP at most; before: only those that were idle at that time (us). Returns how many.
local function expire_idle(offset, name, most, before)
    most = math.min(most, STEP)
    local destroyed, heads = 0, most > 0 and oldest_heads(name, state.pool(name), most) or {}
    while destroyed < most do
        local at = oldest_of(heads)
        local head = at and heads[at]
        if not head or (before and head.since > before) then break end
        destroy(offset, head.id, head.c)
        destroyed, work, heads[at] = destroyed + 1, work + 1, head_of(head.l)
    end
    return destroyed
end

-- A step of expire. left: how many containers that were idle at `before` are still to be destroyed; was: how many idle ones to make afterwards.
local function expire_step(offset, name, p, left, was, before)
    local destroyed = expire_idle(offset, name, left, before)
    if destroyed == STEP and left > destroyed then
        go_on(offset, name, string.format('expire %d %d %s', left - destroyed, was, state.number_text(before)))
    else
        prewarm(offset, name, p, was)
    end
end

-- pool.reuse has changed: destroys idle containers with reuse keys of the former policy, because no request may have them any more.
function follow_policy(offset, name)
    local p = state.pool(name)
    local policy, destroyed = state.policy_of(name), 0
    idle.each(p, name, function(l)
        local reuse = l.reuse:gsub('^\t', '') -- without the mark of paused ones
        while not state.is_key_of(policy, reuse) and destroyed < STEP do
            local id, c = first_idle(l, false)
            if not id then break end
            destroy(offset, id, c)
            destroyed, work = destroyed + 1, work + 1
        end
        return destroyed >= STEP
    end)
    if destroyed >= STEP then go_on(offset, name, 'reuse') end
end

-- Does the step that a `continue` names (go_on). False: it names none.
function pool.go_on_with(offset, name, p, detail)
    local count = detail:match('^pre_warm (%d+)')
    if count then
        prewarm(offset, name, p, tonumber(count))
        return true
    end
    if detail:find('^reuse') then
        follow_policy(offset, name)
        return true
    end
    local marked, host, after = detail:match('^rollout (%d+) (%S+) (%S+)')
    if marked then
        rollout.mark_all(offset, name, tonumber(marked), host, after)
        return true
    end
    local left, was, before = detail:match('^expire (%d+) (%d+) (%d+)')
    if left then expire_step(offset, name, p, tonumber(left), tonumber(was), tonumber(before)) end
    return left ~= nil
end

function pool.drain_step(offset, name, p)
    expire_idle(offset, name, STEP)
    reject_all_waiting(offset, name, p, reject_draining)
    if p.idle > 0 then go_on(offset, name) end
end

-- Destroys idle containers beyond the pool's size.
function pool.shrink_step(offset, name, p)
    local size = size_of(name, p)
    if p.idle > size then expire_idle(offset, name, p.idle - size) end
    if p.idle > size then go_on(offset, name) end
end

-- offset | control_id philosophy op count
local controls_seen

local function control_one(e)
    local offset, id, name, op, count = e[1], e[2], e[3], e[4], e[5]
    if id ~= '' then
        if controls_seen[id] or redis.call('ZSCORE', pool.root .. ':controls', id) then return end
        controls_seen[id] = true
        state.later({'ZADD', ':controls', state.number_text(now), id})
        state.later({'ZREMRANGEBYSCORE', ':controls', '-inf', state.number_text(now - 600 * SECOND)})
        state.later({'ZREMRANGEBYRANK', ':controls', 0, -10001})
    end
    local p = state.pool(name)
    if not p and (op == 'expire' or op == 'rollout') then return end
    p = p or philosophies.pool(name)
    if not p then return dead_letter(offset, philosophies.too_many()) end
    state.touch_pool(name)
    if op == 'pre_warm' then
        prewarm(offset, name, p, count or size_of(name, p))
        restore_later(name)
    elseif op == 'resize' then
        p.size, p.draining = count, false
        pool.shrink_step(offset, name, p)
        restore_later(name)
    elseif op == 'expire' then
        local was = p.idle
        expire_step(offset, name, p, math.min(count or was, was), was, now)
    elseif op == 'drain' then
        p.draining = true
        pool.drain_step(offset, name, p)
    elseif op == 'rollout' then
        rollout.mark_all(offset, name, state.next_number(), '', '')
    end
end

pool.control = topic(function(events)
    local names = {}
    for i, e in ipairs(events) do names[i] = e[3] end
    state.load_pools(names)
    controls_seen = {}
end, function(e)
    control_one(e)
    return creates >= CREATES -- the worker sends the rest again
end)
