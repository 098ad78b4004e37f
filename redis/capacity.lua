-- Capacity: creates containers, chooses their hosts, and makes room for them. A call that changes a pool's waiting requests or containers ends
-- with restore() of that pool.
--
-- Takes from rollout.lua: replace(); from leases.lua: the call's bounds and counts (CREATES, STARVED, WORK, STEP, creates, work, hungry_count), starved_pools(), count_hungry(), size_of(), max_of(), total(), is_up(),
-- oldest_idle(), destroy(), destroy_oldest_used(), command(), go_on(); from predictor.lua: limits of containers; from turns.lua the order of those
-- that wait; from state.lua, host_table.lua and lists.lua their tables.

local function clamp(x, low, high) return math.max(low, math.min(high, x)) end

-- The configured limit, else the recommended one, bounded by low and high.
local function fixed(limit, recommended, low, high) return limit > 0 and limit or clamp(recommended, low, high) end

local function limits_for(name, r)
    local recommended = predictor.of(name)[3]
    local cpu = fixed(settings.cpu_limits[name] or settings.cpu_limit, recommended[1], settings.min_cpu, settings.max_cpu)
    local memory = fixed(settings.memory_limits[name] or settings.memory_limit, recommended[2], settings.min_memory, settings.max_memory)
    if r then cpu, memory = math.max(cpu, r[CPU] or 0), math.max(memory, r[MEMORY] or 0) end
    return cpu, memory
end

-- Returns a function h -> true when the host may be asked for containers of the pool (that take claims, if claim). When all such hosts lack the
-- image they may be asked all the same, because the error then says what is missing.
local function makers_of(name, claim)
    local function is_maker(h) return is_up(h) and (not claim or h.claims) end
    for _, h in pairs(host_table.all()) do
        if is_maker(h) and host_table.can_make(h, name) then
            return function(other) return is_maker(other) and host_table.can_make(other, name) end
        end
    end
    return is_maker
end

-- The host with the most room for a container of that memory; one whose creates fail only when there is no other.
local function host_with_room(name, memory, claim)
    local best, room, failing
    local is_maker = makers_of(name, claim)
    for host, h in pairs(host_table.all()) do
        local free, fails = h.capacity - h.used, h.retry_at > now
        local fits = free > 0 and (h.memory_mb == 0 or h.memory_mb - h.memory_used >= math.ceil(memory)) and is_maker(h)
        local better = not best or (failing and not fails) or (failing == fails and (free > room or (free == room and host < best)))
        if fits and better then best, room, failing = host, free, fails end
    end
    return best
end

local function create(offset, name, r)
    local cpu, memory = limits_for(name, r)
    local host = host_with_room(name, memory, r and r[CLAIM])
    if not host then return false end
    local n = state.number_text(state.next_number())
    local id = 'wp-' .. name .. '-' .. n
    local trace = r and select(2, cmsgpack.unpack(r[KEYS]))
    command(offset, 'create', id, state.add_container(id, name, host, cpu, memory, r and r[TENANT]), trace)
    creates, work = creates + 1, work + 1
    return true
end

local function destroy_oldest_idle(offset, name, fits)
    local id, c = oldest_idle(name, state.pool(name), fits)
    if id then destroy(offset, id, c) end
    return id ~= nil
end

-- No host that may be asked has room: destroys the oldest idle container on one of them, of the least recently active pool that has any. Those
-- of the starved pool itself (of another tenant, or too small) go only when no other pool has one.
local function make_room(offset, starved, is_maker)
    local names = redis.call('ZRANGE', pool.root .. ':active', 0, 63)
    state.load_pools(names)
    local function is_there(id, c)
        local h = host_table.all()[state.details(id, c)]
        return h ~= nil and is_maker(h)
    end
    for _, name in ipairs(names) do
        local p = state.pool(name)
        if not p then state.later({'ZREM', ':active', name}) end
        if p and name ~= starved and p.idle > 0 and destroy_oldest_idle(offset, name, is_there) then return true end
    end
    return state.pool(starved).idle > 0 and destroy_oldest_idle(offset, starved, is_there)
