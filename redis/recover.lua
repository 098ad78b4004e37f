-- Recovery after Redis has lost its data (docs/reliability.md): takes what a worker has found in Kafka, leases that still hold, requests that
-- wait, and requests that ended lately. The containers of the leases are leased again; hosts destroy their other containers.
--
-- Takes from leases.lua: begin(), the fields of requests and containers, start_waiting(); from capacity.lua: set_starved(). Uses
-- philosophies.lua (pools), host_table.lua (placeholders of hosts that are not back yet), answers.lua and agents.lua.

-- An unknown tenant is the empty string, which no request has: such a container is destroyed after its lease (release_one of pool.lua).
local PLACEHOLDER_TTL = 60 * SECOND -- a host that is not back by then is down, and its containers count as gone

-- request_id agent philosophy container_id host address cpu memory image key warm startup_us wait_us epoch expires_ms prediction tier tenant
local function recover_lease(row)
    local id, agent, name, cid, host, address, cpu, memory, image, key, warm, startup, wait, epoch, expires, prediction, tier, tenant = unpack(row, 2)
    if state.request(id) or state.container(cid) then return 0 end
    local p = philosophies.pool(name)
    if not p then return 0 end
    if not host_table.all()[host] then host_table.placeholder(host, frame.beat, PLACEHOLDER_TTL) end
    local c = state.add_container(cid, name, host, cpu, memory)
    state.set_address(cid, c, address, image)
    state.move(cid, c, 'leased')
    c[REQUEST] = id
    local r = {'l', name, agent, tenant, '', cid, '', false, false}
    local given = cmsgpack.unpack(prediction)
    r[KEYS] = pack(key, '')
    r[ROW] = answers.lease_row(r, cid, {warm = warm, bound = true, epoch = epoch, expires = expires, startup = startup, wait = wait, tier = tier},
        pack({given[2], given[3], given[4], given[5], given[6]})) -- bound: a claim may have been given, so the container is reset later
    r[LEASE_MS] = expires > 0 and math.max(1, expires - wall_ms) or 0 -- an expired one is reported as lost
    p.active = now
    if agent ~= '' then agents.hold(agent, id) end
    state.put_request(id, r)
    return 1
end

-- event: a row of acquire with the ms since it was sent in the place of the record's age.
local function recover_waiting(event)
    local id, name, sent_ms = event[5], event[7], event[3]
    if state.request(id) then return end
    local p = philosophies.pool(name)
    if not p then return end
    local r = {false, name, event[6], event[8], event[4], '', '', false, false, now, 0, 0, event[10] or settings.lease_ms,
        event[11] or false, event[12] or false, event[14] ~= '' and event[14] or false, 0}
    if r[CLAIM] then
        state.later({'HSET', ':claims', id, r[CLAIM]})
        r[CLAIM] = true
    end
    r[DEADLINE] = now - sent_ms * 1000 + (event[9] or settings.timeout_ms) * 1000
    start_waiting(id, r)
    set_starved(name, p, true) -- no host is up yet: the first one that comes makes its container
end

-- recover: args = 'end' in the last call, else ''; the time (us) since which container-assignment is complete (0: from the beginning); rows: l and
-- the fields of a lease, w and an event for recover_waiting, or e and the id of an ended request. Returns the number of leases added.
function pool.recover(keys, args)
    begin(keys[1], frame.now, frame.settings)
    local leases = 0
    for _, row in ipairs(cmsgpack.unpack(args[3])) do
        if row[1] == 'l' then
            leases = leases + recover_lease(row)
        elseif row[1] == 'w' then
            recover_waiting(row[2])
        elseif not state.request(row[2]) then
            state.put_request(row[2], state.ended_request('e', false))
        end
    end
    state.flush()
    agents.flush()
    if args[1] == 'end' then redis.call('HSET', keys[1] .. ':meta', 'recovered', state.number_text(now), 'covered', args[2]) end
    return leases
end

-- recovered: 1 when a recovery was completed since Redis lost its data, else 0.
function pool.recovered(keys) return redis.call('HEXISTS', keys[1] .. ':meta', 'recovered') end
