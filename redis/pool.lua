-- Handles the events of container-acquire and container-release that warm.lua does not. redis/README.md has their fields; those at an event's
-- end may be missing. Changes are in the tables of state.lua until finish() writes them.
--
-- Takes from leases.lua: column_topic(), the fields of requests and containers, add(), answers, leases, waiting and idle containers; uses
-- philosophies.lua (pools), warm.lua (runs of plain events) and repair.lua.

-- Loads the pools of all events of batches. row_name: the index of the philosophy in an event that came as a row. Returns their names.
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
    warm.keep_limits(batches)
end

local function some_host_claims()
    for _, h in pairs(host_table.all()) do if h.claims then return true end end
    return false
end

-- The idle container for a request: one with its reuse key, else a fresh one; a running one before a paused one.
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

-- The reason when no container may be as large as the request asks for; else nil.
local function too_large(r)
    local cpu, memory = r[CPU] or 0, r[MEMORY] or 0
    if cpu > settings.max_cpu then
        return 'too_large: cpu_percent is ' .. cpu .. ', pool.max_cpu_percent is ' .. settings.max_cpu
    elseif memory > settings.max_memory then
        return 'too_large: memory_mb is ' .. memory .. ', pool.max_memory_mb is ' .. settings.max_memory
    end
end

-- The reason when the request asks for more memory than any host has; else nil.
local function larger_than_hosts(r)
    local largest = r[MEMORY] and host_table.largest()
    if largest and math.ceil(r[MEMORY]) > largest then
        return 'too_large: memory_mb is ' .. r[MEMORY] .. ', the largest host has ' .. largest .. ' (host.memory_mb)'
    end
end

local function read_too_late(age_us, timeout_ms)
    return string.format('timeout: it was read %d ms after it was sent, its timeout_ms is %d: the worker is behind (its lag), or clocks differ',
        math.floor(age_us / 1000), timeout_ms)
end

local function acquire_one(e)
    local offset, id, name = e[1], e[5], e[7]
    local known, invalid = state.request(id), e[13] or ''
    if invalid ~= '' then dead_letter(offset, invalid) end -- even when the request is known already
    if known and known[STATE] ~= 'x' then -- repeated: a lease is answered again, a waiting or ended request is not
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
    local over = tenants.over_leases(r[TENANT])
    if over then return reject(offset, id, r, over) end
    if r[CLAIM] then
        if not some_host_claims() then return reject(offset, id, r, 'unavailable: no host takes claims (host.claims)') end
        state.later({'HSET', ':claims', id, e[14]})
    end
    if p.idle > 0 and settings.pool_enabled and settings.warm_start then
        local cid, c = warm_for(p, name, r)
        if cid then return lease(offset, id, r, p, cid, c, 'hot') end
    end
    p.active = now
    large = larger_than_hosts(r)
    if large then return reject(offset, id, r, large) end
    if timeout == 0 then return reject(offset, id, r, 'timeout: no idle container may be had, and timeout_ms is 0') end
    if is_unavailable(p) then return reject_unavailable(offset, id, r, p) end
    over = tenants.over_waiting(r[TENANT])
    if over then return reject(offset, id, r, over) end
    start_waiting(id, r)
end

pool.acquire = column_topic({batch = warm.acquire_batch, prefetch = acquire_prefetch, run = warm.acquire, event_of = warm.acquire_event, one = acquire_one})

-- offset | request_id philosophy container_id reuse
-- Containers are loaded for pools with waiting requests, which may get them, and with outdated containers, which they may be.
local function release_prefetch(batches)
    load_pools_of(batches, function(name) return name end, 3)
    local wanted, waits = {}, {[false] = false}
    local function has_waiting(whose)
        local p = state.pool(whose:match('^[^ ]*'))
        waits[whose] = p ~= nil and (p.waiting > 0 or p.outdated > 0)
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

-- Rejects a request whose container is being bound, and destroys the container.
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