end

-- The number of ending containers on hosts that may be asked.
local function ending_on(is_maker)
    local count = 0
    for _, h in pairs(host_table.all()) do if is_maker(h) then count = count + h.ending end end
    return count
end

-- Sets a flag of a pool, and its place among the pools that have it: at the end each time that it is set.
local function set_flag(name, p, flag, pools, is)
    if is or p[flag] then state.later(is and {'ZADD', pools, state.number_text(now), name} or {'ZREM', pools, name}) end
    if is ~= p[flag] then
        p[flag] = is
        state.touch_pool(name)
    end
end

local function set_starved(name, p, is)
    if is ~= p.starved then hungry_count = count_hungry() + (is and 1 or -1) end
    set_flag(name, p, 'starved', ':hungry', is)
end

local function waiting_one(id, l)
    local r = state.request(id)
    if r and r[STATE] == 'w' then return r end
    repair.not_waiting(l, id, r)
end

-- True unless this call knows that the request does not wait; reads nothing.
local function may_wait(id)
    local r = requests[id] == nil or state.request(id)
    return r == true or (r and r[STATE] == 'w')
end

-- Counts the waiting requests on the whole list; fewer than the pool has counted.
local function count_waiting(p)
    local count, i = 0, 1
    state.load_requests(p.wait_list.items)
    while lists.item(p.wait_list, i) do
        local r = state.request(lists.item(p.wait_list, i))
        if r and r[STATE] == 'w' then count = count + 1 end
        i = i + 1
    end
    return count
end

-- Notes that requests of a pool wait until fewer containers are being made for their tenants (tenant.max_creating).
local function set_held(name, p, is) set_flag(name, p, 'held', ':held', is) end

-- Begins creates until as many are under way as requests wait, or there is no more room: so no request waits for a container that nobody makes,
-- unless its tenant has all the creates that it may have.
local function restore_waiting(offset, name, p)
    local is_held = false
    local function held(tenant)
        local is = tenants.is_held(tenant)
        is_held = is_held or is
        return is
    end
    set_held(name, p, false)
    if p.draining or p.retry_at > now or p.creating >= p.waiting then return set_starved(name, p, false) end
    local next_waiting = turns.walk(p, waiting_one, may_wait, p.creating > 0 and tenants.making(name) or {}, held)
    while p.creating < p.waiting do
        if creates >= CREATES then
            go_on(offset, name)
            break
        end
        if total(p) >= max_of(name) then
            if p.idle == 0 or p.creating + p.ending >= p.waiting or not destroy_oldest_idle(offset, name) then break end
        else
            local r = next_waiting()
            if not r then
                if is_held then set_held(name, p, true) else repair.waiting(p, count_waiting(p)) end
                break
            end
            if not create(offset, name, r) then
                local is_maker = makers_of(name, r[CLAIM])
                for _ = p.creating + ending_on(is_maker) + 1, math.min(p.waiting, p.creating + CREATES) do
                    if not make_room(offset, name, is_maker) then break end
                end
                return set_starved(name, p, true)
            end
        end
    end
    set_starved(name, p, false)
end

-- Notes that less of a pool is ready than pool.min_idle, because no host has room or requests of other pools wait for it.
local function set_thin(name, p, is) set_flag(name, p, 'thin', ':thin', is) end

-- Notes a create for pool.min_idle. False: pool.refill_rate has it wait.
local function may_refill(name, p)
    local rate = settings.refill_rate or 0
    if rate <= 0 then return true end
    if p.refill_at > now then
        state.deadline('f' .. name, p.refill_at)
        return false
    end
    p.refill_at = math.max(p.refill_at, now) + math.floor(SECOND / rate)
    return true
end

-- The number of containers under way for nobody who waits.
local function coming(p) return math.max(0, p.creating - p.waiting) end

