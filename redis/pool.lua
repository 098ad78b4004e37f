-- Requests, leases, containers and hosts: what the pool's events do. Everything works on state.lua's tables in memory; one flush writes.
local pool = {}

local STATE, POOL, AGENT, TENANT, KEY, TRACE, CONTAINER, ARRIVED, AGE, DEADLINE, LEASE_MS, CPU, MEMORY =
    1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14 -- of a request, as in state.lua
local HOST, ADDRESS, C_CPU, C_MEMORY, REUSE, REQUEST, CREATED = 3, 4, 5, 6, 7, 8, 9 -- of a container
local FRESH = '!' -- the reuse key of a container that nobody has used
local LOOK = 16           -- waiting requests or idle containers looked at for one that fits
local CREATES = 32        -- creates begun in one call
local HUNGRY = 32         -- hungry pools looked at in one call
local STEP = 100          -- of anything long, in one call
local SECOND = 1000000
local BACKOFF_FIRST, BACKOFF_MOST = 500000, 30 * SECOND

local pack -- cmsgpack's, which is not there yet while the library is loaded
local now, settings, records, creates, continued
local changed, seen_changed, room_came -- pools to restore at the end, and whether a host has room that it had not

local function begin(slot, time, map)
    pool.root, pack = slot, cmsgpack.pack
    now, settings, records, creates, continued = time, map, {}, 0, {}
    changed, seen_changed, room_came = {}, {}, false
    state.begin(slot, time, map)
    predictor.begin(slot, time, map)
    agents.begin(slot, time, map)
end

local restore, restore_hungry

-- Everything is decided and checked before the first write.
local function finish(offset)
    for _, name in ipairs(changed) do restore(offset, name) end
    if room_came then restore_hungry(offset) end
    predictor.publish_changed(offset, records, state.deadline)
    state.flush()
    agents.flush()
    predictor.flush()
    return records
end

