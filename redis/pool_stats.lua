-- What the pool's public functions say, as JSON. Reads only.
local pool_stats = {}


local function round2(x) return math.floor(x * 100 + 0.5) / 100 end

local function rate(part, whole) return whole > 0 and round2(part / whole * 100) or 0 end

local function no_settings() return {size = 10, sizes = {}, warm_start = true, history_size = 100} end

local ACTIVE = 600 * 1000000 -- us since the last request

-- Why its acquires are rejected at present; empty when they are not.
local function unavailable(p, map, now)
    local is = (map.max_failures or 0) > 0 and p.failures >= map.max_failures and p.retry_at > now and
        p.idle + p.leased + p.creating + p.resetting == 0
    return is and p.why or ''
end

local function pool_of(name, p, map, samples, now)
    local size = p.size >= 0 and p.size or map.sizes[name] or map.size
    return {available = p.idle, utilization_percent = rate(p.idle, size), leased = p.leased, creating = p.creating, waiting = p.waiting, paused = p.paused, resetting = p.resetting,
        pool_size = size, warm_starts = p.warm, cold_starts = p.cold, warm_start_rate_percent = rate(p.warm, p.warm + p.cold),
        peak_leased = p.peak, draining = p.draining, unavailable = unavailable(p, map, now), active = p.leased + p.waiting > 0 or (p.warm + p.cold > 0 and now - p.active < ACTIVE),
        confidence = map.history_size > 0 and math.min(1, samples / map.history_size) or 0}
end

function pool_stats.all(keys)
    local now, map = delivery.context(keys[1])
    map = map or no_settings()
    state.begin(keys[1], now, map)
    local total = {available = 0, paused = 0, resetting = 0, leased = 0, creating = 0, waiting = 0, warm_starts = 0, cold_starts = 0, rejected = 0, lost = 0}
    local pools, hosts = {}, {}
    local samples, predictions = {}, redis.call('HGETALL', keys[1] .. ':pred')
    for i = 1, #predictions, 2 do samples[predictions[i]] = cmsgpack.unpack(predictions[i + 1]) end
    local all = redis.call('HGETALL', keys[1] .. ':pools')
    for i = 1, #all, 2 do
        local p = state.parse_pool(all[i + 1])
        local s = pool_of(all[i], p, map, samples[all[i]] or 0, now)
        pools[all[i]] = s
        for _, name in ipairs({'available', 'paused', 'resetting', 'leased', 'creating', 'waiting', 'warm_starts', 'cold_starts'}) do
            total[name] = total[name] + s[name]
        end
        total.rejected, total.lost = total.rejected + p.rejected, total.lost + p.lost
    end
    total.warm_start_rate_percent = rate(total.warm_starts, total.warm_starts + total.cold_starts)
    for name, h in pairs(host_table.all()) do
        hosts[name] = {state = h.state, capacity = h.capacity, used = h.used, memory_mb = h.memory_mb, memory_used_mb = h.memory_used}
    end
    return cjson.encode({pool_size = map.size, warm_start_enabled = map.warm_start, now = math.floor(now / 1000),
        tracked_agents = redis.call('HLEN', keys[1] .. ':agents'), hosts = hosts, total = total, pools = pools})
end

local function figures(t) return {cpu_percent = t[1], memory_mb = t[2], execution_time_seconds = t[3]} end

function pool_stats.predict(keys, args)
    local now, map = delivery.context(keys[1])
    if not map then return '{}' end
    predictor.begin(keys[1], now, map)
    local p = predictor.of(args[1])
    return cjson.encode({philosophy = p[1], requirements = figures(p[2]), recommended = figures(p[3]), confidence = p[4], samples = p[5],
        basis = p[6]})
end

-- cjson keeps 14 digits of a number, an epoch has 16.
local function lease_json(id, c, r)
    local epoch, expires = state.lease_of(r)
    local rest = cjson.encode({request_id = c[state.REQUEST], agent_id = r[state.AGENT], philosophy = c[state.POOL], container_id = id,
        host = (state.details(id, c)), lease_expires_at = expires, tenant = r[state.TENANT]})
    return '{"lease_epoch":' .. state.number_text(epoch) .. ',' .. rest:sub(2)
end

-- By host and container, from the start-th on.
function pool_stats.leases(keys, args)
    local now, map = delivery.context(keys[1])
    state.begin(keys[1], now, map or {})
    local start, most = tonumber(args[1]) or 0, math.min(1000, tonumber(args[2]) or 1000)
    local names, leased, found = {}, {}, {}
    for name in pairs(host_table.all()) do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do
        local ids = redis.call('ZRANGE', keys[1] .. ':hc:' .. name, 0, -1)
        state.load_containers(ids)
        for _, id in ipairs(ids) do
            local c = state.known_container(id)
            if c and c[state.STATE] == 'leased' then leased[#leased + 1] = id end
        end
    end
    local requests = {}
    for i = start + 1, math.min(start + most, #leased) do
        requests[#requests + 1] = state.known_container(leased[i])[state.REQUEST]
    end
    state.load_requests(requests)
    for i = start + 1, math.min(start + most, #leased) do
        local c = state.known_container(leased[i])
        local r = state.request(c[state.REQUEST])
        if r and r[state.STATE] == 'l' then found[#found + 1] = lease_json(leased[i], c, r) end
    end
    return '[' .. table.concat(found, ',') .. ']'
end

-- What it holds is what its request says, and until there are figures it was seen when it got it (an epoch is a time in us).
function pool_stats.agents(keys, args)
    local raw = redis.call('HGET', keys[1] .. ':agents', args[1])
    if not raw then return '{}' end
    state.begin(keys[1], 0, {})
    agents.begin(keys[1], 0, {})
    local function figure(x) return x == x and x or nil end -- NaN: none
    local request, cpu, memory, time, seen, _, name = agents.parse(raw)
    local r = request ~= '' and state.request(request)
    if r then name, seen = r[state.POOL], seen or state.lease_of(r) end
    return cjson.encode({agent_id = args[1], philosophy = name, container_id = r and r[state.CONTAINER] or '', request_id = request,
        cpu_percent = figure(cpu), memory_mb = figure(memory), execution_time_seconds = figure(time), last_seen = math.floor((seen or 0) / 1000)})
end
