-- Rows that contradict others: one is gone that another counts on (Redis lost part of its log, or somebody deleted a key by hand). Whoever
-- comes upon such a row puts it right and goes on, so that no sweep stops at it. Each repair is counted (:meta field `repaired`, which
-- wp_pool_stats says) and written to Redis' log.
--
-- Uses state.lua, host_table.lua and lists.lua.
local repair = {}

do -- local names of this file: all files of a library are one chunk, which may have 200 in all

local RECOUNTED = 1000 -- containers of a host that are counted anew in one call

-- The pool of a request or container that is there; made anew when its row is gone.
function repair.pool(name)
    local p = state.pool(name)
    if p then return p end
    p = state.new_pool(name)
    p.waiting = redis.call('ZCARD', state.key(':wait:' .. name))
    state.repaired('the pool ' .. name .. ' had no row')
    return p
end

-- What the host uses, from its containers that have rows. What this call has ended is no longer among them.
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

-- The container of that request has no rows: it is no longer counted, and something stands in for it in what is said of its end.
function repair.lost_container(id, name, request)
    local p = repair.pool(name)
    p.leased = math.max(0, p.leased - 1)
    state.touch_pool(name)
    for host, h in pairs(host_table.all()) do
        if redis.call('ZSCORE', state.key(':hc:' .. host), id) then recount(host, h) end
    end
    state.stand_in(id, name)
    state.repaired('the request ' .. request .. ' had the container ' .. id .. ', which has no row')
end

-- A list of those that wait has one that does not. list: of the pool (counted), or of one of its reuse keys.
function repair.not_waiting(list, id, request)
    if request and request[state.TOUCHED] then return end -- it waited until this call
    lists.take(list, id)
    state.repaired('the list ' .. list.key .. ' had the request ' .. id .. ', which does not wait')
end

-- Nobody is left on the pool's waiting list (all of it was read), but for so many.
function repair.waiting(p, left)
    if p.waiting == left then return end
    state.repaired('the pool ' .. p.name .. ' counted ' .. p.waiting .. ' that wait, there are ' .. left)
    p.waiting = left
    state.touch_pool(p.name)
end
end
