-- The public functions about one pool: its containers and its waiting requests, a page each. Reads only.
--
-- Uses state.lua (rows of pools, requests, containers), rows.lua and host_table.lua.
local pool_contents = {}

do -- local names of this file: all files of a library are one chunk, which may have 200 in all

local PAGE, PAGE_MOST = 200, 500 -- containers, or requests, in one answer
local EMPTY = '[]'

local function count_of(text) return math.max(1, math.min(PAGE_MOST, tonumber(text) or PAGE)) end

local function ms_since(now, us) return math.max(0, math.floor((now - us) / 1000)) end

local function array(of) return #of > 0 and '[' .. table.concat(of, ',') .. ']' or EMPTY end

-- When a container was made (us): its name ends in the number drawn then, which is a time (capacity.lua).
local function made_at(id) return tonumber(id:match('%-(%d+)$') or 0) end

-- Since when the container is in its state (us); nil: not known.
local function since(c, r)
    local is = c[state.STATE]
    if is == 'idle' then return c[state.SINCE] end
    if is == 'creating' or is == 'resetting' then return c[state.CREATED] end
    if is == 'leased' and r and r[state.STATE] == 'l' then return rows.lease_answer(r[state.ROW]).epoch end
end

local function word_of(c, r)
    if c[state.STATE] == 'idle' and state.is_paused(c) then return 'paused' end
    if r and r[state.STATE] == 'b' then return 'binding' end
    return c[state.STATE]
end

local function container_json(id, c, now)
    local r = c[state.STATE] == 'leased' and state.request(c[state.REQUEST]) or nil
    local at, made = since(c, r), made_at(id)
    local expires = r and r[state.STATE] == 'l' and rows.lease_answer(r[state.ROW]).expires or nil
    return cjson.encode({container_id = id, state = word_of(c, r), host = (state.details(id, c)), age_ms = made and ms_since(now, made) or nil,
        state_ms = at and ms_since(now, at) or nil, outdated = state.is_outdated(id, c) or nil, request_id = r and c[state.REQUEST] or nil,
        agent_id = r and r[state.AGENT] or nil, tenant = r and r[state.TENANT] or nil, lease_expires_at = expires})
end

local function host_names()
    local names = {}
    for name in pairs(host_table.all()) do names[#names + 1] = name end
    table.sort(names)
    return names
end

-- Up to `most` containers of the pool on that host, by name, behind `after` ('': from the first). Names begin with wp-<pool>-<digit>; those of a pool
-- whose name goes on like that are among them.
local function names_on(slot, host, name, after, most)
    local low = after ~= '' and '(' .. after or '[wp-' .. name .. '-0'
    return redis.call('ZRANGEBYLEX', slot .. ':hc:' .. host, low, '(wp-' .. name .. '-:', 'LIMIT', 0, most)
end

-- args: philosophy; where the page begins (`next` of the page before; none: at the beginning), "<host> <container>"; about how many containers.
function pool_contents.containers(keys, args)
    local refused, now, map = frame.look(keys[1])
    if refused then return refused end
    state.begin(keys[1], now, map or {})
    local name, most, found, next_page = args[1] or '', count_of(args[3]), {}, nil
    local from, after = (args[2] or ''):match('^(%S+) (.+)$')
    state.load_pools({name})
    local looked = 0
    for _, host in ipairs(host_names()) do
        if looked >= most then break end
        if not from or host >= from then
            local ids = names_on(keys[1], host, name, host == from and after or '', most - looked)
            looked = looked + #ids
            state.load_containers_and_holders(ids)
            for _, id in ipairs(ids) do
                local c = state.known_container(id)
                if c and c[state.POOL] == name then found[#found + 1] = container_json(id, c, now) end
            end
            if looked >= most then next_page = host .. ' ' .. ids[#ids] end
        end
    end
    return '{"containers":' .. array(found) .. (next_page and ',"next":' .. cjson.encode(next_page) or '') .. '}'
end

local function request_json(id, r, now)
    return cjson.encode({request_id = id, agent_id = r[state.AGENT], tenant = r[state.TENANT], waited_ms = ms_since(now, r[state.ARRIVED]),
        timeout_ms = math.floor((r[state.DEADLINE] - now) / 1000), cpu_percent = r[state.CPU] or nil, memory_mb = r[state.MEMORY] or nil})
end

-- args: philosophy, start, count: its waiting requests in the order in which they came, from number `start` on.
function pool_contents.waiting(keys, args)
    local refused, now, map = frame.look(keys[1])
    if refused then return refused end
    state.begin(keys[1], now, map or {})
    local start, most = math.max(0, tonumber(args[2]) or 0), count_of(args[3])
    local ids = redis.call('ZRANGE', keys[1] .. ':wait:' .. (args[1] or ''), state.number_text(start), state.number_text(start + most - 1))
    state.load_requests(ids)
    local found = {}
    for _, id in ipairs(ids) do
        local r = state.request(id)
        if r and r[state.STATE] == 'w' then found[#found + 1] = request_json(id, r, now) end
    end
    return '{"waiting":' .. array(found) .. '}'
end
end
