-- The work of one call, its records, and requests and leases: who waits, who holds what, when it is over. Works on state.lua's tables in
-- memory; finish() writes them in one flush. The files of a library are one chunk: what is local here is known in the next ones.
local pool = {}

local STATE, POOL, AGENT, TENANT, HEAD, CONTAINER, ANSWER, WHOSE, ARRIVED, AGE, DEADLINE, LEASE_MS, CPU, MEMORY, PLACE =
    1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17 -- of a request, as in state.lua
local REUSE, REQUEST, STATIC, CREATED = 3, 4, 5, 6 -- of a container
local FRESH = '!' -- the reuse key of a container that nobody has used
local LOOK = 16           -- waiting requests or idle containers looked at for one that fits
local CREATES = 32        -- creates begun in one call
local HUNGRY = 32         -- hungry pools looked at in one call
local STEP = 100          -- of anything long, in one call
local SECOND = 1000000
local BACKOFF_FIRST, BACKOFF_MOST = 500000, 30 * SECOND

local pack, struct_pack -- cmsgpack's and struct's, which are not there yet while the library is loaded
local now, now_ms, settings, records, creates, continued
local requests, containers -- those known in this call (state.lua)
local changed, seen_changed, room_came -- pools to restore at the end, and whether a host has room that it had not

local function begin(slot, time, map)
    pool.root, pack, struct_pack = slot, cmsgpack.pack, struct.pack
    now, now_ms, settings, creates, continued = time, math.floor(time / 1000), map, 0, {}
    changed, seen_changed, room_came = {}, {}, false
    requests, containers = state.begin(slot, time, map)
    predictor.begin(slot, time, map)
    agents.begin(slot, time, map)
end

local restore, restore_hungry

local function add(offset, record)
    local n = records.n + 1
    records.n, records[n], records.offsets[n] = n, record, offset
end

-- Everything is decided and checked before the first write.
local function finish(offset)
    for _, name in ipairs(changed) do restore(offset, name) end
    if room_came then restore_hungry(offset) end
    predictor.publish_changed(offset, add, state.deadline)
    state.flush()
    agents.flush()
    predictor.flush()
end

-- The topic functions (delivery.lua): `prefetch` reads in bulk what the events need, `one` does one of them (true: no more in this call),
-- finish() restores what they changed and writes it all.
local function topic(prefetch, one)
    return function(batches, time, map, slot)
        begin(slot, time, map)
        local all, lists, applied = batches[1], {}, {}
        if #batches > 1 then
            all = {}
            for _, events in ipairs(batches) do
                for i = 1, #events do all[#all + 1] = events[i] end
            end
        end
        prefetch(all)
        local last, enough
        for b, events in ipairs(batches) do
            if enough then break end
            records = delivery.records()
            lists[b] = records
            for i = 1, #events do
                last = events[i][1]
                enough = one(events[i])
                if enough then break end
            end
            applied[b] = last
        end
        finish(last)
        return lists, applied
    end
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

local function dead_letter(offset, reason) add(offset, {5, '', '', reason}) end


local ASSIGNED, NO_REASON = '\168assigned', '\160\000' -- and '', 0

-- An assignment is kept packed, to be given again as it was. whose: agent_id, tenant; head: key, trace, request_id, both as the worker
-- packed them; static: of the container (state.lua). MessagePack by hand, because its pack() makes a string of each value first: 220 0 20
-- begins an array of 20 values, 207 a number of 8 bytes.
local function answer(offset, whose, static, head, status, prediction, warm, startup, wait, epoch, expires, reason)
    local rest = '\220\000\020\001' .. whose .. static .. head .. status ..
        struct_pack('>BBLBLBLBL', warm and 195 or 194, 207, startup, 207, wait, 207, epoch, 207, expires) .. prediction .. reason
    add(offset, rest)
    return rest
end

local function command(offset, op, id, c)
    local host, _, cpu, memory = state.details(id, c)
    add(offset, {2, host, '', state.number_text(state.next_number()), host, op, id, c[POOL], {cpu, memory}})
end

local function go_on(offset, name)
    if continued[name] then return end
    continued[name] = true
    add(offset, {6, name, '', '-', name, '-', 'continue', state.number_text(state.next_number())})
end

-- Its creates keep failing, and it has nothing that could come free: who waits would wait in vain.
local function is_unavailable(p)
    return settings.max_failures > 0 and p.failures >= settings.max_failures and p.retry_at > now and p.idle + p.leased + p.creating == 0
end

local function retry_after(p)
    if p.retry_at > now then return math.ceil((p.retry_at - now) / 1000) end
    local each = p.cold_us > 0 and p.cold_us or SECOND
    return math.max(100, math.min(60000, math.floor((p.waiting + 1) * each / math.max(p.creating, 1) / 1000)))
end

