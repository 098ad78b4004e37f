-- Handles the events of container-event: a container is ready, bound, reset, outdated or gone, a host came or went, something is due; and `continue`, the
-- next step of work that takes several calls.
--
-- Takes from leases.lua: topic(), the fields of requests and containers, bounds (STEP), go_on(), offer(), set_aside(), destroy(), bound(), leases
-- and waiting, restore_later(), is_unavailable(), max_of(); from pool.lua: reject_draining(); from due.lua: due(),
-- load_for_end(); from pool_control.lua, as fields of `pool`: the steps of resize, drain and expire. Uses repair.lua.

local reject_all_waiting

do -- other local names of this file: all files of a library are one chunk, which may have 200 in all

-- A container is gone: its room is free, and its lease is lost.
local function gone(offset, id, c, reason)
    local was, name = c[STATE], c[POOL]
    local p = state.pool(name)
    if was == 'leased' then
        local r = state.request(c[REQUEST])
        if r and r[STATE] == 'l' and r[CONTAINER] == id then end_lease(offset, c[REQUEST], r, 'lost', reason) end
        if r and r[STATE] == 'b' and r[CONTAINER] == id then -- its container was being bound: it waits again
            if p.draining then reject_draining(offset, c[REQUEST], r) else start_waiting(c[REQUEST], r, r[ARRIVED]) end
        end
    end
    state.move(id, c, 'gone')
    room_came, work = true, work + 1
    restore_later(name)
end

-- A leased container ran out of memory: with predictor.learn_oom its limit is a sample of what the run needed.
local function learn(id, c, reason)
    local name = c[POOL]
    if not settings.learn_oom or c[STATE] ~= 'leased' or reason:sub(1, 14) ~= 'out_of_memory:' then return end
    predictor.load({name})
    local _, _, _, memory = state.details(id, c)
    if memory and memory > 0 and philosophies.may_have_samples(name) then predictor.add_memory(name, memory) end
end

-- Rejects the waiting requests of a pool, the longest waiting first: STEP at most; another call goes on with the rest.
function reject_all_waiting(offset, name, p, reject_one)
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

-- The parts of a start {create, start, ready, publish} in us, from the times that the host measured in ms. publish: the rest of the duration,
-- for the command and this event on their way.
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

