-- Handles what is due: leases that expire, waiting requests that time out, creates to be tried again, idle containers that are too old,
-- predictions to be published.
--
-- Takes from leases.lua: the fields of requests and containers, bounds (STEP, WORK), go_on(), the ends of leases and of waiting, destroy(),
-- restore_later(), watch_idle(), max_of(); from pool.lua: give_up_binding(). Uses repair.lua and tenants.lua.

local function reject_waiting(offset, id, r, reason)
    work = work + 1
    stop_waiting(r)
    reject(offset, id, r, reason)
end

local function expire(offset, id)
    local r = state.request(id)
    if not r or r[STATE] ~= 'l' then return state.not_due('expiry', id) end
    local cid, c = r[CONTAINER], state.container(r[CONTAINER])
    repair.pool(r[POOL])
    if not c then repair.lost_container(cid, r[POOL], id) end
    end_lease(offset, id, r, 'lost', 'lease_expired: it was not released in time; ask for a longer lease_ms (0: no end)')
    if not c then return end
    c[REQUEST], work = '', work + 1
    destroy(offset, cid, c)
end

-- Why no host that is up has the image of the philosophy's containers; nil: one has.
local function why_no_image(name)
    local first, why
    for host, h in pairs(host_table.all()) do
        if is_up(h) and host_table.can_make(h, name) then return nil end
        if is_up(h) and (not first or host < first) then first, why = host, host_table.lacks(h, name) end
    end
    return first and string.format('no host has the image of its containers; of %s: %s', first, why ~= '' and why or 'it is missing')
end

-- Why the philosophy's requests got no container.
local function why_none(name, p, r)
    local up, claims = 0, 0
    for _, h in pairs(host_table.all()) do
        if is_up(h) then
            up = up + 1
            if h.claims then claims = claims + 1 end
        end
    end
    if up == 0 then return 'no host is up (warmpool status names them)' end
    if r[CLAIM] and claims == 0 then return 'no host that is up takes claims (host.claims)' end
    local no_image = why_no_image(name)
    if no_image then return no_image end
    if p.failures > 0 then return 'creates fail: ' .. p.why end
    if tenants.is_held(r[TENANT]) then return string.format('its tenant has all its tenant.max_creating, %d', tenants.limit('creating', r[TENANT])) end
    if total(p) >= max_of(name) then return string.format('the philosophy has all its pool.max_containers, %d', max_of(name)) end
    if p.starved then return 'no host has room for another container (host.capacity, host.memory_mb)' end
    return string.format('its container is still being made, with %d of its philosophy in all (pool.min_idle keeps more ready)', p.creating)
end

local function waited_in_vain(id, r)
    local list = state.key(':wait:' .. r[POOL])
    local ahead, own = redis.call('ZRANK', list, id) or 0, redis.call('ZRANK', list .. ':' .. r[TENANT], id) or 0
    local of_tenant = own < ahead and string.format(', %d of them of its tenant', own) or ''
    return string.format('timeout: %s; requests that waited before it: %d%s', why_none(r[POOL], state.pool(r[POOL]), r), ahead, of_tenant)
end

local function time_out(offset, id)
    local r = state.request(id)
    if r and (r[STATE] == 'b' or r[STATE] == 'w') then repair.pool(r[POOL]) end
    if r and r[STATE] == 'b' then return give_up_binding(offset, id, r, 'timeout: its host has not made its container ready for it in time') end
    if not r or r[STATE] ~= 'w' then return state.not_due('timeout', id) end
    reject_waiting(offset, id, r, waited_in_vain(id, r))
end

-- Destroys idle containers that have reached the limit of idle time or age: checks STEP of them at most, and sets the time of the next check.
-- Those that pool.min_idle keeps ready have no limit of idle time.
local function destroy_old(offset, name, p)
    local old, nearest, looked = {}, nil, 0
    local spare = state.ready_of(p) - state.min_idle(name)
    local function may_go(id, c)
        if state.is_shared(p) and not state.is_fresh(c) then return true end
        local age = aged_at(name, id)
        if spare <= 0 and not (age and age <= now) then return false end
        spare = spare - 1
        return true
    end
    p.idle_due = 0
    state.touch_pool(name)
    idle.each(p, name, function(l)
        idle.first(l, function(id, c)
            looked = looked + 1
            local at = idle_until(name, id, c[SINCE])
            if at and at <= now and may_go(id, c) then
                old[#old + 1] = id
            elseif at and at <= now then
                nearest = math.min(now + (settings.idle_ttls[name] or settings.idle_ttl) * SECOND, nearest or math.huge)
            elseif at then
                nearest = math.min(at, nearest or at)
            end
            return looked >= STEP
        end, nil, STEP)
        return looked >= STEP
    end)
    for i = 1, math.min(#old, STEP) do
        destroy(offset, old[i], containers[old[i]])
        work = work + 1
    end
    if looked >= STEP then nearest = now + SECOND end -- others were not checked
    watch_idle(name, p, #old > STEP and now or nearest)
end

local function pool_due(offset, member)
    local kind, name = member:sub(1, 1), member:sub(2)
    state.deadline(member, false)
    if kind == 'p' then return predictor.due(name) end
    local p = state.pool(name)
    if kind == 'i' then return p and destroy_old(offset, name, p) end
    if kind == 'f' then return p and restore_later(name) end
    if p then
        p.retry_at = 0
        state.touch_pool(name)
        restore_later(name)
    end
end

-- Loads in bulk what the end of leases needs: their containers and agents.
local function load_for_end(ids)
    local containers_of, agents_of = {}, {}
    for _, id in ipairs(ids) do
        local r = state.request(id)
        if r and r[STATE] == 'l' then
            containers_of[#containers_of + 1] = r[CONTAINER]
            if r[AGENT] ~= '' then agents_of[#agents_of + 1] = r[AGENT] end
        end
    end
    state.load_containers(containers_of)
    agents.load(agents_of)
end

-- Handles what is due: STEP members at most, and fewer when that makes WORK. Another call goes on with the rest.
local function due(offset)
    local left = STEP
    for _, each in ipairs({{'expiry', expire, true}, {'timeout', time_out, true}, {'deadline', pool_due}}) do
        local members = redis.call('ZRANGEBYSCORE', pool.root .. ':' .. each[1], '-inf', state.number_text(now), 'LIMIT', 0, left + 1)
        if each[3] then
            state.load_requests(members)
            load_for_end(members)
        end
        for i, member in ipairs(members) do
            if i > left or work >= WORK then return go_on(offset, '-') end
            each[2](offset, member)
        end
        left = left - #members
    end
end
