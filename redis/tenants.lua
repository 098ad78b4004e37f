-- Tenants: counts what each one uses, over all pools, and knows their limits.
--
--   :tenant:leases   hash tenant -> requests that have a container, or to which one is being bound
--   :tenant:waiting  hash tenant -> requests that wait
--   :tenant:creating hash tenant -> containers that are being made for its requests;  :making:P the same, those of pool P alone
--
-- A tenant that has none is in none of these. Rows say whether they are counted (rows.lua): those from before there were counts are not, so that
-- the counts are exact at any time. Limits are settings: tenant_max_leases and so on (0 or absent: none), tenant_max_leases_of by tenant.
--
-- Uses bulk.lua.
local tenants = {}

do -- local names of this file: all files of a library are one chunk, which may have 200 in all

local KINDS = {'leases', 'waiting', 'creating'}
local root
local limits -- kind -> that of every tenant, and those of single ones; nil: none
local before, changes -- kind -> tenant -> the count when the call began, as far as it was read; what the call has changed
local making -- pool -> tenant -> what the call has changed

function tenants.begin(slot, settings)
    root, before, changes, making = slot, {}, {}, {}
    limits = {
        leases = {all = settings.tenant_max_leases, own = settings.tenant_max_leases_of},
        waiting = {all = settings.tenant_max_waiting, own = settings.tenant_max_waiting_of},
        creating = {all = settings.tenant_max_creating, own = settings.tenant_max_creating_of},
    }
    for _, kind in ipairs(KINDS) do before[kind], changes[kind] = {}, {} end
    tenants.has_creates_fewer = false -- a tenant with a limit of creates has fewer than before
end

-- The limit of a tenant; 0: none.
function tenants.limit(kind, tenant)
    local of = limits[kind]
    return of.own and of.own[tenant] or of.all or 0
end

-- True when any tenant may have such a limit.
function tenants.have_limit(kind)
    local of = limits[kind]
    return (of.all or 0) > 0 or (of.own ~= nil and next(of.own) ~= nil)
end

function tenants.count(kind, tenant, n)
    local of = changes[kind]
    of[tenant] = (of[tenant] or 0) + n
end

function tenants.count_create(name, tenant, n)
    local of = making[name] or {}
    making[name], of[tenant] = of, (of[tenant] or 0) + n
    tenants.count('creating', tenant, n)
    if n < 0 and tenants.limit('creating', tenant) > 0 then tenants.has_creates_fewer = true end
end

-- How many the tenant has, with what this call has changed.
function tenants.of(kind, tenant)
    local known = before[kind]
    if not known[tenant] then known[tenant] = tonumber(redis.call('HGET', root .. ':tenant:' .. kind, tenant) or 0) end
    return known[tenant] + (changes[kind][tenant] or 0)
end

-- Why the tenant may have no further lease; nil: it may. Requests that wait count, because each of them becomes a lease.
function tenants.over_leases(tenant)
    local most = tenants.limit('leases', tenant)
    if most == 0 then return nil end
    local leases, waiting = tenants.of('leases', tenant), tenants.of('waiting', tenant)
    if leases + waiting < most then return nil end
    local wait = waiting > 0 and string.format(' and %d requests that wait', waiting) or ''
    return string.format('limit: tenant %s has %d leases%s, tenant.max_leases is %d', tenant, leases, wait, most)
end

-- Why no further request of the tenant may wait; nil: it may.
function tenants.over_waiting(tenant)
    local most = tenants.limit('waiting', tenant)
    if most == 0 or tenants.of('waiting', tenant) < most then return nil end
    return string.format('limit: tenant %s has %d requests that wait, tenant.max_waiting is %d', tenant, tenants.of('waiting', tenant), most)
end

-- How many containers of a pool are being made for each tenant.
function tenants.making(name)
    local rows, all = redis.call('HGETALL', root .. ':making:' .. name), {}
    for i = 1, #rows, 2 do all[rows[i]] = tonumber(rows[i + 1]) end
    for tenant, n in pairs(making[name] or {}) do all[tenant] = (all[tenant] or 0) + n end
    return all
end

-- True when as many containers are being made for the tenant as there may be.
function tenants.is_held(tenant)
    local most = tenants.limit('creating', tenant)
    return most > 0 and tenants.of('creating', tenant) >= most
end

-- What tenants have that a limit names: name -> {leases, waiting, creating, max_leases, max_waiting, max_creating (not there: no limit)}.
function tenants.named()
    local all = {}
    for _, kind in ipairs(KINDS) do
        for name in pairs(limits[kind].own or {}) do all[name] = all[name] or {} end
    end
    for name, figures in pairs(all) do
        for _, kind in ipairs(KINDS) do
            local most = tenants.limit(kind, name)
            figures[kind], figures['max_' .. kind] = tenants.of(kind, name), most > 0 and most or nil
        end
    end
    return all
end

local function flush_counts(key, changed)
    local names, gone, set = {}, {}, {}
    for tenant, n in pairs(changed) do
        if n ~= 0 then names[#names + 1] = tenant end
    end
    if #names == 1 then
        if redis.call('HINCRBY', key, names[1], changed[names[1]]) <= 0 then gone[1] = names[1] end
    else
        local counts = bulk.read(key, names)
        for i, tenant in ipairs(names) do
            local count, n = (tonumber(counts[i]) or 0) + changed[tenant], #set
            if count > 0 then set[n + 1], set[n + 2] = tenant, count else gone[#gone + 1] = tenant end
        end
    end
    bulk.write('HSET', key, set)
    bulk.write('HDEL', key, gone)
end

function tenants.flush()
    for _, kind in ipairs(KINDS) do flush_counts(root .. ':tenant:' .. kind, changes[kind]) end
    for name, changed in pairs(making) do flush_counts(root .. ':making:' .. name, changed) end
end
end
