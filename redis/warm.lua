-- The fast path: plain acquires that get an idle container at once, and plain releases whose container becomes idle again. They come as columns,
-- an array for each field, and are handled in runs, without a table for each event. Any other event ends the run and is handled by pool.lua. A
-- run changes the arrays and counters of state.lua, so later events see its changes.
--
-- Uses rows.lua, lists.lua, idle.lua, state.lua, tenants.lua, predictor.lua, agents.lua and answers.lua. Writes nothing itself: their flushes do.
local warm = {}

do -- local names of this file: all files of a library are one chunk, which may have 200 in all

local ANSWER_BYTES = 100 -- about the size of a warm start in the stored results
local FRESH = '!' -- the reuse key of a container that nobody has used
local struct_pack, struct_unpack, byte -- the global tables do not exist yet while the library is loaded
local now, settings, requests, containers
local groups    -- "<philosophy> <tenant>" -> what the call's events of these have in common
local ended_row -- the row of a request that ends now
local answered  -- batches whose columns are added to their records at the end
local idle_count -- containers that became idle
local refill    -- to be called with the name of a pool of which less may be ready now

function warm.begin(slot, time, map, known_requests, known_containers, refill_later)
    now, settings, requests, containers, groups, answered, refill, idle_count = time, map, known_requests, known_containers, {}, {}, refill_later, 0
    struct_pack, struct_unpack, byte = struct.pack, struct.unpack, string.byte
    ended_row = state.ended_row()
end

-- Columns of a batch ------------------------------------------------------------------------------------------------------------

local function rest_of(column, from)
    local rest = {}
    for i = from, #column do rest[i - from + 1] = column[i] end
    return rest
end

-- Makes a batch with named columns, without the first `done` events. row_of: the rows of the events that came as rows, by their number.
local function batch(names, values, done)
    local b = {row_of = {}}
    for i, name in ipairs(names) do b[name] = values[i] end
    local n = 0
    for i = 1, #b.offsets do
        if b.groups[i] == 0 then
            n = n + 1
            if i > done then b.row_of[i - done] = b.rows[n] end
        end
    end
    if done > 0 then
        for _, name in ipairs(names) do
            if name ~= 'dictionary' and name ~= 'rows' then b[name] = rest_of(b[name], done + 1) end
        end
    end
    return b
end

local ACQUIRE = {'offsets', 'ids', 'groups', 'ages', 'record_ages', 'agents', 'rests', 'dictionary', 'rows'}
local RELEASE = {'offsets', 'ids', 'groups', 'containers', 'dictionary', 'rows'}

function warm.acquire_batch(values, done) return batch(ACQUIRE, values, done) end

function warm.release_batch(values, done) return batch(RELEASE, values, done) end

-- The i-th event in the form that pool.lua handles.
function warm.acquire_event(b, i)
    local whose = b.dictionary[b.groups[i]]
    if not whose then return b.row_of[i] end
    return {b.offsets[i], b.ages[i], b.record_ages[i], rows.keys_of(b.rests[i], b.agents[i]), b.ids[i], b.agents[i], whose[1], whose[2]}
end

function warm.release_event(b, i)
    local name = b.dictionary[b.groups[i]]
    if not name then return b.row_of[i] end
    return {b.offsets[i], b.ids[i], name, b.containers[i] or '', true}
end

-- Acquire -----------------------------------------------------------------------------------------------------------------------

-- When the lease of a plain acquire ends, in ms; 0: never.
local function expires_ms() return settings.lease_ms > 0 and math.floor(frame.wall / 1000) + settings.lease_ms or 0 end

local function acquire_group(name, tenant)
    local whose = name .. ' ' .. tenant
    local g = groups[whose]
    if g then return g end
    local p = state.pool(name)
    local key = state.reuse_key(name, '', tenant)
    g = {name = name, tenant = tenant, p = p, n = 0, asked = 0, fresh_taken = 0, key = key, is_warm = false}
    groups[whose] = g
    if not p or p.draining or p.outdated_idle > 0 or key:sub(1, 1) == '@' or not settings.pool_enabled or not settings.warm_start then return g end
    g.is_warm, g.own = true, idle.of(p, name, key)
    g.fresh = key ~= FRESH and idle.of(p, name, FRESH) or false
    g.head, g.tail = rows.lease_begin(name, tenant, true, false), rows.lease_tail(expires_ms(), 0, 'hot', nil, predictor.given(name))
    return g
end

-- Reads what a batch needs: which of its requests are known, and idle containers for each group. (Pools and predictions are loaded.)
function warm.prepare_acquires(b)
    local counts = {}
    for i = 1, #b.groups do
        local k = b.groups[i]
        counts[k] = (counts[k] or 0) + 1
    end
    b.known, b.group_of = state.request_rows(b.ids), {}
    for k, whose in ipairs(b.dictionary) do
        local g = acquire_group(whose[1], whose[2])
        b.group_of[k], g.asked = g, g.asked + (counts[k] or 0)
        if g.is_warm and counts[k] then
            idle.expect(g.own, math.min(counts[k], g.p.idle))
            if g.fresh then idle.expect(g.fresh, math.min(counts[k], g.p.idle)) end
        end
    end
