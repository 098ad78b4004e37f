-- What a philosophy's runs need, from the last samples of usage records. Exact: sums are integers in millionths, so nothing drifts.
--
--   :pred    hash philosophy -> samples, three sums, three counts, when it was published last
--   :h:P     list of samples;  :rec hash "<philosophy> <record id>" of those samples
local predictor = {}

local UNIT = 1000000

local root, now, settings, known, dirty

function predictor.begin(slot, time, map)
    root, now, settings, known, dirty = slot, time, map, {}, {}
end

local function parse(raw)
    local p = {}
    p.n, p.cpu, p.cpu_n, p.memory, p.memory_n, p.time, p.time_n, p.published = cmsgpack.unpack(raw)
    return p
end

function predictor.load(names)
    local missing = {}
    for _, name in ipairs(names) do
        if known[name] == nil then
            known[name] = false
            missing[#missing + 1] = name
        end
    end
    if #missing == 0 then return end
    local values = redis.call('HMGET', root .. ':pred', unpack(missing))
    for i, name in ipairs(missing) do
        known[name] = values[i] and parse(values[i]) or {n = 0, cpu = 0, cpu_n = 0, memory = 0, memory_n = 0, time = 0, time_n = 0, published = 0}
    end
end

local function round2(x) return math.floor(x * 100 + 0.5) / 100 end

local function figure(sum, count, factor, default)
    if count == 0 then return default end
    return round2(sum / count / UNIT * factor)
end

local function triple(p, factor)
    return {figure(p.cpu, p.cpu_n, factor, settings.cpu), figure(p.memory, p.memory_n, factor, settings.memory),
        figure(p.time, p.time_n, factor, settings.time)}
end

-- philosophy, requirements, recommended, confidence, samples, basis: as redis/README.md has it. Valid for this call.
function predictor.of(name)
    if known[name] == nil then predictor.load({name}) end
    local p = known[name]
    if p.answer then return p.answer end
    local samples = math.min(p.n, settings.history_size)
    local confidence = settings.history_size > 0 and samples / settings.history_size or 0
    local recommended, basis
    if samples == 0 or confidence < settings.low_confidence then
        recommended = {settings.low_cpu, settings.low_memory, settings.low_time}
        basis = samples == 0 and 'default' or 'low'
    elseif confidence < settings.medium_confidence then
        recommended, basis = triple(p, settings.medium_buffer), 'medium'
    else
        recommended, basis = triple(p, settings.high_buffer), 'high'
    end
    p.answer = {name, triple(p, settings.buffer), recommended, confidence, samples, basis}
    return p.answer
end

-- The same, as MessagePack.
function predictor.packed(name)
    local answer = predictor.of(name)
    local p = known[name]
    if p.packed_answer ~= answer then p.packed_answer, p.packed = answer, cmsgpack.pack(answer) end
    return p.packed
end

local function count(p, sample, sign)
    for i, name in ipairs({'cpu', 'memory', 'time'}) do
        if sample[i] then
            p[name] = p[name] + sign * sample[i]
            p[name .. '_n'] = p[name .. '_n'] + sign
        end
    end
    p.n, p.answer = p.n + sign, nil
end

local function millionths(x) return x and math.floor(x * UNIT + 0.5) or false end

-- usage: offset, age, key, trace, timestamp, record_id, agent_id, philosophy, cpu, memory, time
function predictor.usage(events)
    local names, seen_names, ids = {}, {}, {}
    for _, e in ipairs(events) do
        if not seen_names[e[8]] then
            seen_names[e[8]] = true
            names[#names + 1] = e[8]
        end
        if e[6] ~= '' then ids[#ids + 1] = e[8] .. ' ' .. e[6] end
    end
    predictor.load(names)
    local seen = {}
    if #ids > 0 then
        local values = redis.call('HMGET', root .. ':rec', unpack(ids))
        for i, id in ipairs(ids) do seen[id] = values[i] and true or nil end
    end
    for _, e in ipairs(events) do
        local name, id = e[8], e[6] ~= '' and e[8] .. ' ' .. e[6] or nil
        if not id or not seen[id] then
            if id then seen[id] = true end
            local d = dirty[name] or {samples = {}, records = {}}
            local sample = {millionths(e[9]), millionths(e[10]), millionths(e[11])}
            count(known[name], sample, 1)
            d.samples[#d.samples + 1] = cmsgpack.pack(sample[1], sample[2], sample[3], e[6])
            if id then
                d.records[#d.records + 1] = id
                d.records[#d.records + 1] = '1'
            end
            d.offset, dirty[name] = e[1], d
        end
    end
end

-- Writes the samples, and publishes what changed: at once, or when its interval is over.
function predictor.flush(records, deadline)
    local save = {}
    for name, d in pairs(dirty) do
        local p = known[name]
        redis.call('RPUSH', root .. ':h:' .. name, unpack(d.samples))
        if #d.records > 0 then redis.call('HSET', root .. ':rec', unpack(d.records)) end
        local over = p.n - settings.history_size
        if over > 0 then
            local gone = {}
            for _, raw in ipairs(redis.call('LPOP', root .. ':h:' .. name, math.min(over, 2000)) or {}) do
                local cpu, memory, time, id = cmsgpack.unpack(raw)
                count(p, {cpu, memory, time}, -1)
                if id ~= '' then gone[#gone + 1] = name .. ' ' .. id end
            end
            if #gone > 0 then redis.call('HDEL', root .. ':rec', unpack(gone)) end
        end
        predictor.publish(name, d.offset, records, deadline)
        save[#save + 1] = name
        save[#save + 1] = cmsgpack.pack(p.n, p.cpu, p.cpu_n, p.memory, p.memory_n, p.time, p.time_n, p.published)
    end
    if #save > 0 then redis.call('HSET', root .. ':pred', unpack(save)) end
end

function predictor.publish(name, offset, records, deadline)
    local p = known[name]
    local due = p.published + settings.predict_interval_ms * 1000
    if due <= now then
        p.published = now
        records[#records + 1] = {offset, 4, '', '', predictor.of(name)}
        deadline('p' .. name, nil)
    else
        deadline('p' .. name, due)
    end
end

-- A prediction's interval is over: publishes it.
function predictor.due(name, offset, records, deadline)
    predictor.load({name})
    local p = known[name]
    p.published = 0
    predictor.publish(name, offset, records, deadline)
    redis.call('HSET', root .. ':pred', name, cmsgpack.pack(p.n, p.cpu, p.cpu_n, p.memory, p.memory_n, p.time, p.time_n, p.published))
end
