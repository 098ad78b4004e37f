-- A call of the {pool} slot from begin() to finish(), its records, and the life of requests and leases: waiting, leased, ended. Works on the
-- tables of state.lua in memory; finish() writes them in one flush. The files of a library are one chunk: the local names of this file are
-- known in the files after it.
local pool = {}
local rollout = {} -- the functions of rollout.lua

local STATE, POOL, AGENT, TENANT, KEYS, CONTAINER, ROW, ARRIVED, AGE, DEADLINE, LEASE_MS, CPU, MEMORY, CLAIM, PLACE =
    1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 13, 14, 15, 16, 17 -- fields of a request, as in state.lua
local REUSE, REQUEST, CREATED, SINCE = 3, 4, 6, 7 -- fields of a container
local FRESH, EVERYBODY = '!', '*' -- the reuse keys of a container that nobody has used, and of one that everybody may have
local LOOK = 16           -- waiting requests tried for one that fits
local CREATES = 32        -- creates begun in one call
local STARVED = 32        -- starved pools restored in one call
local STEP = 100          -- objects (containers, requests) handled by one step of work that takes several calls
local WORK = 100          -- objects ended or made, after which a call stops early; the worker sends the rest of its events again
local LISTS = 200         -- idle lists that a call searches for a container that may make room
local SECOND = 1000000
local BACKOFF_FIRST, BACKOFF_MOST = 500000, 30 * SECOND
local BIND_LEAST = 5 * SECOND -- a binding has at least this much time, however little is left of the request's timeout

local pack -- cmsgpack.pack, which does not exist yet while the library is loaded
local now, wall_ms, settings, records, creates, continued
local work, lists_looked -- counted up to WORK and LISTS
local requests, containers -- known in this call (state.lua)
local hungry_count, hungry -- starved pools, the first ones' names; nil: not counted, not read yet
local idle_came -- containers that became idle, which a starved pool may have the room of
local changed, seen_changed, room_came -- pools to restore at the end; whether a host has room that it did not have before