end

-- To be called when all batches are prepared: a tenant that their acquires could bring to its limit gets none here, but one by one (pool.lua).
function warm.keep_limits(batches)
    if not tenants.have_limit('leases') then return end
    local asked = {}
    for _, g in pairs(groups) do asked[g.tenant] = (asked[g.tenant] or 0) + g.asked end
    for _, b in ipairs(batches) do
        for _, e in pairs(b.row_of) do asked[e[8]] = (asked[e[8]] or 0) + 1 end
    end
    for _, g in pairs(groups) do
        local most = tenants.limit('leases', g.tenant)
        if most > 0 and tenants.of('leases', g.tenant) + tenants.of('waiting', g.tenant) + asked[g.tenant] > most then g.is_warm = false end
    end
end

-- Changes the counters of the pools from which the run took containers.
local function settle_acquires(touched)
    for _, g in ipairs(touched) do
        local p, n = g.p, g.n
        local fresh = g.key == FRESH and n or g.fresh_taken
        p.fresh, g.fresh_taken = math.max(0, p.fresh - fresh), 0
        state.used_by(p, g.key)
        p.idle, p.leased, p.warm, p.stale, p.active, g.n = p.idle - n, p.leased + n, p.warm + n, p.stale + n, now, 0
        if p.leased > p.peak then p.peak = p.leased end
        tenants.count('leases', g.tenant, n)
        state.touch_pool(g.name)
        if state.min_idle(g.name) > 0 then refill(g.name) end
    end
end

