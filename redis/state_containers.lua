-- The table of containers of the {pool} slot (see state.lua).
--
-- A container's states: creating -> idle <-> leased -> ending -> gone; between leased and idle it may be resetting, in which its host makes it
-- fit for its next use; and one that would be idle is `away` while the engine of its host is, and counts for no pool then. Only state.move() changes the state.
--
-- A container may be outdated (rollout.lua): its row of :c says so. p.outdated counts those of a pool that have not ended, p.outdated_idle the
-- idle ones among them, which are on the list :outdated:P.
--
-- Uses bulk.lua, rows.lua, lists.lua, idle.lua, host_table.lua and tenants.lua, and from state.lua and its other files requests, pools, numbers and single
-- writes.

do -- local names of this file

local STATE, POOL, CONTAINER = 1, 2, 6 -- fields of a request, as in state.lua; the first two also of a container
local REUSE, REQUEST, STATIC, CREATED, SINCE, WAS, WAS_REUSE, TOUCHED, HOST, ADDRESS, CPU, MEMORY, STATIC_CHANGED, IMAGE, WAS_SINCE, FOR, OUTDATED,
    WAS_OUTDATED = 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20
local FRESH = '!' -- the reuse key of a container that nobody has used
local PAUSED_FRESH = '\t!'
local PAUSED = 9 -- the first byte of the reuse key of an idle container that is paused

local root, now
local containers, touched, count
local fast
local load_idle, lost_idle

-- Begins a call. Returns the containers known in it: id -> container.
function state.begin_containers(slot, time)
    root, now = slot, time
    containers, touched, count, fast = {}, {}, 0, {}
    idle.begin(slot, containers, load_idle, lost_idle)
    return containers
end

-- Reading -------------------------------------------------------------------------------------------------------------------------

local STATES = {c = 'creating', i = 'idle', r = 'resetting', e = 'ending', a = 'away'}

local function parse_container(is, static)
    local what, reuse, request, created, since = 'leased', FRESH, is, 0, 0 -- leased_container() sets the reuse key of a leased one
    if is:byte(1) == 10 then
        what, request = STATES[is:sub(2, 2)], ''
        if what == 'creating' then created = tonumber(is:sub(3)) end
        if what == 'idle' then
            since, reuse = rows.idle_fields(is)
            since = tonumber(since)
        end
        if what == 'away' then reuse = is:sub(3) end
        if what == 'resetting' then
            created, reuse = is:match('^..(%d+) (.*)$')
            created = tonumber(created)
        end
    end
    local pool, host, address, cpu, memory, image, outdated, tenant = rows.static_fields(static)
    return {what, pool, reuse, request, static, created, since, what, reuse, false, host, address, cpu, memory, false, image, since, tenant or false,
        outdated, outdated}
end

function state.load_containers(ids)
    local missing, n = bulk.missing(containers, ids)
    if n == 0 then return end
    local is, static = bulk.read(root .. ':is', missing), bulk.read(root .. ':c', missing)
    for i = 1, n do
        if is[i] and static[i] then
            containers[missing[i]] = parse_container(is[i], static[i])
        elseif is[i] or static[i] then
            state.drop_container_rows(missing[i])
        end
    end
end

-- One of a container's two rows is missing, or both while a list names it: removes the rest.
function state.drop_container_rows(id)
    for _, hash in ipairs({':is', ':c', ':uses'}) do state.later({'HDEL', hash, id}) end
    state.repaired('the container ' .. id .. ' lacked a row')
end

-- Makes a stand-in known in place of a container that has no rows; nothing of it is written.
function state.stand_in(id, name)
    containers[id] = {'gone', name, FRESH, '', '', 0, 0, 'gone', FRESH, false, '', '', 0, 0, false, ''}
end

