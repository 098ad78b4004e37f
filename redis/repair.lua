-- Repairs rows that contradict others, because a row is missing (Redis lost part of its log, or somebody deleted a key by hand). The code that
-- finds such a row repairs it and goes on, so that it does not fail there for ever. Each repair is counted (:meta field `repaired`, shown by
-- wp_pool_stats) and written to Redis' log.
--
-- Uses state.lua, host_table.lua and lists.lua.
local repair = {}

do -- local names of this file: all files of a library are one chunk, which may have 200 in all

local RECOUNTED = 1000 -- a host with more containers is not counted anew

-- The pool of a request or container that exists; made anew when its row is missing.
function repair.pool(name)
    local p = state.pool(name)
    if p then return p end
    p = state.new_pool(name)
    p.waiting = redis.call('ZCARD', state.key(':wait:' .. name))
    state.repaired('the pool ' .. name .. ' had no row')
    return p
end

-- Counts a host's use anew from its containers that have rows, without those that this call has ended.
local function recount(name, h)
    local ids = redis.call('ZRANGE', state.key(':hc:' .. name), 0, RECOUNTED)
    if #ids > RECOUNTED then return end
    state.load_containers(ids)
    h.used, h.memory_used, h.ending = 0, 0, 0
    for _, id in ipairs(ids) do
        local c = state.known_container(id)
        if not c then
            host_table.member(name, id, false)
        elseif c[state.STATE] ~= 'gone' then
            local _, _, _, memory = state.details(id, c)
            h.used, h.memory_used = h.used + 1, h.memory_used + math.ceil(memory)
            if c[state.STATE] == 'ending' then h.ending = h.ending + 1 end
        end
    end
    host_table.put(name, h)
end

-- A request's container has no rows: takes it out of the counters, and makes a stand-in for the record about the lease's end.
function repair.lost_container(id, name, request)
    local p = repair.pool(name)
    p.leased = math.max(0, p.leased - 1)
    state.lost_outdated(p)
    state.touch_pool(name)
    for host, h in pairs(host_table.all()) do
        if redis.call('ZSCORE', state.key(':hc:' .. host), id) then recount(host, h) end
    end
    state.stand_in(id, name)
    state.repaired('the request ' .. request .. ' had the container ' .. id .. ', which has no row')
end

-- A waiting list has a request that does not wait. list: the pool's, or that of one of its reuse keys.
function repair.not_waiting(list, id, request)
    if request and request[state.TOUCHED] then return end -- it waited until this call, whose flush removes it
    lists.take(list, id)
    state.repaired('the list ' .. list.key .. ' had the request ' .. id .. ', which does not wait')
end

-- The pool's whole waiting list was read, and `left` requests wait: corrects the pool's count.
function repair.waiting(p, left)
    if p.waiting == left then return end
    state.repaired('the pool ' .. p.name .. ' counted ' .. p.waiting .. ' that wait, there are ' .. left)
    p.waiting = left
    state.touch_pool(p.name)
end
end
