-- The work of one call, its records, and requests and leases: who waits, who holds what, when it is over. Works on state.lua's tables in
-- memory; finish() writes them in one flush. The files of a library are one chunk: what is local here is known in the next ones.
local pool = {}

local STATE, POOL, AGENT, TENANT, HEAD, CONTAINER, ANSWER, WHOSE, ARRIVED, AGE, DEADLINE, LEASE_MS, CPU, MEMORY, CLAIM, PLACE =
    1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17, 18 -- of a request, as in state.lua
local REUSE, REQUEST, STATIC, CREATED = 3, 4, 5, 6 -- of a container
local FRESH = '!' -- the reuse key of a container that nobody has used
local LOOK = 16           -- waiting requests or idle containers looked at for one that fits
local CREATES = 32        -- creates begun in one call
local HUNGRY = 32         -- hungry pools looked at in one call
local STEP = 100          -- objects (containers, requests) that one step of anything long ends
local WORK = 100          -- objects that a call ends or makes before it stops early; the rest of its events go again
local LISTS = 200         -- idle lists that a call looks through for a container that may make way
local SECOND = 1000000
local BACKOFF_FIRST, BACKOFF_MOST = 500000, 30 * SECOND
local BIND_LEAST = 5 * SECOND -- that binding may take, whatever is left of the request's timeout

local pack, struct_pack -- cmsgpack's and struct's, which are not there yet while the library is loaded
local now, wall_ms, settings, records, creates, continued
local work, lists_looked -- of WORK and LISTS
local requests, containers -- those known in this call (state.lua)
local changed, seen_changed, room_came -- pools to restore at the end, and whether a host has room that it had not

local function begin(slot, time, map)
    pool.root, pack, struct_pack = slot, cmsgpack.pack, struct.pack
    now, wall_ms, settings, creates, continued = time, math.floor(frame.wall / 1000), map, 0, {}
    changed, seen_changed, room_came, work, lists_looked = {}, {}, false, 0, 0
    requests, containers = state.begin(slot, time, map)
    predictor.begin(slot, time, map)
    philosophies.begin(slot, time, map)
    agents.begin(slot, time, map)
end

local restore, restore_hungry, follow_policy

local function add(offset, record)
    delivery.add(records, offset, record)
end

-- Everything is decided and checked before the first write.
local function finish(offset)
    for _, name in ipairs(state.policies_changed) do follow_policy(offset, name) end
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
                enough = one(events[i]) or work >= WORK
                if enough or records.bytes > events.room then break end
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

local function total(p) return p.idle + p.leased + p.creating + p.resetting + p.ending end

-- Records -----------------------------------------------------------------------------------------------------------------------

local function dead_letter(offset, reason) add(offset, {5, '', '', reason}) end


local ASSIGNED, HOT = '\168assigned', '\160\000\163hot\192\194' -- and what follows the prediction: '', 0, 'hot', nil, false
local BOUND = 195 -- the last byte of an answer whose container was given a claim

-- An assignment is kept packed, to be given again as it was. whose: agent_id, tenant; head: key, trace, request_id, both as the worker
-- packed them; static: of the container (state.lua); last: reason, retry_after_ms, tier, startup, bound. MessagePack by hand, because its
-- pack() makes a string of each value first: 220 0 24 begins an array of 24 values, 207 a number of 8 bytes.
local function packed_answer(whose, static, head, status, warm, startup, wait, epoch, expires, prediction, last)
    return '\220\000\024\001' .. whose .. static .. head .. status ..
        struct_pack('>BBLBLBLBL', warm and 195 or 194, 207, startup, 207, wait, 207, epoch, 207, expires) .. prediction .. last
end

local function answer(offset, whose, static, head, status, prediction, warm, startup, wait, epoch, expires, last)
    local all = packed_answer(whose, static, head, status, warm, startup, wait, epoch, expires, prediction, last)
    add(offset, all)
    return all
end

local function command(offset, op, id, c)
    local host, _, cpu, memory = state.details(id, c)
    add(offset, {2, host, '', state.number_text(state.next_number()), host, op, id, c[POOL], {cpu, memory}})
end

-- Asks to be called again about that philosophy. what: the step that goes on and its arguments ('pre_warm 100'); none: whatever is due.
local function go_on(offset, name, what)
    local step = name .. '\n' .. (what or '')
    if continued[step] then return end
    continued[step] = true
    add(offset, {6, name, '', '-', name, '-', 'continue', (what and what .. ' ' or '') .. state.number_text(state.next_number())})
end

-- Its creates keep failing, and it has nothing that could come free: who waits would wait in vain.
local function is_unavailable(p)
    return settings.max_failures > 0 and p.failures >= settings.max_failures and p.retry_at > now and
        p.idle + p.leased + p.creating + p.resetting == 0
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
    answer(offset, r[WHOSE], pack(r[POOL], '', '', '', {0, 0}, ''), r[HEAD], pack('rejected'), predictor.packed(r[POOL]), false, 0,
        now - r[ARRIVED], 0, 0, pack(reason, p and retry_after(p) or 1000, '', nil, false))
    r[STATE] = 'e'
    state.put_request(id, r)
