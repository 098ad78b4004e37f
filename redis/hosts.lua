-- The functions of the {pool} slot that belong to no topic: heartbeats of hosts and what is wanted of their containers, the names that only one
-- live worker may have, what is due, and the sweep.
--
--   :names   hash  "worker.id NAME" or "host.name NAME" -> its owner (a process), heartbeat, how long that lasts (us), where the owner runs
--
-- Takes from leases.lua: begin(), the fields of requests and containers, binding_of(), set_aside(), disbelieve_bound(); from recover.lua:
-- pool.recovered(). Uses the tables of state.lua, host_table.lua and agents.lua.

-- Notes for the calls that follow whether the engine of some host is away.
local function note_away()
    local away = false
    for _, h in pairs(host_table.all()) do away = away or h.state == 'away' end
    if away ~= frame.away then state.later({'HSET', ':meta', 'away', away and 1 or 0}) end
end

-- An image has come: pools whose creates have failed, of which some failed for want of it, are tried again as soon as a sweep sees it.
local function try_again()
    local due = redis.call('ZRANGEBYSCORE', pool.root .. ':deadline', state.number_text(frame.now), state.number_text(frame.now + BACKOFF_MOST),
        'LIMIT', 0, 2 * STEP)
    for _, member in ipairs(due) do
        if member:sub(1, 1) == 'b' then state.deadline(member, frame.now) end
    end
end

-- The containers of a host go with its worker: nobody gets the idle ones any more. Looks at 2 * STEP of them, and returns the last one when there
-- may be more, else nil.
local function set_all_aside(name, after)
    local ids = redis.call('ZRANGEBYLEX', pool.root .. ':hc:' .. name, after == '' and '-' or '(' .. after, '+', 'LIMIT', 0, 2 * STEP)
    state.load_containers(ids)
    for _, id in ipairs(ids) do
        local c = state.known_container(id)
        if c and c[STATE] == 'idle' then
            repair.pool(c[POOL])
            set_aside(id, c)
        end
    end
    return #ids == 2 * STEP and ids[#ids] or nil
end

-- ended: args = containers that have ended, as their host sees it. Nobody gets them any more: idle ones are set aside, those being bound are not handed
-- out, leased ones do not become idle again. Their host's events (died, with the reason) end them; these wait in Kafka for as long as their partition has no worker. Reply: how many
-- were set aside.
function pool.ended(keys, args)
    begin(keys[1], frame.now, frame.settings)
    state.load_containers_and_holders(args)
    local aside = 0
    for _, id in ipairs(args) do
        local c = state.known_container(id)
        if c and (c[STATE] == 'idle' or c[STATE] == 'leased') then
            repair.pool(c[POOL])
            if c[STATE] == 'idle' then
                set_aside(id, c)
                aside = aside + 1
            else
                local r = state.request(c[REQUEST])
                if r and r[STATE] == 'b' then disbelieve_bound(c[REQUEST], r) end
                rollout.mark(id, c)
            end
        end
    end
    state.flush()
    return aside
end

-- True when Redis may have lost what it knew of the host's containers. A container's name ends in the number that was drawn for it, which is a
-- time in us or larger: one from before :meta was made, or beyond the last number, is not from these data. A host that was down and dropped comes
-- back with containers of these data, and nothing has to be recovered.
local function has_lost(f)
    local oldest, newest = f.oldest or 0, f.newest or 0
    return oldest > 0 and (oldest < frame.born or newest > tonumber(frame.number))
end

