-- What a worker found in Kafka after Redis had forgotten everything (docs/reliability.md): leases that are still on, requests that
-- wait, and those that ended lately. Their containers are leased again; what else hosts have is nobody's.
--
-- Takes from leases.lua: begin(), the fields of requests and containers, packed_answer(), start_waiting(); from capacity.lua: set_hungry();
-- from philosophies.lua: the pool of a philosophy; from host_table.lua: hosts that have not come back yet.

-- A tenant that is not known is empty: no request has it, so nobody gets such a container after its lease (pool.release destroys it).
local PLACEHOLDER_TTL = 60 * SECOND -- in which a host has to come back, or its containers count as dead

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
        pack({given[2], given[3], given[4], given[5], given[6]})) -- perhaps it was given a claim: it is reset
    r[LEASE_MS] = expires > 0 and math.max(1, expires - wall_ms) or 0 -- one that has expired is said to be lost
    p.active = now
    if agent ~= '' then agents.hold(agent, id) end
    state.put_request(id, r)
    return 1
end

-- What acquire takes, with the ms since it was sent in the place of its record's time.
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
    set_hungry(name, p, true) -- no host is there yet: the first one that comes makes its container
end

-- args = 'end' with the last call, us from which on all containers that may be leased were seen (0: always), rows: l and a lease,
-- w and an event of acquire whose timestamp is its age in ms, or e and the id of a request that ended. The number of leases that were put.
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

-- 1 when that was done to the end since Redis forgot (or never had to be: -1 is for one that was never asked).
function pool.recovered(keys) return redis.call('HEXISTS', keys[1] .. ':meta', 'recovered') end
