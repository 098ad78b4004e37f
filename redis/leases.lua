-- The work of one call, its records, and requests and leases: who waits, who holds what, when it is over. Works on state.lua's tables in
-- memory; finish() writes them in one flush. The files of a library are one chunk: what is local here is known in the next ones.
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