-- beat: args = host, map. Reply: 1 when the heartbeat brings something new (a host, room, an image); 2 when Redis has lost what it knew of the
-- host's containers: a recovery must find out which of them are leased (recover.lua); else 0. With the state `stopping` the reply may be the name
-- of a container: `after` in the next heartbeat, which goes on with those that follow.
function pool.beat(keys, args)
    begin(keys[1], frame.now, frame.settings)
    local f = cmsgpack.unpack(args[2])
    local h = host_table.all()[args[1]]
    if has_lost(f) and not host_table.is_registered(args[1]) and pool.recovered(keys) == 0 then return 2 end
    local fresh = not h or h.state ~= f.state or frame.beat - h.beat > h.ttl_us or f.capacity > h.capacity or f.memory_mb ~= h.memory_mb
    h = h or {name = args[1], used = 0, memory_used = 0, ending = 0, failures = 0, retry_at = 0, image = true, own = 0}
    h.claims = f.claims or false
    local came = host_table.set_images(h, f.image ~= false, f.images or {}, f.lacks or {})
    if came then try_again() end
    local rest
    if f.state == 'stopping' then
        rest = set_all_aside(args[1], f.after or '')
        f.state, h.stopped_at = 'away', math.max(frame.now, tonumber(frame.number))
    end
    h.capacity, h.memory_mb, h.beat, h.state, h.runtime, h.ttl_us = f.capacity, f.memory_mb, frame.beat, f.state, f.runtime, f.ttl_ms * 1000
    host_table.put(args[1], h)
    note_away()
    state.flush()
    return rest or ((fresh or came) and 1 or 0)
end

local function over(beat, lasts) return frame.beat - beat > lasts end