-- Handles the batch's events from the i-th on while they are plain, new and find a container. Returns the first one that is not.
function warm.acquire(b, i, records)
    local ids, group_of, ages, record_ages, agent_ids, rests, known, all = b.ids, b.groups, b.ages, b.record_ages, b.agents, b.rests, b.known, b.group_of
    local last, first = math.min(#ids, i + math.max(0, math.floor((b.room - records.bytes) / ANSWER_BYTES))), i
    local score, leases = state.expiry_score(settings.lease_ms), lists.of('expiry')
    local late = settings.timeout_ms > 0 and settings.timeout_ms or math.huge -- ms; older requests are rejected (by pool.lua)
    local take, NUMBERS, length_of, touched = idle.take, rows.LEASE_NUMBERS, {}, {}
    local req, is, held, due = state.fast_requests(), state.fast_containers(), agents.held(), leases.put
    local r, c, h, d = #req, #is, #held, leases.put_count
    local number, columns = state.first_number(), b.columns or answers.columns()
    local out, statics, n, epoch = columns.containers, columns.statics, columns.n, number
    while i <= last do
        local g, id, age, record_age = all[group_of[i]], ids[i], ages[i], record_ages[i]
        if not g or not g.is_warm or known[i] or requests[id] ~= nil or record_age >= late or (record_age < 0 and age >= 1000 * late) then break end
        local cid, static = take(g.own)
        if not cid then
            if g.fresh then cid, static = take(g.fresh) end
            if not cid then break end
            g.fresh_taken = g.fresh_taken + 1
        end
        local agent, length = agent_ids[i], length_of[#cid]
        if not length then
            length = rows.length(cid)
            length_of[#cid] = length
        end
        local row = g.head .. length .. cid .. rests[i] .. struct_pack(NUMBERS, number, age) .. g.tail
        requests[id] = row
        req[r + 1], req[r + 2], r = id, row, r + 2
        is[c + 1], is[c + 2], c = cid, id, c + 2
        due[d + 1], due[d + 2], d = score, id, d + 2
        if agent ~= '' then held[h + 1], held[h + 2], h = agent, id, h + 2 end
        n = n + 1
        out[n], statics[n] = cid, static
        if g.n == 0 then touched[#touched + 1] = g end
        g.n = g.n + 1
        number, i = number + 1, i + 1
    end
    if i == first then return i end
    leases.put_count, b.columns = d, columns
    records.bytes = records.bytes + (i - first) * ANSWER_BYTES
    answers.add_run(columns, b, first, i - first, epoch)
    state.drew(number - 1)
    settle_acquires(touched)
    if not b.records then answered[#answered + 1], b.records = b, records end
    return i
end

-- At the call's end: adds the answers of all runs, a record for each batch.
function warm.finish()
    for _, b in ipairs(answered) do
        local predictions, seen = {}, {}
        for _, g in ipairs(b.group_of) do
            if g.is_warm and not seen[g.name] then seen[g.name], predictions[#predictions + 1] = true, predictor.of(g.name) end
        end
        answers.add_columns(b.records, b.columns, expires_ms(), predictions)
    end
end

-- Release -----------------------------------------------------------------------------------------------------------------------

-- The group of requests of that philosophy and tenant. is_warm: their containers simply become idle; their hosts do nothing to them, and they
-- need no pause, count of uses or check of their age, and none is outdated.
local function release_group(whose)
    local name, tenant = whose:match('^(.-) (.*)$')
    local p = state.pool(name)
    local g = {name = name, tenant = tenant, p = p, is_warm = false}
    groups[whose] = g
    if frame.away or not p or tenant == '' or not settings.pool_enabled or not settings.warm_start or p.draining or p.waiting > 0 or p.outdated > 0 then
        return g
    end
    local policy = state.policy_of(name)
    local plain = (policy == 'same_tenant' or policy == 'always') and not state.is_prepared(name) and (settings.hots[name] or settings.hot) < 0 and
        (settings.max_uses_of[name] or settings.max_uses) == 0 and (settings.max_ages[name] or settings.max_age) == 0
    if not plain then return g end
    g.size = p.size >= 0 and p.size or settings.sizes[name] or settings.size
    g.ttl = settings.idle_ttls[name] or settings.idle_ttl
    g.list, g.is_warm, g.n = idle.of(p, name, state.reuse_key(name, '', tenant)), true, 0
    return g
end

-- Reads what a batch needs: its requests' leases, and the rows of their agents. (Pools are loaded.)
function warm.prepare_releases(b)
    local known = state.request_rows(b.ids)
    local whose, cids, agent_ids, LEASE, LEASE_HEAD, COUNTED, CLAIMED = {}, {}, {}, rows.LEASE, rows.LEASE_HEAD, rows.COUNTED, rows.COUNTED + rows.BOUND
    for i = 1, #known do
        local row, _, flags = known[i], nil, 0
        if row and byte(row) == LEASE then _, flags, whose[i], cids[i], agent_ids[i] = struct_unpack(LEASE_HEAD, row) end
        if flags < COUNTED or flags >= CLAIMED then whose[i], agent_ids[i] = false, '' end
    end
    b.known, b.whose, b.leased, b.agents, b.holds = known, whose, cids, agent_ids, agents.rows(agent_ids)
end

-- How many containers became idle in this call.
function warm.became_idle() return idle_count end

local function settle_releases(touched, watch)
    for _, g in ipairs(touched) do
        idle_count = idle_count + g.n
        tenants.count('leases', g.tenant, -g.n)
        state.touch_pool(g.name)
        if g.ttl > 0 then watch(g.name, g.p, now + g.ttl * 1000000) end
        if state.min_idle(g.name) > 0 then refill(g.name) end
        g.n = 0
    end
end

-- Handles the batch's events from the i-th on while they are plain and their containers become idle. Returns the first one that is not. watch:
-- watch_idle() of leases.lua.
function warm.release(b, i, watch)
    local ids, given, known, whose, leased, holders, holds = b.ids, b.containers, b.known, b.whose, b.leased, b.agents, b.holds
    local names, group_of, last, first = b.dictionary, b.groups, #b.offsets, i
    local req, is, ended, dropped = state.fast_requests(), state.fast_containers(), state.fast_ended(), agents.dropped()
    local leases = lists.of('expiry')
    local over = leases.gone
    local r, c, e, o, d = #req, #is, #ended, leases.gone_count, #dropped
    local number = state.first_number()
    local text, touched = rows.number(number), {}
    while i <= last do
        local id, of, cid = ids[i], whose[i], leased[i]
        if not of or requests[id] ~= nil or containers[cid] ~= nil then break end
        local g = groups[of] or release_group(of)
        local p = g.p
        if not g.is_warm or g.name ~= names[group_of[i]] or p.idle >= g.size then break end
        local asked = given[i]
        if asked and asked ~= '' and asked ~= cid then break end
        local l = g.list
        if g.n == 0 then
            touched[#touched + 1] = g
            l.row, l.prefix = rows.idle(text, l.reuse), rows.entry(text, '')
        end
        g.n = g.n + 1
        p.idle, p.leased = p.idle + 1, p.leased - 1
        requests[id] = ended_row
        req[r + 1], req[r + 2], r = id, ended_row, r + 2
        is[c + 1], is[c + 2], c = cid, l.row, c + 2
        over[o + 1], o = id, o + 1
        ended[e + 1], e = id, e + 1
        local at = l.pushed + 1
        l.push[at], l.pushed = l.prefix .. cid, at
        local holder = holders[i]
        if holder ~= '' then
            if holds[i] == id then dropped[d + 1], d = holder, d + 1 else agents.drop(holder, id) end
        end
        i = i + 1
    end
    if i == first then return i end
    leases.gone_count = o
    state.fast_ended_count(e)
    state.drew(number)
    settle_releases(touched, watch)
    return i
end
end