-- Calls visit(id, container) for the next containers of a host, until it has returned true STEP times; adds an event for the rest, if there may be
-- more. after: the last container of the step before; '': this is the first step. state_of_event, word: of that event.
local function each_of_host(offset, name, after, state_of_event, word, visit)
    local ids = redis.call('ZRANGEBYLEX', pool.root .. ':hc:' .. name, after == '' and '-' or '(' .. after, '+', 'LIMIT', 0, 2 * STEP)
    state.load_containers_and_holders(ids)
    local done, last = 0, ids[#ids]
    for _, id in ipairs(ids) do
        local c = state.known_container(id)
        if c and c[STATE] ~= 'gone' and visit(id, c) then
            done = done + 1
            if done == STEP then
                last = id
                break
            end
        end
    end
    if done == STEP or #ids == 2 * STEP then add(offset, {6, name, '', '-', '-', name, state_of_event, word .. ' ' .. last}) end
end

local function is_unready(c)
    if c[STATE] ~= 'leased' then return true end
    local r = state.request(c[REQUEST])
    return r and r[STATE] == 'b'
end

-- The host's engine is away: nobody gets its idle containers until it is back; those that are being made, bound, reset or destroyed count as gone;
-- leased ones stay.
local function leave(offset, name, h, after)
    if h.state == 'up' then return end -- the host is back
    each_of_host(offset, name, after, 'host_down', 'away', function(id, c)
        if c[STATE] == 'away' then return false end
        repair.pool(c[POOL])
        if c[STATE] == 'idle' then set_aside(id, c)
        elseif is_unready(c) then gone(offset, id, c, 'host_away')
        else return false end
        return true
    end)
end

-- True when the container is gone with an earlier worker of its host.
local function is_former(h, id) return tonumber(id:match('%d+$') or 0) <= (h.stopped_at or 0) end

-- The host is back: its containers that were set aside are free again, as far as the pools have room for them.
local function welcome_back(offset, name, after)
    local h = host_table.all()[name]
    if not h or h.state ~= 'up' then return end
    each_of_host(offset, name, after, 'host_up', 'back', function(id, c)
        if c[STATE] ~= 'away' then return false end
        local p = repair.pool(c[POOL])
        work = work + 1
        if is_former(h, id) then gone(offset, id, c, 'host_down')
        elseif total(p) >= max_of(c[POOL]) then destroy(offset, id, c)
        elseif state.is_paused(c) then
            state.move(id, c, 'idle')
            watch_idle(c[POOL], p, idle_until(c[POOL], id, now))
        else offer(offset, id, c, c[REUSE] ~= FRESH) end
        return true
    end)
end

-- The host has stopped, and its next worker has come before that was read: what the one before had is gone.
local function drop_former(offset, name, h, after)
    each_of_host(offset, name, after, 'host_down', 'former', function(id, c)
        if not is_former(h, id) then return false end
        repair.pool(c[POOL])
        gone(offset, id, c, 'host_down: the host ' .. name .. ' was stopped')
        return true
    end)
end

local WHY = {
    [''] = 'host_down: the host %s was stopped, or not heard of in time; what ran there counts as dead',
    forget = 'host_forgotten: the host %s was given up (warmpool hosts forget); what ran there counts as dead',
}

-- A host is down: its containers count as gone. detail: away (see leave), stopping (from the host itself), forget (it was given up; refused while it
-- is alive), continue (the next step, with the word of the first one), or empty (no heartbeat in time, which is checked here).
local function drop_host(offset, name, detail)
    local h = host_table.all()[name]
    if not h then return end
    local away, after = detail:match('^(away) ?(.*)$')
    if away then return leave(offset, name, h, after) end
    local former = detail:match('^former ?(.*)$')
    if former or (detail == 'stopping' and h.state == 'up') then return drop_former(offset, name, h, former or '') end
    local why = detail:match('^continue ?(.*)$')
    if why then
        if h.state ~= 'down' then return end -- the host came back
    elseif detail == 'forget' then
        if host_table.is_alive(name, h) then return end
        why = detail
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
            gone(offset, id, c, string.format(WHY[why or ''] or WHY[''], name))
        elseif not c then
            host_table.member(name, id, false)
        end
    end
    if #ids > STEP then
        add(offset, {6, name, '', '-', '-', name, 'host_down', 'continue' .. (why == 'forget' and ' forget' or '')})
    else
        host_table.forget(name)
    end
end

local function can_be_made_elsewhere(name)
    for _, h in pairs(host_table.all()) do
        if is_up(h) and host_table.can_make(h, name) then return true end
    end
    return false
end

-- Creates that wait on this host for an image are given up where another host has it: that one makes their containers.
local function pass_on_creates(offset, name, after)
    local h = host_table.all()[name]
    if not h then return end
    each_of_host(offset, name, after, 'host_up', 'late', function(id, c)
        if c[STATE] ~= 'creating' or host_table.can_make(h, c[POOL]) or not can_be_made_elsewhere(c[POOL]) then return false end
        repair.pool(c[POOL])
        work = work + 1
        destroy(offset, id, c)
        restore_later(c[POOL])
        return true
    end)
end

-- A host has come, or an image to one: those that lack some are looked at, each in an event of its own.
local function look_at_late(offset)
    for name, h in pairs(host_table.all()) do
        if is_up(h) and (h.missing or 0) > 0 then
            add(offset, {6, name, '', '-', '-', name, 'host_up', 'late ' .. state.number_text(state.next_number())})
        end
    end
end

-- offset | container_id philosophy host state detail address image queue_ms create_ms start_ms ready_ms
local function event_one(e)
    local offset, id, what = e[1], e[2], e[5]
    if what == 'host_up' then
        local late, back = (e[6] or ''):match('^late (.*)$'), (e[6] or ''):match('^back (.*)$')
        if late then return pass_on_creates(offset, e[4], late) end
        room_came = true
        if not back then look_at_late(offset) end
        return welcome_back(offset, e[4], back or '')
    end
    if what == 'host_down' then return drop_host(offset, e[4], e[6]) end
    if what == 'lease_expired' or what == 'request_timed_out' or what == 'prediction_due' then return due(offset) end
    if what == 'continue' then
        if e[3] == '-' then -- whatever is due; '-' may also be a philosophy's name
            room_came = true
            due(offset)
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
        if c[STATE] ~= 'resetting' or e[6] ~= state.number_text(c[CREATED]) then return end
        if state.is_outdated(id, c) then destroy(offset, id, c) else offer(offset, id, c, true) end
    elseif what == 'outdated' then
        rollout.mark(id, c)
    elseif what == 'died' and e[6] == 'dying' then -- another event says why: the holder of a lease is told then
        if is_unready(c) then gone(offset, id, c, '') end
    elseif c[STATE] == 'creating' then
        create_failed(offset, id, c, e[6])
    elseif what ~= 'failed' then
        learn(id, c, e[6])
        gone(offset, id, c, e[6] ~= '' and 'container_died: ' .. e[6] or 'container_died: its host does not say why')
    end
end

pool.event = topic(function(events)
    local ids, names = {}, {}
    for i, e in ipairs(events) do ids[i], names[i] = e[2], e[3] end
    state.load_containers(ids)
    state.load_pools(names)
end, function(e) event_one(e) end)

end