-- Makes room in a pool that is full of containers in use and used ones, as far as they may go: those that the reserve needs. What nobody has asked
-- for, because it is what is pre-warmed, leaves them half of the pool's size.
local function make_place_for_reserve(offset, name, p, missing)
    local size, _, is_asked_for = size_of(name, p), state.min_idle(name)
    local may_take = state.is_shared(p) and (is_asked_for or p.fresh + coming(p) + p.ending < math.max(1, math.floor(size / 2)))
    if total(p) >= max_of(name) then -- one that ends takes its place until it is gone
        return may_take and p.ending < missing and destroy_oldest_used(offset, name, p)
    end
    return p.idle + coming(p) < size or (may_take and destroy_oldest_used(offset, name, p))
end

-- How many containers of the pool are to be ready for whoever comes.
local function reserve_of(name, p)
    if not settings.pool_enabled or not settings.warm_start or p.draining then return 0 end
    return math.min((state.min_idle(name)), size_of(name, p))
end

-- Begins creates until as many idle containers that any request could get are there or on their way as pool.min_idle says. Requests that wait,
-- of whatever pool, come first.
local function refill(offset, name, p)
    local want = reserve_of(name, p)
    if p.waiting > p.creating or (want > 0 and p.retry_at > now) then return end -- a deadline restores it
    while true do
        local missing = want - state.ready_of(p) - coming(p)
        if missing <= 0 or not make_place_for_reserve(offset, name, p, missing) then break end
        if total(p) < max_of(name) then
            if creates >= CREATES or work >= WORK + STEP then
                go_on(offset, name)
                break
            end
            if not may_refill(name, p) then break end
            if count_hungry() > 0 or not create(offset, name) then return set_thin(name, p, true) end
        end
    end
    set_thin(name, p, false)
end

function restore(offset, name)
    local p = state.pool(name)
    if not p then -- else it would take the turn of others
        for _, pools in ipairs({':hungry', ':thin', ':held'}) do state.later({'ZREM', pools, name}) end
        return
    end
    restore_waiting(offset, name, p)
    refill(offset, name, p)
    rollout.replace(offset, name, p)
end

-- A host has room, or `most` containers became idle that may go: restores the starved pools, the longest starved first; with `empty` those alone
-- that have no container at all. A pool that gets none goes to the list's end.
function restore_starved(offset, most, empty)
    local names, before = starved_pools(), creates
    for i = 1, math.min(#names, STARVED) do
        local p = empty and state.pool(names[i])
        if most > 0 and (not empty or (p and total(p) == 0)) then
            restore(offset, names[i])
            most = most - 1
        end
    end
    if #names > STARVED and creates > before then go_on(offset, '-') end
end

-- Fewer containers are being made for a tenant: restores the pools whose requests wait for that, the longest so first.
function restore_held(offset)
    local names = redis.call('ZRANGE', pool.root .. ':held', 0, STARVED)
    local before = creates
    for i = 1, math.min(#names, STARVED) do restore(offset, names[i]) end
    if #names > STARVED and creates > before then go_on(offset, '-') end
end

-- No request waits for room any more, and there may be some: restores the pools that are short of pool.min_idle, the longest so first.
function restore_thin(offset)
    local fewer_wait = hungry_count and hungry_count < redis.call('ZCARD', pool.root .. ':hungry')
    if not (room_came or fewer_wait) or count_hungry() > 0 then return end
    local names = redis.call('ZRANGE', pool.root .. ':thin', 0, STARVED)
    local before = creates
    for i = 1, math.min(#names, STARVED) do restore(offset, names[i]) end
    if #names > STARVED and creates > before then go_on(offset, '-') end
end

-- Creates containers until `count` are idle or being made without a request that waits for them, as far as there is room.
local function prewarm(offset, name, p, count)
    if not settings.pool_enabled or p.draining or p.retry_at > now then return end
    local want = math.min(count, size_of(name, p))
    while p.idle + coming(p) < want and total(p) < max_of(name) do
        if creates >= CREATES then return go_on(offset, name, 'pre_warm ' .. state.number_text(want)) end
        if not create(offset, name) then return end
    end
end