-- At the function's end creates under way are compared with what waits in that pool.
local function restore_later(name)
    if not seen_changed[name] then
        seen_changed[name] = true
        changed[#changed + 1] = name
    end
end

local function size_of(name, p)
    if p.size >= 0 then return p.size end
    return settings.sizes[name] or settings.size
end

local function total(p) return p.idle + p.leased + p.creating + p.ending end

-- Records -----------------------------------------------------------------------------------------------------------------------

-- An assignment: its 20 fields after the offset are kept packed, to be given again as they were.
local function answer_with(offset, rest)
    records[#records + 1] = '\220\000\020' .. pack(offset) .. rest
end

local NO_REASON = '\160\000' -- '', 0 as MessagePack
local limits_cpu, limits_memory, limits_text -- packed last: mostly the same ones follow

local function limits_packed(cpu, memory)
    if cpu ~= limits_cpu or memory ~= limits_memory then
        limits_cpu, limits_memory, limits_text = cpu, memory, '\146' .. cmsgpack.pack(cpu, memory)
    end
    return limits_text
end

local function answer(offset, r, id, status, container, host, address, warm, startup, wait, epoch, expires, cpu, memory, reason, retry)
    local head = pack(1, r[KEY], r[TRACE], id, r[AGENT], r[POOL], status, container, host, address, warm, startup, wait, epoch, expires)
    local rest = head .. limits_packed(cpu, memory) .. predictor.packed(r[POOL]) .. (reason == '' and NO_REASON or pack(reason, retry))
    records[#records + 1] = '\220\000\020' .. pack(offset) .. rest
    return rest
end

local function command(offset, op, id, c)
    records[#records + 1] = {offset, 2, c[HOST], '', state.number_text(state.next_number()), c[HOST], op, id, c[POOL], {c[C_CPU], c[C_MEMORY]}}
end

local function go_on(offset, name)
    if continued[name] then return end
    continued[name] = true
    records[#records + 1] = {offset, 6, name, '', '-', name, '-', 'continue', state.number_text(state.next_number())}
end

local function retry_after(p)
    local each = p.cold_us > 0 and p.cold_us or SECOND
    return math.max(100, math.min(60000, math.floor((p.waiting + 1) * each / math.max(p.creating, 1) / 1000)))
end

local function reject(offset, id, r, reason)
    local p = state.pool(r[POOL])
    if p then
        p.rejected = p.rejected + 1
        state.touch_pool(r[POOL])
    end
    answer(offset, r, id, 'rejected', '', '', '', false, 0, now - r[ARRIVED], 0, 0, 0, 0, reason, p and retry_after(p) or 1000)
    r[STATE] = 'e'
    state.put_request(id, r)
end

-- Leases ------------------------------------------------------------------------------------------------------------------------

local function lease(offset, id, r, p, cid, c, warm)
    local epoch = state.next_number()
    local wait = now - r[ARRIVED]
    local expires = r[LEASE_MS] > 0 and math.floor(now / 1000) + r[LEASE_MS] or 0
    r[CONTAINER] = cid
    state.move(cid, c, 'leased') -- out of the list of its old reuse key, so before it gets the new one
    c[REQUEST], c[REUSE] = id, r[TENANT]
    if warm then p.warm = p.warm + 1 else p.cold = p.cold + 1 end
    p.active = now
    if r[LEASE_MS] > 0 then state.deadline('l' .. id, now + r[LEASE_MS] * 1000) end
    if r[AGENT] ~= '' then agents.hold(r[AGENT], r[POOL], id, cid) end
    state.keep_answer(r, answer(offset, r, id, 'assigned', cid, c[HOST], c[ADDRESS], warm, math.max(1, r[AGE] + wait), wait, epoch, expires,
        c[C_CPU], c[C_MEMORY], '', 0))
    r[STATE] = 'l'
    state.put_request(id, r)
end

local function stop_waiting(id, r)
    local p = state.pool(r[POOL])
    p.waiting = p.waiting - 1
    state.touch_pool(r[POOL])
    state.list_remove(p.wait_list, id)
    state.list_remove(state.waiting_of(p, r[POOL], r[TENANT]), id)
    state.deadline('w' .. id, false)
    if p.hungry then restore_later(r[POOL]) end
end

local function start_waiting(id, r)
    local p = state.pool(r[POOL])
    local place = state.next_number()
    r[STATE] = 'w'
    p.waiting = p.waiting + 1
    state.touch_pool(r[POOL])
    state.list_add(p.wait_list, id, place)
    state.list_add(state.waiting_of(p, r[POOL], r[TENANT]), id, place)
    state.deadline('w' .. id, r[DEADLINE])
    state.put_request(id, r)
    restore_later(r[POOL])
end

-- The first of an idle list that has at least so much (false: any); looks at LOOK of them.
local function first_idle(l, cpu, memory)
    local items, known, i, looked = l.items, state.known_containers(), l.at, 0
    while looked < LOOK do
        local id = items[i] or state.list_item(l, i)
        if not id then return nil end
        local c = known[id]
        if c == nil then
            state.load_containers(items)
            c = known[id]
        end
        if c and c[STATE] == 'idle' then
            if (not cpu or c[C_CPU] >= cpu) and (not memory or c[C_MEMORY] >= memory) then return id, c end
            looked = looked + 1
        elseif i == l.at then
            l.at = i + 1 -- gone from the head: not looked at again
        end
        i = i + 1
    end
end

-- The first of a waiting list for whom the container is large enough; looks at LOOK of them.
local function first_waiting(l, c)
    local items, known, i, looked = l.items, state.known_requests(), l.at, 0
    while looked < LOOK do
        local id = items[i] or state.list_item(l, i)
        if not id then return nil end
        local r = known[id]
        if r == nil then
            state.load_requests(items)
            r = known[id]
        end
        if r and r[STATE] == 'w' then
            if (not r[CPU] or c[C_CPU] >= r[CPU]) and (not r[MEMORY] or c[C_MEMORY] >= r[MEMORY]) then return id, r end
            looked = looked + 1
        elseif i == l.at then
            l.at = i + 1
        end
        i = i + 1
    end
end

local function destroy(offset, id, c)
    state.move(id, c, 'ending')
    command(offset, 'destroy', id, c)
end

-- A container is free: to the longest waiting request that may have it, else idle, else (beyond the size) destroyed.
local function offer(offset, id, c, used)
    local p = state.pool(c[POOL])
    local reusable = settings.pool_enabled and settings.warm_start and not p.draining
    local rid, r
    if p.waiting > 0 and (not used or reusable) then
        rid, r = first_waiting(used and state.waiting_of(p, c[POOL], c[REUSE]) or p.wait_list, c)
    end
    if rid then
        stop_waiting(rid, r)
        lease(offset, rid, r, p, id, c, used)
    elseif settings.pool_enabled and not p.draining and p.idle < size_of(c[POOL], p) then
        state.move(id, c, 'idle')
    else
        destroy(offset, id, c)
    end
    if p.waiting > p.creating then restore_later(c[POOL]) end
end

local function end_lease(offset, id, r, status, reason)
    state.deadline('l' .. id, false)
    if r[AGENT] ~= '' then agents.drop(r[AGENT], id) end
    if status then
        local p = state.pool(r[POOL])
        p.lost = p.lost + 1
        state.touch_pool(r[POOL])
        local c = state.container(r[CONTAINER])
        local epoch, expires = state.lease_of(r)
        answer(offset, r, id, status, r[CONTAINER], c and c[HOST] or '', '', false, 0, 0, epoch, expires, c and c[C_CPU] or 0,
            c and c[C_MEMORY] or 0, reason, 0)
    end
    r[STATE] = 'e'
    state.put_request(id, r)
end

-- Creates -----------------------------------------------------------------------------------------------------------------------

local function clamp(x, low, high) return math.max(low, math.min(high, x)) end

local function limits_for(name, r)
    local recommended = predictor.of(name)[3]
    local cpu = clamp(recommended[1], settings.min_cpu, settings.max_cpu)
    local memory = clamp(recommended[2], settings.min_memory, settings.max_memory)
    if r then cpu, memory = math.max(cpu, r[CPU] or 0), math.max(memory, r[MEMORY] or 0) end
    return cpu, memory
end

-- The host that is up and has most room for it.
local function host_with_room(memory)
    local best, room
    for name, h in pairs(state.hosts()) do
        local free = h.capacity - h.used
        if h.state == 'up' and now - h.beat <= h.ttl_us and free > 0 and (h.memory_mb == 0 or h.memory_mb - h.memory_used >= math.ceil(memory)) and
            (not best or free > room or (free == room and name < best)) then
            best, room = name, free
        end
    end
    return best
end

local function create(offset, name, r)
    local cpu, memory = limits_for(name, r)
    local host = host_with_room(memory)
    if not host then return false end
    local n = state.number_text(state.next_number())
    local id = 'wp-' .. name .. '-' .. n
    local c = {false, name, host, '', cpu, memory, FRESH, '', now}
    state.add_container(id, c)
    command(offset, 'create', id, c)
    creates = creates + 1
    return true
end

local function destroy_oldest_idle(offset, name)
    local id, c = first_idle(state.pool(name).idle_list, false, false)
    if id then destroy(offset, id, c) end
    return id ~= nil
end

-- No host has room: the oldest idle container of the least recently active pool goes, of the hungry pool itself (they are another
-- tenant's, or too small) only when no other pool has one.
local function make_room(offset, hungry)
    local names = redis.call('ZRANGE', pool.root .. ':active', 0, 63)
    state.load_pools(names)
    for _, name in ipairs(names) do
        local p = state.pool(name)
        if p and name ~= hungry and p.idle > 0 and destroy_oldest_idle(offset, name) then return true end
    end
    return state.pool(hungry).idle > 0 and destroy_oldest_idle(offset, hungry)
end

-- How many containers end on hosts that will take new ones.
local function ending_on_hosts()
    local count = 0
    for _, h in pairs(state.hosts()) do if h.state == 'up' then count = count + h.ending end end
    return count
end

local function set_hungry(name, p, is)
    if is or p.hungry then
        state.later(is and {'ZADD', ':hungry', state.number_text(now), name} or {'ZREM', ':hungry', name})
    end
    if is ~= p.hungry then
        p.hungry = is
        state.touch_pool(name)
    end
end

-- The nth that still waits and its place in the list, from place i on.
local function waiting_from(p, i)
    while true do
        local id = state.list_item(p.wait_list, i)
        if not id then return nil, i end
        local r = state.request(id)
        if r and r[STATE] == 'w' then return r, i end
        i = i + 1
    end
end

-- Creates under way >= min(waiting, free room), so nobody waits for a container that nobody makes.
function restore(offset, name)
    local p = state.pool(name)
    if not p then return end
    if p.draining or p.retry_at > now or p.creating >= p.waiting then return set_hungry(name, p, false) end
    local i, r = p.creating, nil -- the creates under way are for those that have waited longest
    while p.creating < p.waiting do
        if creates >= CREATES then
            go_on(offset, name)
            break
        end
        if total(p) >= settings.max_containers then
            if p.idle == 0 or p.creating + p.ending >= p.waiting or not destroy_oldest_idle(offset, name) then break end
        else
            r, i = waiting_from(p, i + 1)
            if not create(offset, name, r) then
                for _ = p.creating + ending_on_hosts() + 1, math.min(p.waiting, p.creating + CREATES) do
                    if not make_room(offset, name) then break end
                end
                return set_hungry(name, p, true)
            end
        end
    end
    set_hungry(name, p, false)
end

-- Room on a host came free: those who wanted it, the longest waiting first. Who gets none goes to the list's end.
function restore_hungry(offset)
    local names = redis.call('ZRANGE', pool.root .. ':hungry', 0, HUNGRY)
    local before = creates
    for i = 1, math.min(#names, HUNGRY) do restore(offset, names[i]) end
    if #names > HUNGRY and creates > before then go_on(offset, '-') end
end

local function prewarm(offset, name, p, count)
    if not settings.pool_enabled or p.draining or p.retry_at > now then return end
    local want = math.min(count, size_of(name, p))
    while p.idle + math.max(0, p.creating - p.waiting) < want and total(p) < settings.max_containers do
        if not create(offset, name) then break end
    end
end

-- The topics' functions: (events, now, settings, slot) -> records (delivery.lua) --------------------------------------------------------

local function prefetch(events, request, name)
    local ids, names, seen = {}, {}, {}
    for i, e in ipairs(events) do
        ids[i] = e[request]
        if e[name] ~= '' and not seen[e[name]] then
            seen[e[name]] = true
            names[#names + 1] = e[name]
        end
    end
    state.load_requests(ids)
    state.load_pools(names)
    return names
end

-- How many idle containers the batch may want of each list: they are read together.
local function expect(events, names)
    local wants = {}
    for _, name in ipairs(names) do wants[name] = 0 end
    for _, e in ipairs(events) do
        local name = e[8]
        if name ~= '' then wants[name] = wants[name] + 1 end
        if e[9] ~= '' then
            local p = state.pool(name)
            if p and p.idle > 0 then state.expect(state.idle_of(p, name, e[9]), 1) end
        end
    end
    for _, name in ipairs(names) do
        local p = state.pool(name)
        if p and p.idle > 0 then
            state.expect(state.idle_of(p, name, 'default'), wants[name])
            state.expect(state.idle_of(p, name, FRESH), wants[name])
        end
    end
end

-- offset age key trace timestamp | request_id agent_id philosophy tenant timeout_ms lease_ms cpu memory invalid
local function acquire_one(e)
    local offset, id = e[1], e[6]
    local known = state.request(id)
    if known and known[STATE] == 'l' then -- sent again: the same answer
        return answer_with(offset, state.answer_of(known))
    elseif known and known[STATE] ~= 'x' then
        return -- waiting, or it had its one answer
    end
    local r = {false, e[8], e[7], e[9] ~= '' and e[9] or 'default', e[3], e[4], '', '', now, e[2], 0, e[11] or settings.lease_ms, e[12], e[13]}
    if e[14] ~= '' then
        records[#records + 1] = {offset, 5, '', '', e[14]}
        return reject(offset, id, r, 'invalid')
    elseif known then
        return reject(offset, id, r, 'cancelled')
    end
    local p = state.pool(r[POOL], true)
    if not p then return reject(offset, id, r, 'too_many_philosophies') end
    local sent = e[5] < 0 and now or math.min(e[5] * 1000, now)
    local timeout = e[10] or settings.timeout_ms
    r[DEADLINE] = sent + timeout * 1000
    if p.draining then return reject(offset, id, r, 'draining') end
    if (r[CPU] or 0) > settings.max_cpu or (r[MEMORY] or 0) > settings.max_memory then return reject(offset, id, r, 'too_large') end
    if timeout > 0 and r[DEADLINE] <= now then return reject(offset, id, r, 'timeout') end
    if p.idle > 0 and settings.pool_enabled and settings.warm_start then
        local own = p.idle_by[r[TENANT]] or state.idle_of(p, r[POOL], r[TENANT])
        local cid, c = first_idle(own, r[CPU], r[MEMORY])
        if not cid then cid, c = first_idle(p.idle_by[FRESH] or state.idle_of(p, r[POOL], FRESH), r[CPU], r[MEMORY]) end
        if cid then return lease(offset, id, r, p, cid, c, true) end
    end
    p.active = now
    if timeout == 0 then return reject(offset, id, r, 'timeout') end
    start_waiting(id, r)
end

function pool.acquire(events, time, map, slot)
    begin(slot, time, map)
    local names = prefetch(events, 6, 8)
    if #names > 0 then predictor.load(names) end
    expect(events, names)
    for _, e in ipairs(events) do acquire_one(e) end
    return finish(events[#events][1])
end

-- offset age key trace timestamp | request_id philosophy container_id reuse
local function release_one(e)
    local offset, id = e[1], e[6]
    local r = state.request(id)
    if not r then
        records[#records + 1] = {offset, 5, '', '', 'release of an unknown request'}
        state.put_request(id, {'x'})
    elseif r[STATE] == 'w' then
        if r[POOL] ~= e[7] then
            records[#records + 1] = {offset, 5, '', '', 'the request is of philosophy ' .. r[POOL]}
        else
            stop_waiting(id, r)
            reject(offset, id, r, 'cancelled')
        end
    elseif r[STATE] == 'l' then
        local c = state.container(r[CONTAINER])
        if r[POOL] ~= e[7] then
            records[#records + 1] = {offset, 5, '', '', 'the lease is of philosophy ' .. r[POOL]}
        elseif e[8] ~= '' and e[8] ~= r[CONTAINER] then
            records[#records + 1] = {offset, 5, '', '', 'the lease is on container ' .. r[CONTAINER]}
        else
            end_lease(offset, id, r)
            c[REQUEST] = ''
            if e[9] then offer(offset, r[CONTAINER], c, true) else destroy(offset, r[CONTAINER], c) end
        end
    end
end

function pool.release(events, time, map, slot)
    begin(slot, time, map)
    prefetch(events, 6, 7)
    local ids, holders = {}, {}
    for _, e in ipairs(events) do
        local r = state.request(e[6])
        if r and r[STATE] == 'l' then
            ids[#ids + 1] = r[CONTAINER]
            if r[AGENT] ~= '' then holders[#holders + 1] = r[AGENT] end
        end
    end
    state.load_containers(ids)
    agents.load(holders)
    for _, e in ipairs(events) do release_one(e) end
    return finish(events[#events][1])
end

-- offset age key trace timestamp | record_id agent_id philosophy cpu memory time
function pool.usage(events, time, map, slot)
    begin(slot, time, map)
    local ids = {}
    for i, e in ipairs(events) do ids[i] = e[7] end
    agents.load(ids)
    predictor.usage(events, records)
    for _, e in ipairs(events) do agents.used(e[7], e[8], e[9], e[10], e[11]) end
    return finish(events[#events][1])
end

-- A container is no more: its room is free, its lease lost.
local function gone(offset, id, c, reason)
    local was, name = c[STATE], c[POOL]
    state.pool(name)
    if was == 'leased' then
        local r = state.request(c[REQUEST])
        if r and r[STATE] == 'l' and r[CONTAINER] == id then end_lease(offset, c[REQUEST], r, 'lost', reason) end
    end
    state.move(id, c, 'gone')
    room_came = true
    restore_later(name)
end

local function create_failed(offset, id, c)
    local p = state.pool(c[POOL])
    p.failures = p.failures + 1
    p.retry_at = now + math.min(BACKOFF_MOST, BACKOFF_FIRST * 2 ^ math.min(p.failures - 1, 10))
    state.deadline('b' .. c[POOL], p.retry_at)
    gone(offset, id, c, 'container_failed')
end

local function ready(offset, id, c, address)
    local p = state.pool(c[POOL])
    local took = now - c[CREATED]
    p.failures, p.retry_at = 0, 0
    p.cold_us = p.cold_us == 0 and took or math.floor(p.cold_us * 0.9 + took * 0.1)
    state.deadline('b' .. c[POOL], false)
    c[ADDRESS] = address
    offer(offset, id, c, false)
    restore_later(c[POOL])
end

local function reject_waiting(offset, id, r, reason)
    stop_waiting(id, r)
    reject(offset, id, r, reason)
end

-- Looks at what is due, at most STEP of it.
local function due(offset)
    local members = redis.call('ZRANGEBYSCORE', pool.root .. ':deadline', '-inf', state.number_text(now), 'LIMIT', 0, STEP + 1)
    local ids = {}
    for _, member in ipairs(members) do
        local kind = member:sub(1, 1)
        if kind == 'l' or kind == 'w' then ids[#ids + 1] = member:sub(2) end
    end
    state.load_requests(ids)
    for i = 1, math.min(#members, STEP) do
        local member = members[i]
        local kind, name = member:sub(1, 1), member:sub(2)
        state.deadline(member, false)
        local r = (kind == 'l' or kind == 'w') and state.request(name)
        if kind == 'l' and r and r[STATE] == 'l' then
            local id, c = r[CONTAINER], state.container(r[CONTAINER])
            state.pool(r[POOL])
            end_lease(offset, name, r, 'lost', 'lease_expired')
            c[REQUEST] = ''
            destroy(offset, id, c)
        elseif kind == 'w' and r and r[STATE] == 'w' then
            reject_waiting(offset, name, r, 'timeout')
        elseif kind == 'b' then
            local p = state.pool(name)
            if p then
                p.retry_at = 0
                state.touch_pool(name)
                restore_later(name)
            end
        elseif kind == 'p' then
            predictor.due(name)
        end
    end
    if #members > STEP then go_on(offset, '-') end
end

-- detail: stopping (the host says so itself), continue (it was down and its containers are not all dropped), or empty.
local function drop_host(offset, name, detail)
    local h = state.hosts()[name]
    if not h then return end
    if detail == 'continue' then
        if h.state ~= 'down' then return end -- it came back
    elseif detail ~= 'stopping' and now - h.beat <= h.ttl_us then
        return
    end
    h.state = 'down'
    state.touch_host(name)
    local ids = redis.call('ZRANGE', pool.root .. ':hc:' .. name, 0, STEP)
    state.load_containers(ids)
    local stepped = 0
    for _, id in ipairs(ids) do
        local c = state.known_container(id)
        if c and c[STATE] ~= 'gone' and stepped < STEP then
            stepped = stepped + 1
            state.pool(c[POOL])
            gone(offset, id, c, 'host_down')
        elseif not c then
            state.host_member(name, id, false)
        end
    end
    if #ids > STEP then
        records[#records + 1] = {offset, 6, name, '', '-', '-', name, 'host_down', 'continue'}
    else
        state.forget_host(name)
    end
end

-- offset age key trace timestamp | container_id philosophy host state detail address
local function event_one(e)
    local offset, id, what = e[1], e[6], e[9]
    if what == 'host_up' then
        room_came = true
        return
    end
    if what == 'host_down' then return drop_host(offset, e[8], e[10]) end
    if what == 'lease_expired' or what == 'request_timed_out' or what == 'prediction_due' then return due(offset) end
    if what == 'continue' then
        if e[7] == '-' then
            room_came = true
            return due(offset)
        end
        local p = state.pool(e[7])
        if not p then return end
        if p.draining then return pool.drain_step(offset, e[7], p) end
        pool.shrink_step(offset, e[7], p)
        return restore_later(e[7])
    end
    local c = state.container(id)
    if not c or c[STATE] == 'gone' then return end
    state.pool(c[POOL])
    if what == 'ready' then
        if c[STATE] == 'creating' then ready(offset, id, c, e[11]) end
    elseif c[STATE] == 'creating' then
        create_failed(offset, id, c)
    elseif what ~= 'failed' then
        gone(offset, id, c, 'container_died')
    end
end

function pool.event(events, time, map, slot)
    begin(slot, time, map)
    local ids, names = {}, {}
    for i, e in ipairs(events) do ids[i], names[i] = e[6], e[7] end
    state.load_containers(ids)
    state.load_pools(names)
    for _, e in ipairs(events) do event_one(e) end
    return finish(events[#events][1])
end

local function expire_idle(offset, name, most)
    local destroyed = 0
    while destroyed < most and destroy_oldest_idle(offset, name) do destroyed = destroyed + 1 end
    return destroyed
end

function pool.drain_step(offset, name, p)
    for i = 1, STEP do
        local id = state.list_item(p.wait_list, i)
        if not id then break end
        local r = state.request(id)
        if r and r[STATE] == 'w' then reject_waiting(offset, id, r, 'draining') end
    end
    expire_idle(offset, name, STEP)
    if p.waiting > 0 or p.idle > 0 then go_on(offset, name) end
end

-- Idle ones beyond the size go.
function pool.shrink_step(offset, name, p)
    local size = size_of(name, p)
    if p.idle > size then expire_idle(offset, name, math.min(p.idle - size, STEP)) end
    if p.idle > size then go_on(offset, name) end
end

-- offset age key trace timestamp | control_id philosophy op count
local function control_one(e, seen)
    local offset, id, name, op, count = e[1], e[6], e[7], e[8], e[9]
    if id ~= '' then
        if seen[id] or redis.call('ZSCORE', pool.root .. ':controls', id) then return end
        seen[id] = true
        state.later({'ZADD', ':controls', state.number_text(now), id})
        state.later({'ZREMRANGEBYSCORE', ':controls', '-inf', state.number_text(now - 600 * SECOND)})
        state.later({'ZREMRANGEBYRANK', ':controls', 0, -10001})
    end
    local p = state.pool(name, op ~= 'expire')
    if not p then
        if op ~= 'expire' then records[#records + 1] = {offset, 5, '', '', 'too many philosophies (pool.max_philosophies)'} end
        return
    end
    state.touch_pool(name)
    if op == 'pre_warm' then
        prewarm(offset, name, p, count or size_of(name, p))
    elseif op == 'resize' then
        p.size, p.draining = count, false
        pool.shrink_step(offset, name, p)
        restore_later(name)
    elseif op == 'expire' then
        local was = p.idle
        expire_idle(offset, name, math.min(count or was, 1000))
        prewarm(offset, name, p, was)
    elseif op == 'drain' then
        p.draining = true
        pool.drain_step(offset, name, p)
    end
end

function pool.control(events, time, map, slot)
    begin(slot, time, map)
    local names = {}
    for i, e in ipairs(events) do names[i] = e[7] end
    state.load_pools(names)
    local seen = {}
    local last
    for _, e in ipairs(events) do
        control_one(e, seen)
        last = e[1]
        if creates >= CREATES * 8 then break end -- the rest goes again (delivery.lua)
    end
    return finish(last), last
end

-- Functions that are no topic's --------------------------------------------------------------------------------------------------

-- beat: args = host, map. 1 when the host was not known as up.
function pool.beat(keys, args)
    local time = delivery.context(keys[1])
    begin(keys[1], time, {})
    local f = cmsgpack.unpack(args[2])
    local h = state.hosts()[args[1]]
    local fresh = not h or h.state ~= f.state or time - h.beat > h.ttl_us or f.capacity > h.capacity or f.memory_mb ~= h.memory_mb
    h = h or {used = 0, memory_used = 0, ending = 0}
    h.capacity, h.memory_mb, h.beat, h.state, h.runtime, h.ttl_us = f.capacity, f.memory_mb, time, f.state, f.runtime, f.ttl_ms * 1000
    state.hosts()[args[1]] = h
    state.touch_host(args[1])
    state.flush()
    return fresh and 1 or 0
end

local function describe(ids)
    local found = {}
    state.load_containers(ids)
    for i, id in ipairs(ids) do
        local c = state.known_container(id)
        found[i] = {id, c and c[STATE] or '', c and c[POOL] or '', c and c[C_CPU] or 0, c and c[C_MEMORY] or 0}
    end
    return cmsgpack.pack(found)
end

function pool.desired(keys, args)
    state.begin(keys[1], 0, {})
    local ids = {}
    for i = 2, #args do ids[i - 1] = args[i] end
    return describe(ids)
end

function pool.owned(keys, args)
    state.begin(keys[1], 0, {})
    return describe(redis.call('ZRANGE', keys[1] .. ':hc:' .. args[1], 0, -1))
end

-- {us until the next deadline (0: due, -1: none), hosts without a heartbeat...}
function pool.due(keys)
    local time = delivery.context(keys[1])
    state.begin(keys[1], time, {})
    local first = redis.call('ZRANGE', keys[1] .. ':deadline', 0, 0, 'WITHSCORES')
    local reply = {first[2] and math.max(0, tonumber(first[2]) - time) or -1}
    for name, h in pairs(state.hosts()) do
        if time - h.beat > h.ttl_us then reply[#reply + 1] = name end
    end
    return reply
end

-- Removes what is over: bounded. args = settings.
function pool.sweep(keys, args)
    local most = 1000
    local time, map = delivery.advance(keys[1], args[1])
    begin(keys[1], time, map)
    local removed = agents.sweep(most)
    return removed + state.forget(most)
end
