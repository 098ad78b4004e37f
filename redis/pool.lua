-- The topics' functions: what each event of acquire, release, usage, control and container-event does. Fields are as redis/README.md has
-- them; those at an event's end may be missing.
--
-- Takes from leases.lua: topic(), the fields of requests and containers, bounds (STEP, WORK), add(), go_on(), answers, leases, waiting and
-- idle containers; from capacity.lua: prewarm(), restore_hungry(), destroy_oldest_idle(), set_hungry(); from philosophies.lua: which pools
-- there may be; from repair.lua: what becomes of rows that contradict others. What an event changes is in the tables of state.lua until
-- finish() writes it.

-- What the events of batches need that came as rows: e[request], and the pools of all, e[name].
local function load_pools_of(batches, name_in_dictionary, row_name)
    local names, seen = {}, {}
    local function see(name)
        if name and name ~= '' and not seen[name] then seen[name], names[#names + 1] = true, name end
    end
    for _, b in ipairs(batches) do
        for _, each in ipairs(b.dictionary) do see(name_in_dictionary(each)) end
        for _, e in pairs(b.row_of) do see(e[row_name]) end
    end
    state.load_pools(names)
    return names
end

-- offset age_us record_age_ms keys | request_id agent_id philosophy tenant timeout_ms lease_ms cpu memory invalid claim
local function acquire_prefetch(batches)
    predictor.load(load_pools_of(batches, function(whose) return whose[1] end, 7))
    for _, b in ipairs(batches) do warm.prepare_acquires(b) end
end

local function some_host_claims()
    for _, h in pairs(host_table.all()) do if h.claims then return true end end
    return false
end

-- The idle container that such a request gets: used by one like it before, else fresh; one that runs rather than one that is paused.
local function warm_for(p, name, r)
    local key = state.key_of(r)
    local id, c = first_idle(p.idle_by[key] or idle.of(p, name, key), r)
    if not id and key ~= FRESH then id, c = first_idle(p.idle_by[FRESH] or idle.of(p, name, FRESH), r) end
    if not id and p.paused > 0 then
        id, c = first_idle(idle.of(p, name, state.paused_key(key)), r)
        if not id and key ~= FRESH then id, c = first_idle(idle.of(p, name, state.paused_key(FRESH)), r) end
    end
    return id, c
end

local function reject_draining(offset, id, r)
    reject(offset, id, r, 'draining: the pool ' .. r[POOL] .. ' takes nothing until it is resized (pool-control)')
end

-- Why no container can be as large as the request wants; nil: one can be.
local function too_large(r)
    local cpu, memory = r[CPU] or 0, r[MEMORY] or 0
    if cpu > settings.max_cpu then
        return 'too_large: cpu_percent is ' .. cpu .. ', pool.max_cpu_percent is ' .. settings.max_cpu
    elseif memory > settings.max_memory then
        return 'too_large: memory_mb is ' .. memory .. ', pool.max_memory_mb is ' .. settings.max_memory
    end
end

local function read_too_late(age_us, timeout_ms)
    return string.format('timeout: it was read %d ms after it was sent, its timeout_ms is %d: the worker is behind (its lag), or clocks differ',
        math.floor(age_us / 1000), timeout_ms)
end

local function acquire_one(e)
    local offset, id, name = e[1], e[5], e[7]
    local known, invalid = state.request(id), e[13] or ''
    if invalid ~= '' then dead_letter(offset, invalid) end -- whatever is known of the request whose id it has
    if known and known[STATE] ~= 'x' then -- sent again: the same answer, or nothing while it waits and after its end
        if known[STATE] == 'l' and invalid == '' then add(offset, answers.again(id, known)) end
        return
    end
    local r = {false, name, e[6], e[8], e[4], '', '', known and 'x', false, now, e[2], 0, e[10] or settings.lease_ms, e[11] or false,
        e[12] or false, e[14] and e[14] ~= '' or false, 0}
    if invalid ~= '' then return reject(offset, id, r, 'invalid: ' .. invalid) end
    if known then return reject(offset, id, r, 'cancelled: it was released before it was read') end
    local p = philosophies.pool(name)
    if not p then return reject(offset, id, r, philosophies.too_many()) end
    local sent = now - (e[3] < 0 and e[2] or e[3] * 1000)
    local timeout = e[9] or settings.timeout_ms
    r[DEADLINE] = sent + timeout * 1000
    if p.draining then return reject_draining(offset, id, r) end
    local large = too_large(r)
    if large then return reject(offset, id, r, large) end
    if timeout > 0 and r[DEADLINE] <= now then return reject(offset, id, r, read_too_late(now - sent, timeout)) end
    if r[CLAIM] then
        if not some_host_claims() then return reject(offset, id, r, 'unavailable: no host takes claims (host.claims)') end
        state.later({'HSET', ':claims', id, e[14]})
    end
    if p.idle > 0 and settings.pool_enabled and settings.warm_start then
        local cid, c = warm_for(p, name, r)
        if cid then return lease(offset, id, r, p, cid, c, 'hot') end
    end
    p.active = now
    if timeout == 0 then return reject(offset, id, r, 'timeout: no idle container may be had, and timeout_ms is 0') end
    if is_unavailable(p) then return reject_unavailable(offset, id, r, p) end
    start_waiting(id, r)
end

pool.acquire = column_topic({batch = warm.acquire_batch, prefetch = acquire_prefetch, run = warm.acquire, event_of = warm.acquire_event, one = acquire_one})

-- offset | request_id philosophy container_id reuse
-- Where requests wait, the containers that come free are needed.
local function release_prefetch(batches)
    load_pools_of(batches, function(name) return name end, 3)
    local wanted, waits = {}, {[false] = false}
    local function has_waiting(whose)
        local p = state.pool(whose:match('^[^ ]*'))
        waits[whose] = p ~= nil and p.waiting > 0
        return waits[whose]
    end
    for _, b in ipairs(batches) do
        warm.prepare_releases(b)
        for i = 1, #b.ids do
            local waited = waits[b.whose[i]]
            if waited == nil then waited = has_waiting(b.whose[i]) end
            if waited then wanted[#wanted + 1] = b.leased[i] end
        end
    end
    state.load_containers(wanted)
end

-- A request whose container is being bound to it is over, and nobody else gets that container.
local function give_up_binding(offset, id, r, reason)
    local cid = r[CONTAINER]
    local c = state.container(cid)
    state.pool(r[POOL])
    reject(offset, id, r, reason)
    if not c then repair.lost_container(cid, r[POOL], id) end
    if not c or c[REQUEST] ~= id then return end
    c[REQUEST] = ''
    destroy(offset, cid, c)
end

local function release_one(e)
    local offset, id = e[1], e[2]
    local r = state.request(id)
    if not r then
        dead_letter(offset, 'release of an unknown request')
        state.put_request(id, state.ended_request('x', false))
    elseif r[STATE] == 'w' then
        if r[POOL] ~= e[3] then return dead_letter(offset, 'the request is of philosophy ' .. r[POOL]) end
        stop_waiting(r)
        reject(offset, id, r, 'cancelled: it was released while it waited')
    elseif r[STATE] == 'b' then
        if r[POOL] ~= e[3] then return dead_letter(offset, 'the request is of philosophy ' .. r[POOL]) end
        give_up_binding(offset, id, r, 'cancelled: it was released while its container was bound')
    elseif r[STATE] == 'l' then
        local cid = r[CONTAINER]
        if r[POOL] ~= e[3] then return dead_letter(offset, 'the lease is of philosophy ' .. r[POOL]) end
        if e[4] ~= '' and e[4] ~= cid then return dead_letter(offset, 'the lease is on container ' .. cid) end
        local c, claimed = state.leased_container(r), rows.is_bound(r[ROW])
        state.pool(r[POOL])
        end_lease(offset, id, r)
        c[REQUEST] = ''
        if e[5] and r[TENANT] ~= '' then take_back(offset, cid, c, claimed) else destroy(offset, cid, c) end -- '': recover.lua
    end
end

pool.release = column_topic({batch = warm.release_batch, prefetch = release_prefetch,
    run = function(b, i) return warm.release(b, i, watch_idle) end, event_of = warm.release_event, one = release_one})

-- A container is no more: its room is free, its lease lost.
local function gone(offset, id, c, reason)
    local was, name = c[STATE], c[POOL]
    local p = state.pool(name)
    if was == 'leased' then
        local r = state.request(c[REQUEST])
        if r and r[STATE] == 'l' and r[CONTAINER] == id then end_lease(offset, c[REQUEST], r, 'lost', reason) end
        if r and r[STATE] == 'b' and r[CONTAINER] == id then -- it was not handed out
            if p.draining then reject_draining(offset, c[REQUEST], r) else start_waiting(c[REQUEST], r, r[ARRIVED]) end
        end
    end
    state.move(id, c, 'gone')
    room_came, work = true, work + 1
    restore_later(name)
end

-- The longest waiting first, at most STEP of them.
local function reject_all_waiting(offset, name, p, reject_one)
    lists.expect(p.wait_list, STEP)
    lists.item(p.wait_list, 1)
    state.load_requests(p.wait_list.items)
    for i = 1, STEP do
        local id = lists.item(p.wait_list, i)
        if not id then
            repair.waiting(p, 0)
            break
        end
        local r = state.request(id)
        if r and r[STATE] == 'w' then
            stop_waiting(r)
            reject_one(offset, id, r, p)
            work = work + 1
        else
            repair.not_waiting(p.wait_list, id, r)
        end
    end
    if p.waiting > 0 then go_on(offset, name) end
end

local function pause_after(failures) return now + math.min(BACKOFF_MOST, BACKOFF_FIRST * 2 ^ math.min(failures - 1, 10)) end

local function create_failed(offset, id, c, why)
    local p = state.pool(c[POOL])
    host_table.created(state.details(id, c), true, pause_after)
    p.failures, p.why = p.failures + 1, why
    p.retry_at = pause_after(p.failures)
    state.deadline('b' .. c[POOL], p.retry_at)
    gone(offset, id, c, 'container_failed')
    if is_unavailable(p) then reject_all_waiting(offset, c[POOL], p, reject_unavailable) end
end

-- {create, start, ready, publish} in us: what its host measured, and the way of the command and of this event. Ms as the host has them.
local function parts_of(took, queue_ms, create_ms, start_ms, ready_ms)
    if not create_ms then return nil end
    local function us(ms) return math.floor((ms or 0) * 1000) end
    local create, start, is_ready = us(create_ms), us(start_ms), us(ready_ms)
    return {create, start, is_ready, math.max(0, took - us(queue_ms) - create - start - is_ready)}
end

local function ready(offset, id, c, e)
    local p = state.pool(c[POOL])
    local took = now - c[CREATED]
    work = work + 1
    p.failures, p.retry_at = 0, 0
    p.cold_us = p.cold_us == 0 and took or math.floor(p.cold_us * 0.9 + took * 0.1)
    state.deadline('b' .. c[POOL], false)
    state.set_address(id, c, e[7], e[8] or '')
    host_table.created(state.details(id, c), false)
    offer(offset, id, c, false, parts_of(took, e[9], e[10], e[11], e[12]))
    restore_later(c[POOL])
end

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

-- Why no container came for the philosophy's requests.
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
    if p.failures > 0 then return 'creates fail: ' .. p.why end
    if total(p) >= max_of(name) then return string.format('the philosophy has all its pool.max_containers, %d', max_of(name)) end
    if p.hungry then return 'no host has room for another container (host.capacity, host.memory_mb)' end
    return string.format('%d containers are being made', p.creating)
end

local function waited_in_vain(id, r)
    local ahead = redis.call('ZRANK', state.key(':wait:' .. r[POOL]), id) or 0
    return string.format('timeout: %s; %d waited before it', why_none(r[POOL], state.pool(r[POOL]), r), ahead)
end

local function time_out(offset, id)
    local r = state.request(id)
    if r and (r[STATE] == 'b' or r[STATE] == 'w') then repair.pool(r[POOL]) end
    if r and r[STATE] == 'b' then return give_up_binding(offset, id, r, 'timeout: its host has not made its container ready for it in time') end
    if not r or r[STATE] ~= 'w' then return state.not_due('timeout', id) end
    reject_waiting(offset, id, r, waited_in_vain(id, r))
end

-- Idle containers that have been idle, or there, for long enough go: at most STEP of them, and at most STEP are looked at.
local function destroy_old(offset, name, p)
    local old, nearest, looked = {}, nil, 0
    p.idle_due = 0
    state.touch_pool(name)
    idle.each(p, name, function(l)
        idle.first(l, function(id, c)
            looked = looked + 1
            local at = idle_until(name, id, c[SINCE])
            if at and at <= now then
                old[#old + 1] = id
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
    if looked >= STEP then nearest = now + SECOND end -- perhaps one that was not looked at
    watch_idle(name, p, #old > STEP and now or nearest)
end

local function pool_due(offset, member)
    local kind, name = member:sub(1, 1), member:sub(2)
    state.deadline(member, false)
    if kind == 'p' then return predictor.due(name) end
    local p = state.pool(name)
    if kind == 'i' then return p and destroy_old(offset, name, p) end
    if p then
        p.retry_at = 0
        state.touch_pool(name)
        restore_later(name)
    end
end

-- Reads together what the end of leases needs: their containers, and what is known of their agents.
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

-- Looks at what is due, at most STEP of it, and less where that makes much work.
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

local function is_unready(c)
    if c[STATE] ~= 'leased' then return c[STATE] ~= 'idle' end
    local r = state.request(c[REQUEST])
    return r and r[STATE] == 'b'
end

-- Its host makes nothing for now: what is being made, bound, reset or destroyed there is not waited for, and the rest stays. after: the container that the step
-- before ended with; '': it is the first.
local function leave_unready(offset, name, h, after)
    if h.state == 'up' then return end -- it is back
    local ids = redis.call('ZRANGEBYLEX', pool.root .. ':hc:' .. name, after == '' and '-' or '(' .. after, '+', 'LIMIT', 0, 2 * STEP)
    state.load_containers_and_holders(ids)
    local left, last = 0, ids[#ids]
    for _, id in ipairs(ids) do
        local c = state.known_container(id)
        if c and is_unready(c) then
            repair.pool(c[POOL])
            gone(offset, id, c, 'host_away')
            left = left + 1
            if left == STEP then
                last = id
                break
            end
        end
    end
    if left == STEP or #ids == 2 * STEP then add(offset, {6, name, '', '-', '-', name, 'host_down', 'away ' .. last}) end
end

-- detail: away (its containers stay), stopping (the host says so itself), continue (it was down and its containers are not all dropped), or empty.
local function drop_host(offset, name, detail)
    local h = host_table.all()[name]
    if not h then return end
    local away, after = detail:match('^(away) ?(.*)$')
    if away then return leave_unready(offset, name, h, after) end
    if detail == 'continue' then
        if h.state ~= 'down' then return end -- it came back
    elseif detail ~= 'stopping' and frame.beat - h.beat <= h.ttl_us then
        return
    end
    h.state = 'down'
    host_table.put(name, h)
    local ids = redis.call('ZRANGE', pool.root .. ':hc:' .. name, 0, STEP)
    load_for_end(state.load_containers_and_holders(ids))
    local stepped = 0
    for _, id in ipairs(ids) do
        local c = state.known_container(id)
        if c and c[STATE] ~= 'gone' and stepped < STEP then
            stepped = stepped + 1
            repair.pool(c[POOL])
            gone(offset, id, c, 'host_down: the host ' .. name .. ' was stopped, or not heard of in time; what ran there counts as dead')
        elseif not c then
            host_table.member(name, id, false)
        end
    end
    if #ids > STEP then
        add(offset, {6, name, '', '-', '-', name, 'host_down', 'continue'})
    else
        host_table.forget(name)
    end
end

-- offset | container_id philosophy host state detail address image queue_ms create_ms start_ms ready_ms
local function event_one(e)
    local offset, id, what = e[1], e[2], e[5]
    if what == 'host_up' then
        room_came = true
        return
    end
    if what == 'host_down' then return drop_host(offset, e[4], e[6]) end
    if what == 'lease_expired' or what == 'request_timed_out' or what == 'prediction_due' then return due(offset) end
    if what == 'continue' then
        if e[3] == '-' then
            room_came = true
            return due(offset)
        end
        local p = state.pool(e[3])
        if not p then return end
        if pool.go_on_with(offset, e[3], p, e[6] or '') then return end
        if p.draining then return pool.drain_step(offset, e[3], p) end
        if is_unavailable(p) then return reject_all_waiting(offset, e[3], p, reject_unavailable) end
        pool.shrink_step(offset, e[3], p)
        return restore_later(e[3])
    end
    local c = state.container(id)
    if not c or c[STATE] == 'gone' then return end
    repair.pool(c[POOL])
    if what == 'ready' then
        if c[STATE] == 'creating' then ready(offset, id, c, e) end
    elseif what == 'bound' then
        bound(offset, id, c, e[6])
    elseif what == 'reset' then
        if c[STATE] == 'resetting' and e[6] == state.number_text(c[CREATED]) then offer(offset, id, c, true) end
    elseif c[STATE] == 'creating' then
        create_failed(offset, id, c, e[6])
    elseif what ~= 'failed' then
        gone(offset, id, c, e[6] ~= '' and 'container_died: ' .. e[6] or 'container_died: its host does not say why')
    end
end

pool.event = topic(function(events)
    local ids, names = {}, {}
    for i, e in ipairs(events) do ids[i], names[i] = e[2], e[3] end
    state.load_containers(ids)
    state.load_pools(names)
end, function(e) event_one(e) end)

-- The first of an idle list that is idle: {list, id, container, since}; nil: none is.
local function head_of(l)
    local id, c = first_idle(l, false)
    return id and {l = l, id = id, c = c, since = c[SINCE]}
end

-- The heads of the pool's idle lists, as many as may hold the `most` oldest containers: those of the lists that this call has used, and of
-- the `most` others whose head is oldest.
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

-- Destroys idle containers, the longest idle first: at most `most`, and no more than a step allows; before: only those that were idle
-- then (us). How many.
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

-- left: how many of those idle at `before` are still to be destroyed; was: how many there are to be afterwards.
local function expire_step(offset, name, p, left, was, before)
    local destroyed = expire_idle(offset, name, left, before)
    if destroyed == STEP and left > destroyed then
        go_on(offset, name, string.format('expire %d %d %s', left - destroyed, was, state.number_text(before)))
    else
        prewarm(offset, name, p, was)
    end
end

-- pool.reuse has changed: used containers that are idle with a key of the former policy go, for nobody may have them any more.
function follow_policy(offset, name)
    local p = state.pool(name)
    local policy, destroyed = state.policy_of(name), 0
    idle.each(p, name, function(l)
        local reuse = l.reuse:gsub('^\t', '') -- of one that is paused
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

-- The step that a `continue` names (go_on); false: it names none.
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
    local left, was, before = detail:match('^expire (%d+) (%d+) (%d+)')
    if left then expire_step(offset, name, p, tonumber(left), tonumber(was), tonumber(before)) end
    return left ~= nil
end

function pool.drain_step(offset, name, p)
    expire_idle(offset, name, STEP)
    reject_all_waiting(offset, name, p, reject_draining)
    if p.idle > 0 then go_on(offset, name) end
end

-- Idle ones beyond the size go.
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
    if not p and op == 'expire' then return end
    p = p or philosophies.pool(name)
    if not p then return dead_letter(offset, philosophies.too_many()) end
    state.touch_pool(name)
    if op == 'pre_warm' then
        prewarm(offset, name, p, count or size_of(name, p))
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
    end
end

pool.control = topic(function(events)
    local names = {}
    for i, e in ipairs(events) do names[i] = e[3] end
    state.load_pools(names)
    controls_seen = {}
end, function(e)
    control_one(e)
    return creates >= CREATES -- the rest goes again (delivery.lua)
end)
