-- Turns: in which order the requests that wait for containers of a pool get them. Within a tenant first come, first served; between tenants by
-- turns, so that a tenant with many waiting requests delays the first one of another by a turn at most, and its own cancelled or timed out
-- requests cost it no turn (self-clocked fair queueing).
--
--   :turn:P  zset  each tenant that waits in pool P -> when its next turn is due, in the pool's virtual time;  its requests: list :wait:P:T
--
-- The virtual time of a pool (p.turn) is when the turn was due that was served last. A tenant that begins to wait is due a step after it, and with
-- each request of it that gets a container a step later. A step is TURN / tenant.weight. Tenants that wait no more are forgotten at the call's end, and so is the
-- virtual time when nobody waits.
--
-- p.turn is negative while requests wait that came before there were turns: those with an arrival number below -p.turn. Until they are gone the
-- order is that of arrival.
--
-- Uses lists.lua and bulk.lua, and from state.lua waiting lists, pools and repaired().
local turns = {}

do -- local names of this file: all files of a library are one chunk, which may have 200 in all

local TURN = 1000000 -- a step of virtual time; even, as all differences are
local TIE = 2        -- of two tenants that begin to wait at one virtual time the earlier one comes first
local FIRST_TURN = 1 -- added to when a tenant is due that has had no turn since it began to wait
local LEAD = 16      -- steps: no tenant is further ahead of the virtual time, however often it got its own containers out of turn
local YIELD = 8      -- steps that a tenant may be ahead of another one until one of its containers goes for that one
local SKIP = 128     -- creates under way up to which walk() goes by turns; beyond that by arrival
local FIRST, PAGE = 8, 1000 -- tenants read at once: the first time, and at most

local STATE, TENANT = 1, 4 -- of a request, as in state.lua
local root, used, weights

function turns.begin(slot, settings) root, used, weights = slot, {}, settings.tenant_weights end

-- What this call knows of a pool's turns. order: the known tenants by when they are due; last: no unread tenant is due before it.
local function of(p)
    local t = used[p]
    if not t then
        t = {key = root .. ':turn:' .. p.name, known = {}, order = {}, touched = {}, read = 0, ask = FIRST, last = -1, complete = false}
        used[p] = t
    end
    return t
end

-- Inserts by `due`, behind those that are due at the same time.
local function insert(order, each)
    local low, high, due = 1, #order + 1, each.due
    while low < high do
        local middle = math.floor((low + high) / 2)
        if order[middle].due <= due then low = middle + 1 else high = middle end
    end
    table.insert(order, low, each)
end

local function step_of(tenant) return 2 * math.max(1, math.floor(TURN / (weights and weights[tenant] or 1) / 2)) end

-- steps: after `due`; nil: none.
local function know(t, tenant, due, steps)
    local step = step_of(tenant)
    local e = {tenant = tenant, due = due + (steps or 0) * step, step = step}
    t.known[tenant] = e
    insert(t.order, e)
    return e
end