end

local function reject_unavailable(offset, id, r, p) reject(offset, id, r, 'unavailable: ' .. (p.why or '')) end

-- Leases ------------------------------------------------------------------------------------------------------------------------

-- parts: of the container's start in us, {create, start, ready, publish}; bind: us that the binding took.
local function startup_parts(total, parts, bind)
    local create, start, ready, publish = 0, 0, 0, 0
    if parts then create, start, ready, publish = unpack(parts) end
    return {math.max(0, total - create - start - ready - publish - bind), create, start, ready, bind, publish}
end

-- The answer: the container is its agent's.
local function hand_out(offset, id, r, p, cid, c, tier, parts, bind)
    local epoch = state.next_number()
    local wait = now - r[ARRIVED]
    local startup, expires = r[AGE] + wait, r[LEASE_MS] > 0 and wall_ms + r[LEASE_MS] or 0
    local warm = tier ~= 'cold'
    if warm then p.warm = p.warm + 1 else p.cold = p.cold + 1 end
    state.touch_pool(r[POOL])
    if r[AGENT] ~= '' then agents.hold(r[AGENT], id) end
    p.prediction = p.prediction or predictor.packed(r[POOL]) -- nothing that leases changes it
    local last = HOT
    if not warm or bind then
        last = pack('', 0, tier, (parts or bind) and startup_parts(startup, parts, bind or 0), r[CLAIM] and true or false)
    end
    r[ANSWER] = answer(offset, r[WHOSE], c[STATIC] or state.static(cid, c), r[HEAD], ASSIGNED, p.prediction, warm, startup > 0 and startup or 1,
        wait, epoch, expires, last)
    r[STATE] = 'l'
    state.put_request(id, r)
end

-- The container is the request's. One that is paused, or is to be given a claim, is bound by its host first.
local function lease(offset, id, r, p, cid, c, tier, parts)
    local paused = c[STATE] == 'idle' and state.is_paused(c)
    r[CONTAINER] = cid
    state.move(cid, c, 'leased')
    c[REQUEST], c[REUSE] = id, state.key_of(r)
    p.active = now
    if not (paused or r[CLAIM]) then return hand_out(offset, id, r, p, cid, c, tier, parts) end
    r[DEADLINE] = math.max(r[DEADLINE], now + BIND_LEAST) -- it has its container, which would be lost
    r[STATE], r[ANSWER] = 'b', pack(state.number_text(state.next_number()), now, paused and 'paused' or tier, parts)
    state.put_request(id, r)
    command(offset, 'bind', cid, c)
end

-- The number of the binding that the request waits for.
local function binding_of(r) return (cmsgpack.unpack(r[ANSWER])) end

-- Its host has bound it.
local function bound(offset, cid, c, number)
    local r = c[STATE] == 'leased' and state.request(c[REQUEST])
    if not r or r[STATE] ~= 'b' then return end
    local expected, since, tier, parts = cmsgpack.unpack(r[ANSWER])
    if number == expected then hand_out(offset, c[REQUEST], r, state.pool(r[POOL]), cid, c, tier, parts, now - since) end
end

local function stop_waiting(r)
    local p = state.pool(r[POOL])
    p.waiting = math.max(0, p.waiting - 1)
    state.touch_pool(r[POOL])
    if p.hungry then restore_later(r[POOL]) end
end

-- place: among those that wait, when it has waited before.
local function start_waiting(id, r, place)
    local p = state.pool(r[POOL])
    r[STATE], r[PLACE] = 'w', place or state.next_number()
    p.waiting = p.waiting + 1
    state.touch_pool(r[POOL])
    lists.add(p.wait_list, id)
    lists.add(state.waiting_of(p, r[POOL], state.key_of(r)), id)
    state.put_request(id, r)
    restore_later(r[POOL])
end

local function is_up(h) return h.state == 'up' and frame.beat - h.beat <= h.ttl_us end

-- Whether the container is large enough for the request (false: for anybody), and its host is there to wake it or to give it a claim.
local function has(id, c, r)
    local paused = r and c[STATE] == 'idle' and state.is_paused(c)
    if not r or not (r[CPU] or r[MEMORY] or r[CLAIM] or paused) then return true end
    local host, _, cpu, memory = state.details(id, c)
    if r[CLAIM] or paused then
        local h = host_table.all()[host]
        if not h or not is_up(h) or (r[CLAIM] and not h.claims) then return false end
    end
    return (not r[CPU] or cpu >= r[CPU]) and (not r[MEMORY] or memory >= r[MEMORY])
end

local function idle_of_list(id, l)
    local c = containers[id]
    return c and c[STATE] == 'idle' and c[REUSE] == l.reuse and c
end

-- The first of an idle list that the request may have.
local function first_idle(l, r) return lists.first(l, LOOK, idle_of_list, has, r) end