-- Notes a pool for restore() at the call's end.
local function restore_later(name)
    if not seen_changed[name] then
        seen_changed[name] = true
        changed[#changed + 1] = name
    end
end

local function begin(slot, time, map)
    pool.root, pack = slot, cmsgpack.pack
    now, wall_ms, settings, creates, continued = time, math.floor(frame.wall / 1000), map, 0, {}
    changed, seen_changed, room_came, idle_came, work, lists_looked, hungry_count, hungry = {}, {}, false, 0, 0, 0, nil, nil
    requests, containers = state.begin(slot, time, map)
    predictor.begin(slot, time, map)
    philosophies.begin(slot, time, map)
    agents.begin(slot, time, map)
    answers.begin()
    warm.begin(slot, time, map, requests, containers, restore_later)
end

local restore, restore_starved, restore_thin, restore_held, follow_policy, watch_idle

local function add(offset, record)
    delivery.add(records, offset, record)
end

-- Ends a call. All decisions and checks come before the first write.
local function finish(offset)
    for _, name in ipairs(state.policies_changed) do follow_policy(offset, name) end
    local most = room_came and STARVED or idle_came + warm.became_idle()
    if most > 0 then restore_starved(offset, most, true) end -- before a pool that has some takes the room
    for _, name in ipairs(changed) do restore(offset, name) end
    if tenants.has_creates_fewer then restore_held(offset) end
    if most > 0 then restore_starved(offset, most, false) end
    restore_thin(offset)
    warm.finish()
    predictor.publish_changed(offset, add, state.deadline)
    state.flush()
    agents.flush()
    predictor.flush()
end

-- Makes topic.apply (delivery.lua) for a topic whose events come as rows: prefetch(events) reads in bulk what they need, one(event) handles an
-- event (true: no more in this call), finish() restores the pools that were changed and writes everything.
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

-- Makes the topic (delivery.lua) for events that come as columns (warm.lua). batch(values, done) makes a batch, prefetch(batches) reads what its
-- events need, run(b, i, records) handles events from the i-th on and returns the first that it cannot handle: one(event_of(b, i)) does.
local function column_topic(of)
    -- Handles a batch. Returns the last offset handled, and whether it stopped early.
    local function do_batch(b)
        local offsets, i = b.offsets, 1
        while true do
            i = of.run(b, i, records)
            if i > #offsets then return offsets[#offsets], false end
            if i > 1 and records.bytes > b.room then return offsets[i - 1], true end
            local id = b.ids[i]
            if requests[id] == nil then requests[id] = b.known[i] end
            if of.one(of.event_of(b, i)) or work >= WORK or records.bytes > b.room then return offsets[i], i < #offsets end
            i = i + 1
        end
    end
    return {batch = of.batch, apply = function(batches, time, map, slot)
        begin(slot, time, map)
        local lists, applied, enough = {}, {}, false
        of.prefetch(batches)
        for k, b in ipairs(batches) do
            records = delivery.records()
            lists[k] = records
            applied[k], enough = do_batch(b)
            if enough then break end
        end
        finish(applied[#applied])
        return lists, applied
    end}
end

local function size_of(name, p)
    if p.size >= 0 then return p.size end
    return settings.sizes[name] or settings.size
end

-- The number of containers that a pool may have, leased ones included.
local function max_of(name) return settings.max_containers_of[name] or settings.max_containers end

local function total(p) return p.idle + p.leased + p.creating + p.resetting + p.ending end

-- Records -----------------------------------------------------------------------------------------------------------------------

local function dead_letter(offset, reason) add(offset, {5, '', '', reason}) end

-- Adds an answer. container: {id, host, address, cpu, memory, image}, or nil; rest: see answers.record.
local function answer(offset, id, r, container, status, rest) add(offset, answers.record(id, r, container, status, rest)) end

-- trace: of the request that the container is made for; nil: none.
local function command(offset, op, id, c, trace)
    local host, _, cpu, memory = state.details(id, c)
    add(offset, {2, host, trace or '', state.number_text(state.next_number()), host, op, id, c[POOL], {cpu, memory}})
end

-- Adds a container-event `continue`, so that another call goes on. what: the step and its arguments ('pre_warm 100'); nil: whatever is due in
-- that pool. name '-': whatever is due at all.
local function go_on(offset, name, what)
    local step = name .. '\n' .. (what or '')
    if continued[step] then return end
    continued[step] = true
    add(offset, {6, name, '', '-', name, '-', 'continue', (what and what .. ' ' or '') .. state.number_text(state.next_number())})
end

-- True when the pool's creates keep failing and no container of it can become free: its requests would wait in vain.
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
    answer(offset, id, r, nil, 'rejected',
        {wait = now - r[ARRIVED], reason = reason, retry_after = p and retry_after(p) or 1000})
    r[STATE] = 'e'
    state.put_request(id, r)
end

local function reject_unavailable(offset, id, r, p) reject(offset, id, r, 'unavailable: ' .. (p.why or '')) end

-- Leases ------------------------------------------------------------------------------------------------------------------------

-- The parts of a start in us, for the answer. parts: {create, start, ready, publish} of the container; bind: duration of the binding.
local function startup_parts(total, parts, bind)
    local create, start, ready, publish = 0, 0, 0, 0
    if parts then create, start, ready, publish = unpack(parts) end
    return {math.max(0, total - create - start - ready - publish - bind), create, start, ready, bind, publish}
end

-- Answers the request with its container, and makes it a lease.
local function assign(offset, id, r, p, cid, c, tier, parts, bind)
    local epoch = state.next_number()
    local wait = now - r[ARRIVED]
    local startup, expires = r[AGE] + wait, r[LEASE_MS] > 0 and wall_ms + r[LEASE_MS] or 0
    local warm = tier ~= 'cold'
    if warm then p.warm = p.warm + 1 else p.cold = p.cold + 1 end
    state.touch_pool(r[POOL])
    if r[AGENT] ~= '' then agents.hold(r[AGENT], id) end
    local rest = {warm = warm, startup = startup > 0 and startup or 1, wait = wait, epoch = epoch, expires = expires, tier = tier,
        parts = (not warm or bind) and (parts or bind) and startup_parts(startup, parts, bind or 0) or nil, bound = r[CLAIM] and true or false}
    answer(offset, id, r, answers.container(cid, c), 'assigned', rest)
    r[ROW] = answers.lease_row(r, cid, rest, predictor.given(r[POOL]))
    r[STATE] = 'l'
    state.put_request(id, r)
end

-- Gives the container to the request. A paused container, or one that is to get a claim, is first bound by its host.
local function lease(offset, id, r, p, cid, c, tier, parts)
    local paused = c[STATE] == 'idle' and state.is_paused(c)
    r[CONTAINER] = cid
    state.move(cid, c, 'leased')
    state.used_by(p, state.key_of(r))
    if state.min_idle(r[POOL]) > 0 then restore_later(r[POOL]) end
    c[REQUEST], c[REUSE] = id, state.key_of(r)
    p.active = now
    if not (paused or r[CLAIM]) then return assign(offset, id, r, p, cid, c, tier, parts) end
    r[DEADLINE] = math.max(r[DEADLINE], now + BIND_LEAST) -- a timeout now would cost the container
    r[STATE], r[ROW] = 'b', pack(state.number_text(state.next_number()), now, paused and 'paused' or tier, parts)
    state.put_request(id, r)
    command(offset, 'bind', cid, c)
end

-- The number of the binding that the request waits for.
local function binding_of(r) return (cmsgpack.unpack(r[ROW])) end

-- The host has bound the container.
local function bound(offset, cid, c, number)
    local r = c[STATE] == 'leased' and state.request(c[REQUEST])
    if not r or r[STATE] ~= 'b' then return end
    local expected, since, tier, parts = cmsgpack.unpack(r[ROW])
    if number == expected then assign(offset, c[REQUEST], r, state.pool(r[POOL]), cid, c, tier, parts, now - since) end
end

-- A container has ended while it was bound: that it is bound is not believed any more. The event of its end lets the request wait again.
local function disbelieve_bound(rid, r)
    local _, since, tier, parts = cmsgpack.unpack(r[ROW])
    r[ROW] = pack('', since, tier, parts)
    state.put_request(rid, r)
end

local function stop_waiting(r)
    local p = state.pool(r[POOL])
    p.waiting = math.max(0, p.waiting - 1)
    state.touch_pool(r[POOL])
    if p.starved then restore_later(r[POOL]) end
end

-- place: the request's place on the waiting lists, when it has waited before.
local function start_waiting(id, r, place)
    local p, key = state.pool(r[POOL]), state.key_of(r)
    r[STATE], r[PLACE] = 'w', place or state.next_number()
    p.waiting = p.waiting + 1
    state.touch_pool(r[POOL])
    turns.join(p, r[TENANT], place ~= nil)
    lists.add(p.wait_list, id)
    lists.add(state.waiting_of(p, r[POOL], r[TENANT]), id)
    if key ~= r[TENANT] then lists.add(state.waiting_of(p, r[POOL], key), id) end
    state.put_request(id, r)
    restore_later(r[POOL])
end

local function is_up(h) return h.state == 'up' and frame.beat - h.beat <= h.ttl_us end

-- True when the container is large enough for the request (r false: any request), and, if it must be resumed or get a claim, its host can do
-- that.
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

-- The first container of an idle list that the request may have (r false: any).
local function first_idle(l, r) return idle.first(l, has, r) end

-- The container of a pool that has been idle longest; with fits(id, c) among those for which that is true.
local function oldest_idle(name, p, fits)
    local oldest, container
    idle.each(p, name, function(l, since)
        if container and since >= container[SINCE] then return true end
        if fits then lists_looked = lists_looked + 1 end
        if lists_looked > LISTS then return true end
        local id, c = idle.first(l, fits or has, false)
        if id and (not container or c[SINCE] < container[SINCE]) then oldest, container = id, c end
        return false
    end)
    return oldest, container
end

local function waiting_of_list(id, l)
    if requests[id] == nil then state.load_requests(l.items) end
    local r = state.request(id)
    if not r or r[STATE] ~= 'w' then repair.not_waiting(l, id, r) end
    return r and r[STATE] == 'w' and r
end

local function is_enough(_, r, cid, c) return has(cid, c, r) end

-- The first request in the order of turns that may have the container by its size and host.
local function first_in_turn(p, cid, c) return turns.first(p, LOOK, waiting_of_list, is_enough, cid, c) end

local function would_use(id, r, cid, c) return state.key_of(r) == c[REUSE] and has(cid, c, r) end

-- The first waiting request that may have a used container: by the list of its reuse key, or by turns when it may serve everybody; in a mixed
-- pool also by trying all that wait.
local function first_to_use(p, cid, c)
    if c[REUSE] == EVERYBODY and not p.mixed then return first_in_turn(p, cid, c) end
    local rid, r = lists.first(state.waiting_of(p, c[POOL], c[REUSE]), LOOK, waiting_of_list, is_enough, cid, c)
    if not rid and p.mixed then rid, r = lists.first(p.wait_list, LOOK, waiting_of_list, would_use, cid, c) end
    return rid, r
end

local function host_is_up(id, c)
    local h = host_table.all()[state.details(id, c)]
    return h ~= nil and is_up(h)
end

-- Destroys a container. When its host is away it is forgotten at once, so that it does not take its pool's room: the host destroys unknown
-- containers when it is back.
local function destroy(offset, id, c)
    command(offset, 'destroy', id, c)
    local is_up = host_is_up(id, c)
    state.move(id, c, is_up and 'ending' or 'gone')
    if not is_up or state.min_idle(c[POOL]) > 0 then restore_later(c[POOL]) end
end

-- Sets when destroy_old() (due.lua) is to check the pool, unless it is to do so earlier. at nil: changes nothing.
function watch_idle(name, p, at)
    if at and (p.idle_due == 0 or at < p.idle_due) then
        p.idle_due = at
        state.deadline('i' .. name, at)
    end
end

-- When the container reaches its pool's limit of age; nil: there is none.
local function aged_at(name, id)
    local age = settings.max_ages[name] or settings.max_age
    return age > 0 and tonumber(id:match('%d+$')) + age * SECOND or nil -- an id ends in the time of its create (us)
end

-- When the container, idle since then, reaches its pool's limit of idle time or age; nil: there is no limit.
local function idle_until(name, id, since)
    local ttl, too_old = settings.idle_ttls[name] or settings.idle_ttl, aged_at(name, id)
    local at = ttl > 0 and since + ttl * SECOND or nil
    return at and too_old and math.min(at, too_old) or at or too_old
end

local function become_idle(offset, id, c, name, p)
    local hot = settings.hots[name] or settings.hot
    local pause = hot >= 0 and p.idle - p.paused >= hot
    if pause then c[REUSE] = state.paused_key(c[REUSE]) end
    state.move(id, c, 'idle')
    if pause then command(offset, 'pause', id, c) end
    idle_came = idle_came + 1
    if state.min_idle(name) > 0 then restore_later(name) end
    watch_idle(name, p, idle_until(name, id, now))
end

-- A container that is free where the engine is away: nobody gets it until its host is back (welcome_back of container_events.lua).
local function set_aside(id, c)
    state.move(id, c, 'away')
    work = work + 1
    restore_later(c[POOL])
end

-- The used container of a pool that has been idle longest, not counting those of the reuse key `but`.
local function oldest_used(name, p, but)
    local oldest, container
    idle.each(p, name, function(l, since)
        if container and since >= container[SINCE] then return true end
        local key = l.reuse:gsub('^\t', '') -- without the mark of paused ones
        if key == FRESH or key == but then return false end
        lists_looked = lists_looked + 1
        if lists_looked > LISTS then return true end
        local id, c = first_idle(l, false)
        if id and (not container or c[SINCE] < container[SINCE]) then oldest, container = id, c end
        return false
    end)
    return oldest, container
end

-- Destroys the used container of a pool that has been idle longest (see oldest_used). False: there is none.
local function destroy_oldest_used(offset, name, p, but)
    local id, c = oldest_used(name, p, but)
    if not id then return false end
    destroy(offset, id, c)
    work = work + 1
    return true
end

-- The names of the first starved pools, the longest starved first.
local function starved_pools()
    if not hungry then
        hungry = redis.call('ZRANGE', pool.root .. ':hungry', 0, STARVED)
        state.load_pools(hungry)
    end
    return hungry
end

-- The number of starved pools, with what this call has changed.
local function count_hungry()
    hungry_count = hungry_count or redis.call('ZCARD', pool.root .. ':hungry')
    return hungry_count
end

-- True when more other pools wait for room on a host and have no container at all than containers are about to be gone.
local function is_wanted_elsewhere(p)
    if count_hungry() <= (p.starved and 1 or 0) then return false end
    local count = 0
    for _, name in ipairs(starved_pools()) do
        local other = state.pool(name)
        if other and other ~= p and other.waiting > 0 and total(other) == 0 then count = count + 1 end
    end
    for _, h in pairs(host_table.all()) do count = count - h.ending end
    return count > 0
end

-- True when a used container, which a waiting request may have, has to make room for others: for another pool that has none, or for tenants that
-- may not have it while no further one may be made, because the pool has all that it may have, or no host has room.
local function must_yield(p, r)
    if is_wanted_elsewhere(p) then return true end
    if state.policy_of(p.name) == 'always' or not (p.starved or total(p) >= max_of(p.name)) then return false end
    return turns.must_yield(p, r[TENANT], p.creating + p.ending)
end

-- Makes the place of an idle container for one that is free. In a full pool an outdated one goes for it, else the oldest used one of another
-- tenant. False: there is no place.
local function make_idle_place(offset, id, c, used, p)
    local name, outdated = c[POOL], state.is_outdated(id, c)
    if not used then rollout.make_way(offset, name, p, outdated) end
    if p.idle < size_of(name, p) then return true end
    return p.idle > 0 and not outdated and (rollout.retire(offset, name, p) or destroy_oldest_used(offset, name, p, c[REUSE]))
end

-- A container is free: the first request in the order of turns that may have it gets it; else it becomes idle. Where there is no place for it it is destroyed.
local function offer(offset, id, c, used, parts)
    local p = state.pool(c[POOL])
    if frame.away and not host_is_up(id, c) then return set_aside(id, c) end
    local reusable = settings.pool_enabled and settings.warm_start and not p.draining
    local rid, r
    if p.waiting > 0 and (not used or reusable) then
        if used then rid, r = first_to_use(p, id, c) else rid, r = first_in_turn(p, id, c) end
    end
    if rid and used and must_yield(p, r) then
        destroy(offset, id, c)
        work = work + 1
        restore_later(c[POOL])
    elseif rid then
        turns.serve(p, r[TENANT])
        if turns.are_many(p) then work = work + 1 end
        stop_waiting(r)
        lease(offset, rid, r, p, id, c, used and 'hot' or 'cold', parts)
    elseif settings.pool_enabled and not p.draining and make_idle_place(offset, id, c, used, p) then
        become_idle(offset, id, c, c[POOL], p)
    else
        destroy(offset, id, c)
    end
    if p.waiting > p.creating then restore_later(c[POOL]) end
end

-- Counts a use of the container. True when it has reached the pool's limit of uses.
local function is_used_up(name, id)
    local most = settings.max_uses_of[name] or settings.max_uses
    if most == 0 then return false end
    local uses = (tonumber(redis.call('HGET', pool.root .. ':uses', id)) or 0) + 1
    state.later({'HSET', ':uses', id, uses})
    return uses >= most
end

-- Whether a used container goes: it is outdated, its pool is off or drained, or its policy or limits say so.
local function is_over(name, id, c)
    local till = idle_until(name, id, now)
    return not settings.pool_enabled or state.pool(name).draining or (settings.reuses[name] or settings.reuse) == 'never' or
        is_used_up(name, id) or (till and till <= now) or state.is_outdated(id, c)
end

-- A container was released: it is destroyed when it is over; reset by its host when a claim was bound, or the pool is cleaned or has a reset
-- command; else it is free.
local function take_back(offset, id, c, claimed)
    local name = c[POOL]
    local prepared = claimed or state.is_prepared(name)
    if is_over(name, id, c) or (prepared and not host_is_up(id, c)) then -- its host cannot reset it
        destroy(offset, id, c)
    elseif prepared then
        c[CREATED] = state.next_number()
        state.move(id, c, 'resetting')
        command(offset, 'reset', id, c)
        local p = state.pool(name)
        if p.waiting > p.creating then restore_later(name) end
    else
        offer(offset, id, c, true)
    end
end

-- Ends a lease. status 'lost' and a reason: its holder gets a record, for which the container must still be known.
local function end_lease(offset, id, r, status, reason)
    if r[AGENT] ~= '' then agents.drop(r[AGENT], id) end
    if status then
        local p = state.pool(r[POOL])
        p.lost = p.lost + 1
        state.touch_pool(r[POOL])
        local lease = rows.lease_answer(r[ROW])
        r[KEYS] = lease.keys
        local container = answers.container(r[CONTAINER], state.container(r[CONTAINER]))
        container[3], container[6] = '', ''
        answer(offset, id, r, container, status, {epoch = lease.epoch, expires = lease.expires, reason = reason})
    end
    r[STATE] = 'e'
    state.put_request(id, r)
end