-- Reads the next tenants. Returns those that were not known.
local function read_more(t)
    local more, new = redis.call('ZRANGE', t.key, t.read, t.read + t.ask - 1, 'WITHSCORES'), {}
    for i = 1, #more, 2 do
        t.last = tonumber(more[i + 1])
        if not t.known[more[i]] then new[#new + 1] = know(t, more[i], t.last) end
    end
    t.complete, t.read, t.ask = #more < 2 * t.ask, t.read + t.ask, math.min(2 * t.ask, PAGE)
    return new
end

-- The tenant's entry; nil: it does not wait.
local function find_tenant(t, tenant)
    local e = t.known[tenant]
    if e or t.complete then return e end
    local due = redis.call('ZSCORE', t.key, tenant)
    return due and know(t, tenant, tonumber(due)) or nil
end

-- True while requests wait that came before there were turns.
local function is_by_arrival(p)
    if p.turn >= 0 then return false end
    local head = redis.call('ZRANGE', p.wait_list.key, 0, 0, 'WITHSCORES')
    if head[2] and tonumber(head[2]) < -p.turn then return true end
    p.turn = 0
    state.touch_pool(p.name)
    return false
end

-- A request of the tenant begins to wait. again: it had its turn, but lost its container.
function turns.join(p, tenant, again)
    local t = of(p)
    local e = find_tenant(t, tenant)
    if not e then
        if p.turn >= 0 then p.turn = p.turn + TIE end
        e = know(t, tenant, math.max(p.turn, 0) + (again and 0 or FIRST_TURN), again and 0 or 1)
    end
    t.touched[tenant] = true
end

local function make_due(t, e, due)
    for i, each in ipairs(t.order) do
        if each == e then
            table.remove(t.order, i)
            break
        end
    end
    e.due, t.touched[e.tenant] = due, true
    insert(t.order, e)
end

-- A waiting request of the tenant gets a container.
function turns.serve(p, tenant)
    local t = of(p)
    local e = p.turn >= 0 and find_tenant(t, tenant)
    if not e then return end
    if t.read == 0 then read_more(t) end
    local due = e.due - e.due % 2 -- without FIRST_TURN
    if t.order[1].due >= e.due then p.turn = math.max(p.turn, due) end -- else it is out of turn
    make_due(t, e, math.min(due + e.step, p.turn + LEAD * e.step))
end

-- A used container of the tenant is free, and no other one may have it, though others wait and there is no room for a further container. True when
-- it should go, so that they get the room: more tenants than `coming` (containers that will be there for them) wait for their first turn, or for
-- one that the tenant is far ahead of.
function turns.must_yield(p, tenant, coming)
    if is_by_arrival(p) then return false end
    local t = of(p)
    local e = find_tenant(t, tenant)
    if not e then return false end
    if t.read == 0 then read_more(t) end
    local count = 0
    for _, each in ipairs(t.order) do
        if each.due >= e.due then break end
        if each.due % 2 == FIRST_TURN or e.due - each.due > YIELD * each.step then count = count + 1 end
    end
    if count <= coming then return false end
    local mark, first = e.due % 2, t.order[1].due
    make_due(t, e, math.max(e.due - YIELD / 2 * e.step, first - first % 2 + TIE + mark)) -- it pays for a part of what the tenant was ahead
    return true
end

-- A request of the tenant waits no more.
function turns.leave(p, tenant) of(p).touched[tenant] = true end

-- The order of turns --------------------------------------------------------------------------------------------------------------

-- The first request of a list from place i on that find(id, list) finds, what it finds, and its place.
local function find_from(l, i, find)
    while true do
        local id = l.items[i] or lists.item(l, i)
        if not id then return nil end
        local what = find(id, l)
        if what then return id, what, i end
        if i == l.at then l.at = i + 1 end
        i = i + 1
    end
end

local function walk_by_arrival(p, find, i, held)
    local left = SKIP
    return function()
        while left > 0 do
            local id, what
            id, what, i = find_from(p.wait_list, i, find)
            if not id then break end
            i = i + 1
            if not held(what[TENANT]) then return what end
            left = left - 1
        end
        left = 0
        return nil
    end
end

-- Merges the lists of the tenants: each time the one that is due first gives its next request. find_of(tenant): the find for it; false: the tenant
-- gives no more.
local function walk_by_turns(p, find_of)
    local t, queue = of(p), {}
    local function add(e)
        local l = state.waiting_of(p, p.name, e.tenant)
        insert(queue, {due = e.due, step = e.step, tenant = e.tenant, list = l, at = l.at})
    end
    for _, e in ipairs(t.order) do add(e) end
    return function()
        while true do
            while not t.complete and not (queue[1] and queue[1].due <= t.last) do
                for _, e in ipairs(read_more(t)) do add(e) end
            end
            local first = table.remove(queue, 1)
            if not first then return nil end
            local find, id, what, at = find_of(first.tenant), nil, nil, nil
            if find then id, what, at = find_from(first.list, first.at, find) end
            if id then
                first.at, first.due = at + 1, first.due + first.step
                insert(queue, first)
                return id, what
            end
        end
    end
end

-- Returns a function that gives the waiting requests for which creates may begin, one by one in the order of turns: what find(id, list) returns for
-- one, which is nil for one that has left the list. It passes over as many requests as creates are under way: of each tenant as many as are made for
-- it (making: tenant -> number), and the first others for the rest. finds_any(id, list): the same for those. held(tenant): whether it may have no
-- further creates.
function turns.walk(p, find, finds_any, making, held)
    if p.creating > SKIP or is_by_arrival(p) then return walk_by_arrival(p, find, p.creating + 1, held) end
    local rest, passes = p.creating, false
    for _, n in pairs(making) do rest = rest - n end
    local next_one = walk_by_turns(p, function(tenant)
        local made = making[tenant] or 0
        passes = made > 0 or rest > 0
        if made > 0 then making[tenant] = made - 1 elseif rest > 0 then rest = rest - 1 end
        return passes and finds_any or (not held(tenant) and find)
    end)
    return function()
        repeat
            local id, what = next_one()
            if not (id and passes) then return what end
        until false
    end
end

-- A tenant waits but has no turn, because its entry was lost.
local function repair_turns(p, id, r)
    if not id then return nil end
    state.repaired('the tenant ' .. r[TENANT] .. ' had no turn in the pool ' .. p.name)
    turns.join(p, r[TENANT])
    return id, r
end

-- True when this call knows of several tenants that wait in the pool: then it reads a list for each.
function turns.are_many(p) return of(p).order[2] ~= nil end

-- The next request of the tenant that is due first; nil also when it is not known which one that is.
local function next_in_turn(p, find)
    local t = of(p)
    if t.read == 0 then read_more(t) end
    local e = t.order[1]
    if not e or (e.due > t.last and not t.complete) then return nil end
    local l = state.waiting_of(p, p.name, e.tenant)
    return find_from(l, l.at, find)
end

-- The first request in the order of turns for which fits(id, request, a, b) is true; tries `most` that find(id, list) finds.
function turns.first(p, most, find, fits, a, b)
    if is_by_arrival(p) then return lists.first(p.wait_list, most, find, fits, a, b) end
    local head, request = next_in_turn(p, find) -- mostly this one, without a merge
    if head and fits(head, request, a, b) then return head, request end
    local next_one, tried = walk_by_turns(p, function() return find end), 0
    while tried < most do
        local id, r = next_one()
        if not id then break end
        if fits(id, r, a, b) then return id, r end
        tried = tried + 1
    end
    if tried >= math.min(most, p.waiting) then return nil end
    return repair_turns(p, lists.first(p.wait_list, most, find, fits, a, b))
end

-- Returns a function that says whether a tenant still has a waiting list.
local function has_list(p, touched)
    local keys = {}
    for tenant in pairs(touched) do keys[#keys + 1] = p.wait_list.key .. ':' .. tenant end
    local there = #keys > 0 and #keys < bulk.MOST and redis.call('EXISTS', unpack(keys))
    if there == 0 or there == #keys then return function() return there > 0 end end
    return function(tenant) return redis.call('EXISTS', p.wait_list.key .. ':' .. tenant) == 1 end
end

-- To be called when the waiting lists are written: tenants are forgotten whose list is empty.
function turns.flush()
    for p, t in pairs(used) do
        local due, gone, waits = {}, {}, has_list(p, t.touched)
        for tenant in pairs(t.touched) do
            local n, e = #due, t.known[tenant]
            if not waits(tenant) then
                gone[#gone + 1] = tenant
            elseif e then
                due[n + 1], due[n + 2] = state.number_text(e.due), tenant
            end
        end
        bulk.write('ZREM', t.key, gone)
        bulk.write('ZADD', t.key, due)
    end
end

state.begin_turns, state.flush_turns = turns.begin, turns.flush
end
