-- The public functions about hosts: which there are, and the containers of each. Reads only.
--
-- Uses state.lua (rows of containers and requests) and host_table.lua.
local host_stats = {}

do -- local names of this file: all files of a library are one chunk, which may have 200 in all

local PAGE = 200 -- containers in one answer

-- How long ago the host's last heartbeat was (us). The time of heartbeats stands still while nobody calls: that time counts here, too.
local function silence(slot, h)
    local kept = redis.call('HMGET', slot .. ':meta', 'time', 'beat')
    local unsaid = math.max(0, frame.wall - (tonumber(kept[1]) or frame.wall))
    return math.max(0, (tonumber(kept[2]) or h.beat) - h.beat) + unsaid
end

-- What the host is, in a word. awaited: only leases are known, from a recovery, until it comes back.
local function word_of(h, silent)
    if h.runtime == '' then return 'awaited' end
    return h.state ~= 'down' and silent and 'silent' or h.state
end

local function host_of(slot, name, h)
    local ago = silence(slot, h)
    local worker = host_table.worker_of(name)
    local alive = worker ~= nil or (ago <= h.ttl_us and host_table.is_alive(name, h))
    return {state = word_of(h, ago > h.ttl_us), alive = alive, worker = worker, runtime = h.runtime, capacity = h.capacity, used = h.used,
        ending = h.ending, memory_mb = h.memory_mb, memory_used_mb = h.memory_used, heartbeat_ms = math.floor(ago / 1000),
        ttl_ms = math.floor(h.ttl_us / 1000)}
end

-- An empty table is an object here, never an array.
local function object(of) return next(of) and cjson.encode(of) or '{}' end

function host_stats.all(keys)
    local refused, now, map = frame.look(keys[1])
    if refused then return refused end
    state.begin(keys[1], now, map or {})
    local hosts, gone = {}, {}
    for name, h in pairs(host_table.all()) do hosts[name] = host_of(keys[1], name, h) end
    for name, at in pairs(host_table.former()) do gone[name] = {gone_ms = math.floor((now - at) / 1000)} end
    return '{"hosts":' .. object(hosts) .. ',"gone":' .. object(gone) .. '}'
end

-- What the container is, in a word, and the request that has it.
local function is_of(c)
    local is = c[state.STATE]
    if is == 'idle' and state.is_paused(c) then return 'paused', nil end
    if is ~= 'leased' then return is, nil end
    local request = c[state.REQUEST]
    local r = state.request(request)
    return r and r[state.STATE] == 'b' and 'binding' or is, request
end

-- args: host, the last container of the page before (none: the first page).
function host_stats.containers(keys, args)
    local refused, now, map = frame.look(keys[1])
    if refused then return refused end
    state.begin(keys[1], now, map or {})
    local after = (args[2] or '') == '' and '-' or '(' .. args[2]
    local ids = redis.call('ZRANGEBYLEX', keys[1] .. ':hc:' .. (args[1] or ''), after, '+', 'LIMIT', 0, PAGE)
    state.load_containers_and_holders(ids)
    local rows = {}
    for _, id in ipairs(ids) do
        local c = state.known_container(id)
        if c then
            local is, request = is_of(c)
            rows[#rows + 1] = cjson.encode({container_id = id, philosophy = c[state.POOL], state = is, request_id = request})
        end
    end
    local more = #ids == PAGE and ',"next":' .. cjson.encode(ids[#ids]) or ''
    return '{"containers":[' .. table.concat(rows, ',') .. ']' .. more .. '}'
end
end
