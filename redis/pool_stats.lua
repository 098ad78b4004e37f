-- The public functions of the {pool} slot: their answers as JSON, in pages. Reads only.
--
-- Uses state.lua (rows of pools, requests, containers), host_table.lua, predictor.lua and agents.lua.
local pool_stats = {}

local function round2(x) return math.floor(x * 100 + 0.5) / 100 end

local function rate(part, whole) return whole > 0 and round2(part / whole * 100) or 0 end

local function no_settings() return {size = 10, sizes = {}, warm_start = true, history_size = 100} end

local ACTIVE = 600 * 1000000 -- a pool counts as active for this long after a request (us)

-- Why the pool's acquires are rejected at present; empty when they are not (as is_unavailable in leases.lua).
local function unavailable(p, map, now)
    local is = (map.max_failures or 0) > 0 and p.failures >= map.max_failures and p.retry_at > now and
        p.idle + p.leased + p.creating + p.resetting == 0
    return is and p.why or ''
end

-- How many containers the pool may have; 0: no limit.
local function max_of(name, map) return map.max_containers_of and map.max_containers_of[name] or map.max_containers or 0 end

-- When the request came that has waited longest, of each pool that has any (us): a command for each of these pools, and one for their requests.
local function oldest_waiting(slot, names, parsed)
    local ids, of, oldest = {}, {}, {}
    for i, name in ipairs(names) do
        local id = parsed[i].waiting > 0 and redis.call('ZRANGE', slot .. ':wait:' .. name, 0, 0)[1]
        if id then ids[#ids + 1], of[#of + 1] = id, name end
    end
    state.load_requests(ids)
    for i, id in ipairs(ids) do
        local r = state.request(id)
        if r and r[state.STATE] == 'w' then oldest[of[i]] = r[state.ARRIVED] end
    end
    return oldest
end

local function pool_of(name, p, map, samples, now, oldest)
    local size = p.size >= 0 and p.size or map.sizes[name] or map.size
    local ready = p.fresh and state.ready_of(p) or p.idle -- a row of the version before does not count fresh ones
    return {available = p.idle, ready = ready, utilization_percent = rate(p.idle, size), leased = p.leased, creating = p.creating, waiting = p.waiting, paused = p.paused, resetting = p.resetting,
        outdated = p.outdated,
        pool_size = size, warm_starts = p.warm, cold_starts = p.cold, warm_start_rate_percent = rate(p.warm, p.warm + p.cold),
        peak_leased = p.peak, draining = p.draining, unavailable = unavailable(p, map, now), active = p.leased + p.waiting > 0 or (p.warm + p.cold > 0 and now - p.active < ACTIVE),
        rejected = p.rejected, lost = p.lost, max_containers = max_of(name, map),
        oldest_waiting_ms = oldest and math.max(0, math.floor((now - oldest) / 1000)) or 0,
        confidence = map.history_size > 0 and math.min(1, samples / map.history_size) or 0}
end

local SUMMED = {'available', 'ready', 'paused', 'resetting', 'outdated', 'leased', 'creating', 'waiting', 'warm_starts', 'cold_starts'}
local PAGE, PAGE_MOST = 200, 500 -- pools in one answer

-- The number of samples of each of these philosophies.
local function sample_counts(slot, names)
    local rows = bulk.read(slot .. ':pred', names)
    for i = 1, #names do
        rows[i] = rows[i] and select(2, cmsgpack.unpack_limit(rows[i], 1)) or 0 -- its first result is an offset
    end
    return rows
end

-- Adds the counters of philosophies that gave way (philosophies.lua).
local function add_former(slot, total)
    local former = redis.call('HMGET', slot .. ':former', 'warm', 'cold', 'rejected', 'lost')
    for i, name in ipairs({'warm_starts', 'cold_starts', 'rejected', 'lost'}) do total[name] = total[name] + tonumber(former[i] or 0) end
end

local function hosts_of()
    local hosts = {}
    for name, h in pairs(host_table.all()) do
        hosts[name] = {state = h.state, capacity = h.capacity, used = h.used, memory_mb = h.memory_mb, memory_used_mb = h.memory_used}
    end
    return hosts
end

-- The pools of a page, {name, row, name, row, ...}, and the cursor of the next page ('0': there is none).
local function page_of(slot, cursor, count)
    local reply = redis.call('HSCAN', slot .. ':pools', cursor, 'COUNT', count)
    return reply[2], reply[1]
end

-- args: the page's cursor (`next` of the page before; none: the first page) and about how many pools it has. `total` sums up this page's pools;
-- the first page also has the hosts and the counters that belong to no pool.
function pool_stats.all(keys, args)
    local refused, now, map = frame.look(keys[1])
    if refused then return refused end
    map = map or no_settings()
    state.begin(keys[1], now, map)
    local cursor = (args[1] or ''):match('^%d+$') or '0'
    local rows, next_cursor = page_of(keys[1], cursor, math.max(1, math.min(PAGE_MOST, tonumber(args[2]) or PAGE)))
    local total, pools, names, parsed = {rejected = 0, lost = 0}, {}, {}, {}
    for _, name in ipairs(SUMMED) do total[name] = 0 end
    for i = 1, #rows, 2 do names[#names + 1], parsed[#parsed + 1] = rows[i], state.parse_pool(rows[i + 1]) end
    local samples, oldest = sample_counts(keys[1], names), oldest_waiting(keys[1], names, parsed)
    for i, philosophy in ipairs(names) do
        local p = parsed[i]
        local s = pool_of(philosophy, p, map, samples[i], now, oldest[philosophy])
        pools[philosophy] = s
        for _, name in ipairs(SUMMED) do total[name] = total[name] + s[name] end
        total.rejected, total.lost = total.rejected + p.rejected, total.lost + p.lost
    end
    if cursor == '0' then add_former(keys[1], total) end
    total.warm_start_rate_percent = rate(total.warm_starts, total.warm_starts + total.cold_starts)
    return cjson.encode({pool_size = map.size, warm_start_enabled = map.warm_start, now = frame.told(now),
        tracked_agents = redis.call('HLEN', keys[1] .. ':agents'),
        repaired = tonumber(redis.call('HGET', keys[1] .. ':meta', 'repaired') or 0), hosts = cursor == '0' and hosts_of() or nil,
        tenants = cursor == '0' and tenants.named() or nil, settings = cursor == '0' and frame.settings_told() or nil, total = total, pools = pools,
        next = next_cursor ~= '0' and next_cursor or nil})
end

local function figures(t) return {cpu_percent = t[1], memory_mb = t[2], execution_time_seconds = t[3]} end

function pool_stats.predict(keys, args)
    local refused, now, map = frame.look(keys[1])
    if refused then return refused end
    if not map then return '{}' end
    predictor.begin(keys[1], now, map)
    local p = predictor.of(args[1])
    return cjson.encode({philosophy = p[1], requirements = figures(p[2]), recommended = figures(p[3]), confidence = p[4], samples = p[5],
        basis = p[6]})
end

-- A lease as JSON. The epoch is written here, because it has 16 digits and cjson keeps 14.
local function lease_json(id, c, r)
    local lease = rows.lease_answer(r[state.ROW])
    local epoch, expires = lease.epoch, lease.expires
    local rest = cjson.encode({request_id = c[state.REQUEST], agent_id = r[state.AGENT], philosophy = c[state.POOL], container_id = id,
        host = (state.details(id, c)), lease_expires_at = expires, tenant = r[state.TENANT]})
    return '{"lease_epoch":' .. state.number_text(epoch) .. ',' .. rest:sub(2)
end

local LEASES_MOST = 250 -- in one answer

-- Leases in the order of their ends (those without an end last), from number `start` on.
function pool_stats.leases(keys, args)
    local refused, now, map = frame.look(keys[1])
    if refused then return refused end
    state.begin(keys[1], now, map or {})
    local start, most = tonumber(args[1]) or 0, math.min(LEASES_MOST, tonumber(args[2]) or LEASES_MOST)
    if start < 0 or most < 1 then return '[]' end
    local ids = redis.call('ZRANGE', keys[1] .. ':expiry', state.number_text(start), state.number_text(start + most - 1))
    state.load_requests(ids)
    local containers, found = {}, {}
    for _, id in ipairs(ids) do
        local r = state.request(id)
        if r and r[state.STATE] == 'l' then containers[#containers + 1] = r[state.CONTAINER] end
    end
    state.load_containers(containers)
    for _, id in ipairs(ids) do
        local r = state.request(id)
        local c = r and r[state.STATE] == 'l' and state.known_container(r[state.CONTAINER])
        if c then found[#found + 1] = lease_json(r[state.CONTAINER], c, r) end
    end
    return '[' .. table.concat(found, ',') .. ']'
end

-- An agent. Its request says what it holds. Without figures it was last seen when its lease began: an epoch is a time in us.
function pool_stats.agents(keys, args)
    local refused = frame.look(keys[1])
    if refused then return refused end
    local raw = redis.call('HGET', keys[1] .. ':agents', args[1])
    if not raw then return '{}' end
    state.begin(keys[1], 0, {})
    agents.begin(keys[1], 0, {})
    local function figure(x) return x == x and x or nil end -- NaN: none
    local request, cpu, memory, time, seen, _, name = agents.parse(raw)
    local r = request ~= '' and state.request(request)
    if r then name, seen = r[state.POOL], seen or (r[state.STATE] == 'l' and rows.lease_answer(r[state.ROW]).epoch) or nil end
    return cjson.encode({agent_id = args[1], philosophy = name, container_id = r and r[state.CONTAINER] or '', request_id = request,
        cpu_percent = figure(cpu), memory_mb = figure(memory), execution_time_seconds = figure(time), last_seen = frame.told(seen or 0)})
end