local function reject(offset, id, r, reason)
    local p = state.pool(r[POOL])
    if p then
        p.rejected = p.rejected + 1
        state.touch_pool(r[POOL])
    end
    answer(offset, r[WHOSE], pack(r[POOL], '', '', '', {0, 0}), r[HEAD], pack('rejected'), predictor.packed(r[POOL]), false, 0, now - r[ARRIVED], 0, 0,
        pack(reason, p and retry_after(p) or 1000))
    r[STATE] = 'e'
    state.put_request(id, r)
end

local function reject_unavailable(offset, id, r, p) reject(offset, id, r, 'unavailable: ' .. (p.why or '')) end

-- Leases ------------------------------------------------------------------------------------------------------------------------

local function lease(offset, id, r, p, cid, c, warm)
    local epoch = state.next_number()
    local wait = now - r[ARRIVED]
    local startup, expires = r[AGE] + wait, r[LEASE_MS] > 0 and now_ms + r[LEASE_MS] or 0
    r[CONTAINER] = cid
    state.move(cid, c, 'leased')
    c[REQUEST], c[REUSE] = id, r[TENANT]
    if warm then p.warm = p.warm + 1 else p.cold = p.cold + 1 end
    p.active = now
    if r[AGENT] ~= '' then agents.hold(r[AGENT], id) end
    p.prediction = p.prediction or predictor.packed(r[POOL]) -- nothing that leases changes it
    r[ANSWER] = answer(offset, r[WHOSE], c[STATIC] or state.static(cid, c), r[HEAD], ASSIGNED, p.prediction, warm, startup > 0 and startup or 1,
        wait, epoch, expires, NO_REASON)
    r[STATE] = 'l'
    state.put_request(id, r)
end

local function stop_waiting(r)
    local p = state.pool(r[POOL])
    p.waiting = p.waiting - 1
    state.touch_pool(r[POOL])
    if p.hungry then restore_later(r[POOL]) end
end

local function start_waiting(id, r)
    local p = state.pool(r[POOL])
    r[STATE], r[PLACE] = 'w', state.next_number()
    p.waiting = p.waiting + 1
    state.touch_pool(r[POOL])
    lists.add(p.wait_list, id)
    lists.add(state.waiting_of(p, r[POOL], r[TENANT]), id)
    state.put_request(id, r)
    restore_later(r[POOL])
end

-- Whether the container has at least so much (false: any).
local function has(id, c, cpu, memory)
    if not (cpu or memory) then return true end
    local _, _, has_cpu, has_memory = state.details(id, c)
    return (not cpu or has_cpu >= cpu) and (not memory or has_memory >= memory)
end

local function idle_of_list(id, l)
    local c = containers[id]
    return c[STATE] == 'idle' and c[REUSE] == l.reuse and c
end

-- The first of an idle list that is large enough.
local function first_idle(l, cpu, memory) return lists.first(l, LOOK, idle_of_list, has, cpu, memory) end

-- The one of a pool that has been idle longest.
local function oldest_idle(name, p)
    local oldest, container, since
    state.each_idle_list(p, name, function(l)
        local id, c = first_idle(l, false, false)
        if not id then return false end
        local at = state.idle_since(l, id)
        if not oldest or at < since then oldest, container, since = id, c, at end
        return true
    end)
    return oldest, container
end

local function waiting_of_list(id, l)
    if requests[id] == nil then state.load_requests(l.items) end
    local r = requests[id]
    return r and r[STATE] == 'w' and r
end

local function is_enough(_, r, cid, c) return has(cid, c, r[CPU], r[MEMORY]) end

-- The first of a waiting list for whom the container is large enough.
local function first_waiting(l, cid, c) return lists.first(l, LOOK, waiting_of_list, is_enough, cid, c) end

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
        rid, r = first_waiting(used and state.waiting_of(p, c[POOL], c[REUSE]) or p.wait_list, id, c)
    end
    if rid then
        stop_waiting(r)
        lease(offset, rid, r, p, id, c, used)
    elseif settings.pool_enabled and not p.draining and p.idle < size_of(c[POOL], p) then
        state.move(id, c, 'idle')
    else
        destroy(offset, id, c)
    end
    if p.waiting > p.creating then restore_later(c[POOL]) end
end

-- status: lost, with the reason, when its holder is to be told; the container is still known then.
local function end_lease(offset, id, r, status, reason)
    if r[AGENT] ~= '' then agents.drop(r[AGENT], id) end
    if status then
        local p = state.pool(r[POOL])
        p.lost = p.lost + 1
        state.touch_pool(r[POOL])
        local cid = r[CONTAINER]
        local host, _, cpu, memory = state.details(cid, state.container(cid))
        local epoch, expires, head = state.lease_of(r)
        answer(offset, pack(r[AGENT], r[TENANT]), pack(r[POOL], cid, host, '', {cpu, memory}), head, pack(status), predictor.packed(r[POOL]),
            false, 0, 0,            epoch, expires, pack(reason, 0))
    end
    r[STATE] = 'e'
    state.put_request(id, r)
end
