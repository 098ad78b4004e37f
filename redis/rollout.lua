-- Replaces outdated containers: those that are not what their host's configuration and images would make by now (the host says so), and those
-- that were there when pool-control said `rollout`. Idle ones go AT_ONCE at a time, each when its replacement has come; where there is no room
-- for both, one goes first. Leased ones go at their release (take_back of leases.lua). Until they go idle ones may be handed out.
--
-- p.owed counts those that went first and whose replacements have not come.
--
-- Takes from leases.lua: bounds (CREATES, WORK, STEP), counts, size_of(), total(), is_up(), destroy(), go_on(), restore_later(); from capacity.lua:
-- create(), coming(), reserve_of(), may_refill(), set_thin(), count_hungry(), max_of(). Uses the tables of state.lua and host_table.lua.

do -- local names of this file: all files of a library are one chunk, which may have 200 in all

local AT_ONCE = 2 -- replacements of a pool under way, and how many fewer than pool.min_idle may be ready where there is no room for both

-- True when a host that is up has the image for the pool's containers.
local function can_make(name)
    for _, h in pairs(host_table.all()) do if is_up(h) and host_table.can_make(h, name) then return true end end
    return false
end

-- Destroys the idle outdated container that became idle first; with fits(id, container) the first one for which that is true. False: there is none.
function rollout.retire(offset, name, p, fits)
    local id, c = state.first_outdated(p, STEP, fits or has)
    if not id then return false end
    destroy(offset, id, c)
    work = work + 1
    return true
end

-- A container that nobody has used is about to become idle: an outdated one goes for it, unless less than pool.min_idle is ready without it. outdated:
-- the one that comes was marked while it was made; it takes another one's place only in a pool that has enough.
function rollout.make_way(offset, name, p, outdated)
    local reserve = reserve_of(name, p)
    if p.owed > 0 then
        p.owed = p.owed - 1
        state.touch_pool(name)
    elseif p.outdated_idle > 0 and state.ready_of(p) >= reserve and (reserve > 0 or not outdated) then
        rollout.retire(offset, name, p)
    end
end

-- There is no room for a replacement: one goes before it, unless others have gone so and the room they left was of no use.
local function go_first(offset, name, p)
    local idle_enough = state.ready_of(p) > reserve_of(name, p) - AT_ONCE
    if p.owed >= AT_ONCE or not idle_enough or coming(p) > 0 or p.ending > 0 or p.failures > 0 then return end
    local function leaves_room(id, c)
        local h = host_table.all()[state.details(id, c)]
        return h ~= nil and is_up(h) and host_table.can_make(h, name)
    end
    if rollout.retire(offset, name, p, leaves_room) then
        p.owed = p.owed + 1
        state.touch_pool(name)
    end
end

-- Begins the creates that replace outdated containers, after those that requests and pool.min_idle need.
function rollout.replace(offset, name, p)
    if p.outdated_idle + p.owed == 0 then return end
    p.owed = p.draining and 0 or math.max(0, math.min(p.owed, size_of(name, p) - p.idle))
    if p.draining or not settings.pool_enabled or p.waiting > p.creating or p.retry_at > now then return end
    local short = math.max(0, reserve_of(name, p) - state.ready_of(p))
    local wanted = math.max(short, p.owed) + math.min(AT_ONCE, p.outdated_idle)
    while coming(p) < wanted do
        if creates >= CREATES or work >= WORK + STEP then return go_on(offset, name) end
        if count_hungry() > 0 or not can_make(name) then return set_thin(name, p, true) end
        if total(p) >= max_of(name) then return go_first(offset, name, p) end
        if not may_refill(name, p) then return end
        if not create(offset, name) then
            set_thin(name, p, true)
            return go_first(offset, name, p)
        end
    end
end

-- Notes that a container is outdated.
function rollout.mark(id, c)
    if c[STATE] == 'ending' or not state.mark_outdated(id, c) then return end
    work = work + 1
    restore_later(c[POOL])
end

-- A step of `rollout`: marks the pool's containers that were made before the number `before`, STEP at most. host, after: where the step before
-- stopped; '': this is the first one.
function rollout.mark_all(offset, name, before, host, after)
    local names, looked = {}, 0
    for each in pairs(host_table.all()) do if each >= host then names[#names + 1] = each end end
    table.sort(names)
    for _, each in ipairs(names) do
        local from = each == host and '(' .. after or '[wp-' .. name .. '-'
        local ids = redis.call('ZRANGEBYLEX', pool.root .. ':hc:' .. each, from, '(wp-' .. name .. '-:', 'LIMIT', 0, STEP - looked)
        state.load_containers(ids)
        for _, id in ipairs(ids) do
            local c = state.known_container(id)
            if c and c[POOL] == name and c[STATE] ~= 'gone' and tonumber(id:match('%d+$') or 0) <= before then rollout.mark(id, c) end
        end
        looked = looked + #ids
        if looked >= STEP then return go_on(offset, name, string.format('rollout %s %s %s', state.number_text(before), each, ids[#ids])) end
    end
end
end