-- Loads containers and the requests that lease them; returns the ids of these requests.
function state.load_containers_and_holders(ids)
    state.load_containers(ids)
    local holders = {}
    for _, id in ipairs(ids) do
        local c = state.known_container(id)
        if c and c[STATE] == 'leased' then holders[#holders + 1] = c[REQUEST] end
    end
    state.load_requests(holders)
    return holders
end

-- Makes a container of an idle list known without reading its row of :is. static: its row of :c, or false.
function load_idle(id, number, static, l)
    local since = tonumber(number)
    local c = {'idle', l.pool, l.reuse, '', static, 0, since, 'idle', l.reuse, false}
    c[WAS_SINCE], containers[id] = since, c
end

-- An entry's container has no row: it is not counted any more.
function lost_idle(id, l)
    local p = l.p
    p.idle, p.stale = math.max(0, p.idle - 1), p.stale + 1
    if l.reuse == FRESH or l.reuse == PAUSED_FRESH then p.fresh = math.max(0, p.fresh - 1) end
    state.lost_outdated(p)
    state.touch_pool(l.pool)
    state.drop_container_rows(id)
end

-- A container of the pool has lost its row, so that nobody knows whether it was counted as outdated. One too few of them are counted rather than
-- one too many: its host names those again that Redis does not know as outdated.
function state.lost_outdated(p)
    if p.outdated > p.outdated_idle then p.outdated = p.outdated - 1 end
end

-- The container of a lease; when it is not known it is made known from the lease, without reading its rows.
function state.leased_container(r)
    local c, key = containers[r[CONTAINER]], state.key_of(r)
    if c == nil then
        c = {'leased', r[POOL], key, '', false, 0, 0, 'leased', key, false}
        containers[r[CONTAINER]] = c
    elseif c then
        c[REUSE], c[WAS_REUSE] = key, key
    end
    return c
end

-- The container's row of :c, read when it is not there yet.
function state.static(id, c)
    if not c[STATIC] then c[STATIC] = redis.call('HGET', root .. ':c', id) end
    return c[STATIC]
end

-- The container's host, address, cpu and memory.
function state.details(id, c)
    if not c[HOST] then
        local _
        local static = state.static(id, c)
        if static then
            _, c[HOST], c[ADDRESS], c[CPU], c[MEMORY], c[IMAGE], c[OUTDATED] = rows.static_fields(static)
            c[WAS_OUTDATED] = c[OUTDATED]
        else -- its row was lost (repair.lua)
            c[HOST], c[ADDRESS], c[CPU], c[MEMORY], c[IMAGE] = '', '', 0, 0, ''
        end
    end
    return c[HOST], c[ADDRESS], c[CPU], c[MEMORY]
end

local function set_static(c, tenant)
    c[STATIC], c[STATIC_CHANGED] = rows.static(c[POOL], c[HOST], c[ADDRESS], c[CPU], c[MEMORY], c[IMAGE], tenant, c[OUTDATED]), true
end

function state.set_address(id, c, address, image)
    state.details(id, c)
    c[ADDRESS], c[IMAGE] = address, image
    set_static(c, nil)
end

function state.container(id)
    if containers[id] == nil then state.load_containers({id}) end
    return containers[id]
end

function state.known_container(id) return containers[id] end

-- Changing ------------------------------------------------------------------------------------------------------------------------

local COUNTERS = {idle = true, leased = true, creating = true, resetting = true, ending = true, away = true, waiting = true}

-- True when an idle container is paused.
function state.is_paused(c) return c[REUSE]:byte(1) == PAUSED end

-- True when nobody has used a container.
function state.is_fresh(c) return c[REUSE] == FRESH or c[REUSE] == PAUSED_FRESH end

-- The reuse key of paused containers, made of that of others.
function state.paused_key(reuse) return '\t' .. reuse end

-- True when the container is known as outdated. (Its pool is loaded.)
function state.is_outdated(id, c)
    local p = state.known_pool(c[POOL])
    if not p or p.outdated == 0 then return false end
    state.details(id, c)
    return c[OUTDATED] or false
end

local function touch(id, c)
    if not c[TOUCHED] then
        count = count + 1
        c[TOUCHED], touched[count] = true, id
    end
    state.touch_pool(c[POOL])
end

-- Notes that a container that has not ended is outdated. False: it was known.
function state.mark_outdated(id, c)
    if state.is_outdated(id, c) then return false end
    local p = state.known_pool(c[POOL])
    state.details(id, c)
    c[OUTDATED] = true
    set_static(c, c[STATE] == 'creating' and c[FOR])
    p.outdated = p.outdated + 1
    if c[STATE] == 'idle' then
        p.outdated_idle = p.outdated_idle + 1
        lists.add(state.outdated_of(p), id)
    end
    touch(id, c)
    return true
end

-- An outdated container changes its state.
local function count_outdated(id, p, from, to)
    if from == 'idle' then p.outdated_idle = math.max(0, p.outdated_idle - 1) end
    if to == 'idle' then
        p.outdated_idle = p.outdated_idle + 1
        lists.add(state.outdated_of(p), id)
    end
    if to == 'ending' or (to == 'gone' and from ~= 'ending') then p.outdated = math.max(0, p.outdated - 1) end
end

local function idle_outdated(id, l)
    local c = state.container(id)
    if c and c[STATE] == 'idle' and c[OUTDATED] then return c end
    if not c or not c[TOUCHED] then lists.take(l, id) end -- it has no row, or one that contradicts the list
end

-- The first idle outdated container of a pool for which fits(id, container) is true; tries `most`.
function state.first_outdated(p, most, fits)
    local l = state.outdated_of(p)
    if p.outdated_idle == 0 then return nil end
    if lists.item(l, 1) then return lists.first(l, most, idle_outdated, fits) end
    p.outdated_idle = 0 -- counted, but not listed
    state.touch_pool(p.name)
end

-- Sets a container's state. Only this function changes it and its pool's counters (the fast path, warm.lua, does the same in bulk).
function state.move(id, c, to)
    local name = c[POOL]
    local p, from = state.known_pool(name), c[STATE]
    if state.is_outdated(id, c) then count_outdated(id, p, from, to) end
    if COUNTERS[from] then p[from] = math.max(0, p[from] - 1) end -- never below 0: the pool's row may have been lost (repair.lua)
    if from == 'idle' then
        if state.is_paused(c) then p.paused = math.max(0, p.paused - 1) end
        if state.is_fresh(c) then p.fresh = math.max(0, p.fresh - 1) end
    end
    if COUNTERS[to] then p[to] = p[to] + 1 end
    if c[FOR] and from == 'creating' then tenants.count_create(name, c[FOR], -1) end
    if c[FOR] and to == 'creating' then tenants.count_create(name, c[FOR], 1) end
    c[STATE] = to
    if to == 'idle' then
        c[SINCE] = state.next_number()
        if state.is_paused(c) then p.paused = p.paused + 1 end
        if state.is_fresh(c) then p.fresh = p.fresh + 1 end
        idle.add(p.idle_by[c[REUSE]] or idle.of(p, name, c[REUSE]), id, c[SINCE])
    elseif to == 'leased' then
        if p.leased > p.peak then p.peak = p.leased end
    elseif to == 'ending' then
        host_table.ending(state.details(id, c), 1)
    elseif to == 'gone' then
        state.details(id, c)
        if from == 'ending' then host_table.ending(c[HOST], -1) end
        host_table.use(c[HOST], -1, c[MEMORY])
        host_table.member(c[HOST], id, false)
    end
    touch(id, c)
end

-- tenant: of the request that it is made for, or nil.
function state.add_container(id, name, host, cpu, memory, tenant)
    local c = {false, name, FRESH, '', false, now, 0, false, FRESH, false, host, '', cpu, memory, false, '', 0, tenant or false, false, false}
    set_static(c, tenant)
    containers[id] = c
    host_table.use(host, 1, memory)
    host_table.member(host, id, true)
    state.move(id, c, 'creating')
    return c
end

-- The array to which the fast path (warm.lua) appends names and values for :is, written before other changes.
function state.fast_containers() return fast end

-- Writing -------------------------------------------------------------------------------------------------------------------------

-- Changes the container's entry in the idle lists, by its old and new state.
local function place_container(id, c)
    local is, since = c[STATE] == 'idle', c[SINCE]
    local was = c[WAS] == 'idle'
    if was and is and since == c[WAS_SINCE] then return end
    local p = state.pool(c[POOL])
    if was then idle.left(idle.of(p, c[POOL], c[WAS_REUSE])) end
    if is then idle.put(idle.of(p, c[POOL], c[REUSE]), id, since) end
end

-- Changes the list of the pool's idle outdated containers.
local function place_outdated(id, c)
    local is, was = c[OUTDATED] and c[STATE] == 'idle', c[WAS_OUTDATED] and c[WAS] == 'idle'
    if is and not was then lists.put(state.outdated_of(state.pool(c[POOL])), rows.number(c[SINCE]), id) end
    if was and not is then lists.take(state.outdated_of(state.pool(c[POOL])), id) end
end

local function is_row(c)
    local is = c[STATE]
    if is == 'leased' then return c[REQUEST] end
    if is == 'idle' then return rows.idle(rows.number(c[SINCE]), c[REUSE]) end
    if is == 'away' then return '\na' .. c[REUSE] end
    if is == 'resetting' then return '\nr' .. lists.score(c[CREATED]) .. ' ' .. c[REUSE] end
    return is == 'ending' and '\ne' or '\nc' .. lists.score(c[CREATED])
end

function state.flush_containers()
    local set, static, gone = fast, {}, {}
    local n = #set
    for i = 1, count do
        local id = touched[i]
        local c = containers[id]
        place_container(id, c)
        if c[OUTDATED] then place_outdated(id, c) end
        if c[STATE] == 'gone' then
            gone[#gone + 1] = id
        else
            set[n + 1], set[n + 2], n = id, is_row(c), n + 2
            if c[STATIC_CHANGED] then
                static[#static + 1] = id
                static[#static + 1] = c[STATIC]
            end
        end
    end
    bulk.write('HSET', root .. ':is', set)
    bulk.write('HSET', root .. ':c', static)
    bulk.write('HDEL', root .. ':is', gone)
    bulk.write('HDEL', root .. ':c', gone)
    bulk.write('HDEL', root .. ':uses', gone)
end
end