-- The one of a pool that has been idle longest; fits(id, c): among those for which that is true.
local function oldest_idle(name, p, fits)
    local oldest, container, since
    state.each_idle_list(p, name, function(l)
        if fits then lists_looked = lists_looked + 1 end
        if lists_looked > LISTS then return true end
        local id, c = lists.first(l, LOOK, idle_of_list, fits or has, false)
        if not id then return false end
        local at = state.idle_since(l, id)
        if not oldest or at < since then oldest, container, since = id, c, at end
        return fits == nil
    end)
    return oldest, container
end

local function waiting_of_list(id, l)
    if requests[id] == nil then state.load_requests(l.items) end
    local r = requests[id]
    if not r or r[STATE] ~= 'w' then repair.not_waiting(l, id, r) end
    return r and r[STATE] == 'w' and r
end

local function is_enough(_, r, cid, c) return has(cid, c, r) end

-- The first of a waiting list for whom the container is large enough.
local function first_waiting(l, cid, c) return lists.first(l, LOOK, waiting_of_list, is_enough, cid, c) end

local function would_use(id, r, cid, c) return state.key_of(r) == c[REUSE] and has(cid, c, r) end

-- The same for a used container, by its key; while the waiting lists are of several policies also by looking.
local function first_to_use(p, cid, c)
    local rid, r = first_waiting(state.waiting_of(p, c[POOL], c[REUSE]), cid, c)
    if not rid and p.mixed then rid, r = lists.first(p.wait_list, LOOK, waiting_of_list, would_use, cid, c) end
    return rid, r
end

local function destroy(offset, id, c)
    state.move(id, c, 'ending')
    command(offset, 'destroy', id, c)
end

-- When the oldest of the pool's idle containers has to be looked at: it was idle, or there, for long enough.
local function watch_idle(name, p, at)
    if at and (p.idle_due == 0 or at < p.idle_due) then
        p.idle_due = at
        state.deadline('i' .. name, at)
    end
end

-- When the container has been idle (since then) or there for as long as its pool allows; nil: it may stay.
local function idle_until(name, id, since)
    local ttl, age = settings.idle_ttls[name] or settings.idle_ttl, settings.max_ages[name] or settings.max_age
    local at = ttl > 0 and since + ttl * SECOND or nil
    if age > 0 then
        local too_old = tonumber(id:match('%d+$')) + age * SECOND -- an id ends in the us of its create
        at = at and math.min(at, too_old) or too_old
    end
    return at
end

local function become_idle(offset, id, c, name, p)
    local hot = settings.hots[name] or settings.hot
    local pause = hot >= 0 and p.idle - p.paused >= hot
    if pause then c[REUSE] = state.paused_key(c[REUSE]) end
    state.move(id, c, 'idle')
    if pause then command(offset, 'pause', id, c) end
    watch_idle(name, p, idle_until(name, id, now))
end

-- A container is free: to the longest waiting request that may have it, else idle, else (beyond the size) destroyed.
local function offer(offset, id, c, used, parts)
    local p = state.pool(c[POOL])
    local reusable = settings.pool_enabled and settings.warm_start and not p.draining
    local rid, r
    if p.waiting > 0 and (not used or reusable) then
        if used then rid, r = first_to_use(p, id, c) else rid, r = first_waiting(p.wait_list, id, c) end
    end
    if rid then
        stop_waiting(r)
        lease(offset, rid, r, p, id, c, used and 'hot' or 'cold', parts)
    elseif settings.pool_enabled and not p.draining and p.idle < size_of(c[POOL], p) then
        become_idle(offset, id, c, c[POOL], p)
    else
        destroy(offset, id, c)
    end
    if p.waiting > p.creating then restore_later(c[POOL]) end
end

-- Whether the pool's containers are used no more than so often, and this one was.
local function is_used_up(name, id)
    local most = settings.max_uses_of[name] or settings.max_uses
    if most == 0 then return false end
    local uses = (tonumber(redis.call('HGET', pool.root .. ':uses', id)) or 0) + 1
    state.later({'HSET', ':uses', id, uses})
    return uses >= most
end

-- Its agent gave it back: it goes when its pool's policy says so; where a claim was bound or a command is to be run it is reset, else free.
local function take_back(offset, id, c, claimed)
    local name = c[POOL]
    local till, resets = idle_until(name, id, now), settings.resets[name]
    if resets == nil then resets = settings.reset end
    if (settings.reuses[name] or settings.reuse) == 'never' or is_used_up(name, id) or (till and till <= now) then
        destroy(offset, id, c)
    elseif claimed or resets then
        c[CREATED] = state.next_number()
        state.move(id, c, 'resetting')
        command(offset, 'reset', id, c)
        local p = state.pool(name)
        if p.waiting > p.creating then restore_later(name) end
    else
        offer(offset, id, c, true)
    end
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
        answer(offset, pack(r[AGENT], r[TENANT]), pack(r[POOL], cid, host, '', {cpu, memory}, ''), head, pack(status),
            predictor.packed(r[POOL]), false, 0, 0, epoch, expires, pack(reason, 0, '', nil, false))
    end
    r[STATE] = 'e'
    state.put_request(id, r)
end