-- Removes names whose owners have not renewed them in time.
local function remove_old_names(key)
    local rows, old = redis.call('HGETALL', key), {}
    for i = 1, #rows, 2 do
        local _, beat, lasts = unpack(cmsgpack.unpack(rows[i + 1]))
        if over(beat, lasts) then old[#old + 1] = rows[i] end
    end
    for _, name in ipairs(old) do redis.call('HDEL', key, name) end
end

-- hold: args = owner, how long its heartbeat lasts (us; 0: it gives its names back), where it runs, names. Reply: {} when it holds all of them now;
-- else nothing is changed and the reply is {a name that another owner holds, where that one runs}.
function pool.hold(keys, args)
    local key, owner, lasts, names = keys[1] .. ':names', args[1], tonumber(args[2]), {unpack(args, 4)}
    local rows, row, fields, fresh = redis.call('HMGET', key, unpack(names)), cmsgpack.pack({owner, frame.beat, lasts, args[3]}), {}, false
    for i, name in ipairs(names) do
        local holder, beat, holds_for, where = unpack(rows[i] and cmsgpack.unpack(rows[i]) or {})
        if holder and holder ~= owner and not over(beat, holds_for) then return {name, where} end
        fresh = fresh or holder ~= owner
        fields[2 * i - 1], fields[2 * i] = name, row
    end
    if lasts == 0 then
        redis.call('HDEL', key, unpack(names))
        return {}
    end
    redis.call('HSET', key, unpack(fields))
    if fresh then remove_old_names(key) end
    return {}
end

-- What the host is to do with the container: the wanted state, the number of a binding or reset, `spare` of one that is being made while no request
-- of its pool waits (else `outdated` when Redis knows that it is), and the claim to be bound.
local function wanted(slot, id, c)
    local is, known = c[STATE], state.is_outdated(id, c) and 'outdated' or ''
    if (is == 'idle' or is == 'away') and state.is_paused(c) then return 'paused', known, '' end
    if is == 'away' then return 'idle', known, '' end
    if is == 'creating' and state.known_pool(c[POOL]).waiting == 0 then return is, 'spare', '' end
    if is == 'resetting' then return is, state.number_text(c[CREATED]), '' end
    local r = is == 'leased' and state.request(c[REQUEST])
    if not r or r[STATE] ~= 'b' then return is, known, '' end
    return 'binding', binding_of(r), r[CLAIM] and redis.call('HGET', slot .. ':claims', c[REQUEST]) or ''
end

local function load_pools_of_containers(ids)
    local names = {}
    for _, id in ipairs(ids) do
        local c = state.known_container(id)
        if c then names[#names + 1] = c[POOL] end
    end
    state.load_pools(names)
end

local function describe(slot, ids)
    local found = {}
    local covered = tonumber(redis.call('HGET', slot .. ':meta', 'covered') or 0)
    state.load_containers_and_holders(ids)
    load_pools_of_containers(ids)
    for i, id in ipairs(ids) do
        local c = state.known_container(id)
        if c then
            local _, _, cpu, memory = state.details(id, c)
            found[i] = {id, '', c[POOL], cpu, memory, '', ''}
            found[i][2], found[i][6], found[i][7] = wanted(slot, id, c)
        else -- not known; made before container-assignment begins, it may be leased: the host leaves it alone
            local made = tonumber(id:match('%d+$')) or covered
            found[i] = {id, made < covered and 'unknown' or '', '', 0, 0, '', ''}
        end
    end
    return cmsgpack.pack(found)
end

-- The error reply for a host that is not registered yet: containers that Redis does not know may be leased all the same. (An empty host is a
-- tool that only reads.)
local function not_registered(host)
    if host == '' or host_table.is_registered(host) then return nil end
    return redis.error_reply('NOTREGISTERED Redis does not know the host ' .. host .. ' yet')
end

function pool.desired(keys, args)
    state.begin(keys[1], 0, {})
    local refused = not_registered(args[1])
    if refused then return refused end
    local ids = {}
    for i = 2, #args do ids[i - 1] = args[i] end
    return describe(keys[1], ids)
end

local OWNED = 200 -- containers in one answer

-- owned: args = host, and the last container of the page before (none: the first page). An empty page is the end.
function pool.owned(keys, args)
    state.begin(keys[1], 0, {})
    local refused = not_registered(args[1])
    if refused then return refused end
    local after = (args[2] or '') == '' and '-' or '(' .. args[2]
    return describe(keys[1], redis.call('ZRANGEBYLEX', keys[1] .. ':hc:' .. args[1], after, '+', 'LIMIT', 0, OWNED))
end

-- left: args = a host that another one replaces, and containers at its engine. Reply: those that nobody needs any more, none while the host is known
-- or a worker holds its name. What may have been leased before these data began, or before a recovery's records, is needed.
function pool.left(keys, args)
    state.begin(keys[1], 0, {})
    local name, ids, free = args[1], {unpack(args, 2)}, {}
    if host_table.all()[name] or host_table.worker_of(name) then return free end
    local least, most = frame.born, tonumber(frame.number)
    if pool.recovered(keys) == 1 then
        least, most = tonumber(redis.call('HGET', keys[1] .. ':meta', 'covered') or 0), math.huge
    end
    state.load_containers(ids)
    for _, id in ipairs(ids) do
        local made = tonumber(id:match('%d+$') or 0)
        if not state.known_container(id) and made >= least and made <= most then free[#free + 1] = id end
    end
    return free
end

-- due: reply {us until the next deadline (0: due, -1: none), hosts without a heartbeat in time...}
function pool.due(keys)
    local time = frame.now
    state.begin(keys[1], time, {})
    local reply = {-1}
    for _, name in ipairs({'expiry', 'timeout', 'deadline'}) do
        local first = redis.call('ZRANGE', keys[1] .. ':' .. name, 0, 0, 'WITHSCORES')[2]
        local left = first and first ~= 'inf' and math.max(0, tonumber(first) - time)
        if left and (reply[1] < 0 or left < reply[1]) then reply[1] = left end
    end
    for name, h in pairs(host_table.all()) do
        if frame.beat - h.beat > h.ttl_us then reply[#reply + 1] = name end
    end
    return reply
end

-- sweep: removes a bounded number of old agents, ended requests and unused partitions. Returns how many.
function pool.sweep(keys)
    local most = 1000
    begin(keys[1], frame.now, frame.settings)
    return agents.sweep(most) + state.forget(most) + delivery.sweep(keys[1])
end
