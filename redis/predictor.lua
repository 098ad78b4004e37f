-- Predictions of what a philosophy's runs need, from the last samples of usage records. Sums are integers in millionths, so they are exact.
--
--   :pred    hash philosophy -> number of samples, three sums, three counts, when a prediction was last published and which, `placed`
--   :sampled zset of philosophies by `placed`, the time of a sample (us); a later sample changes it only after an hour
--   :h:P     list of samples: cpu, memory, time (NaN: none) as doubles of 8 bytes each, and the record id;  :rec:P set of these record ids
--
-- Uses bulk.lua; remove() also state.lua.
local predictor = {}

do -- local names of this file: all files of a library are one chunk, which may have 200 in all

local UNIT = 1000000
local TRIMS = 2000           -- old samples that one call removes, beside as many as it adds
local HOUR = 3600 * 1000000  -- us

local root, now, settings, known, dirty, added, trims
local struct_unpack -- the global tables do not exist yet while the library is loaded

function predictor.begin(slot, time, map)
    root, now, settings, known, dirty, added, trims = slot, time, map, {}, {}, 0, TRIMS
    struct_unpack = struct.unpack
end

local function parse(raw)
    local p = {}
    p.n, p.cpu, p.cpu_n, p.memory, p.memory_n, p.time, p.time_n, p.published, p.last, p.placed = cmsgpack.unpack(raw)
    p.stored = true
    return p
end

function predictor.load(names)
    local missing, n = bulk.missing(known, names)
    local rows = bulk.read(root .. ':pred', missing)
    for i = 1, n do
        known[missing[i]] = rows[i] and parse(rows[i]) or
            {n = 0, cpu = 0, cpu_n = 0, memory = 0, memory_n = 0, time = 0, time_n = 0, published = 0, last = '', placed = 0}
    end
end

function predictor.is_known(name) return known[name] ~= nil end

-- For each name the time of its last sample in us, an hour too early at most; false: it has none.
function predictor.sampled_at(names)
    local rows = bulk.read(root .. ':pred', names)
    for i = 1, #names do rows[i] = rows[i] and parse(rows[i]).placed end
    return rows
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

-- The prediction: {philosophy, requirements, recommended, confidence, samples, basis} (redis/README.md). Valid in this call.
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

-- What a lease's row keeps of the prediction: all but the philosophy, as one packed array.
function predictor.given(name)
    local p = predictor.of(name)
    return cmsgpack.pack({p[2], p[3], p[4], p[5], p[6]})
end

-- The whole prediction again, packed, from what a lease's row has kept.
function predictor.of_given(name, given) return cmsgpack.pack({name, unpack(given)}) end


local SAMPLE, SAMPLE_BYTES = '>ddd', 24

-- A figure in millionths, rounded, is x - x % 1 with x = figure * UNIT + 0.5: faster than a call of math.floor.
-- Adds (sign 1) or takes away (-1) the samples of a list from the i-th to the last.
local function count(p, samples, i, last, sign)
    local cpus, cpu_n, memories, memory_n, times, time_n = 0, 0, 0, 0, 0, 0
    for k = i, last do
        local cpu, memory, time = struct_unpack(SAMPLE, samples[k])
        if cpu == cpu then
            local x = cpu * UNIT + 0.5
            cpus, cpu_n = cpus + (x - x % 1), cpu_n + 1
        end
        if memory == memory then
            local x = memory * UNIT + 0.5
            memories, memory_n = memories + (x - x % 1), memory_n + 1
        end
        if time == time then
            local x = time * UNIT + 0.5
            times, time_n = times + (x - x % 1), time_n + 1
        end
    end
    p.cpu, p.cpu_n = p.cpu + sign * cpus, p.cpu_n + sign * cpu_n
    p.memory, p.memory_n = p.memory + sign * memories, p.memory_n + sign * memory_n
    p.time, p.time_n = p.time + sign * times, p.time_n + sign * time_n
end

-- True when the philosophy has samples, or gets some in this call. (predictor.load was called with the name.)
function predictor.has_samples(name) return known[name].stored or dirty[name] ~= nil end

-- The number of philosophies with samples, with those that this call adds.
function predictor.count() return redis.call('HLEN', root .. ':pred') + added end

-- Forgets a philosophy's samples.
function predictor.remove(name)
    known[name] = nil
    state.first({'HDEL', ':pred', name})
    state.first({'ZREM', ':sampled', name})
    state.first({'UNLINK', ':h:' .. name})
    state.first({'UNLINK', ':rec:' .. name})
end

-- The samples that this call adds to a philosophy: `count` of them in samples, with their record ids in ids ('': none). taken: the ids among
-- them, so that none is added twice. replaces: they take the place of all in Redis. usage.lua adds to them; the flush writes them.
-- (predictor.load was called with the name, and philosophies.may_have_samples.)
function predictor.added_to(name)
    local d = dirty[name]
    if d then return d end
    if not known[name].stored then added = added + 1 end
    d = {count = 0, ids = {}, samples = {}, taken = {}, first = 1, gone = {}, trim = 0, replaces = not known[name].stored}
    dirty[name] = d
    return d
end

-- Adds a sample that only says how much memory a run needed at least.
function predictor.add_memory(name, memory)
    local d = predictor.added_to(name)
    local n = d.count + 1
    d.count, d.ids[n], d.samples[n], d.taken[''] = n, '', struct.pack(SAMPLE, 0 / 0, memory, 0 / 0), false
end

local function drop_repeated_of(name, d)
    local is_known, n = bulk.ask('SMISMEMBER', root .. ':rec:' .. name, d.ids), 0
    while is_known[n + 1] == 0 do n = n + 1 end
    for i = n + 1, d.count do
        if is_known[i] == 0 then
            n = n + 1
            d.ids[n], d.samples[n] = d.ids[i], d.samples[i]
        end
    end
    for i = n + 1, d.count do d.ids[i], d.samples[i] = nil, nil end
    d.count = n
end

-- Takes out of the added samples those whose record id belongs to a sample in Redis.
function predictor.drop_repeated()
    for name, d in pairs(dirty) do
        if known[name].stored then
            drop_repeated_of(name, d)
            if d.count == 0 then dirty[name] = nil end
        end
    end
end

local function without_samples(p) p.n, p.cpu, p.cpu_n, p.memory, p.memory_n, p.time, p.time_n = 0, 0, 0, 0, 0, 0, 0 end

-- The oldest samples of a philosophy that has more. When they are not all there (somebody has deleted the list) its history begins anew.
local function oldest(name, p, d, many)
    local samples = redis.call('LRANGE', root .. ':h:' .. name, 0, many - 1)
    if #samples < many then
        state.repaired('the philosophy ' .. name .. ' counted ' .. p.n .. ' samples, which are not all there')
        without_samples(p)
        d.replaces = true
    end
    return samples
end

-- The number of samples beyond history_size that go now.
local function surplus(p, d) return math.max(0, math.min(p.n + d.count - settings.history_size, trims + d.count)) end

-- Counts the new samples, and takes the oldest ones beyond history_size out of the sums. When all samples in Redis go they are not read; new
-- samples that go at once are not counted at all.
local function settle(name, d)
    local p = known[name]
    local over = surplus(p, d)
    local old, samples = math.min(over, p.n), nil
    if old > 0 and old < p.n then samples = oldest(name, p, d, old) end
    if d.replaces then over, old = surplus(p, d), 0 end
    trims = trims - math.max(0, over - d.count)
    if old > 0 and old == p.n then
        without_samples(p)
        d.replaces = true
    elseif old > 0 then
        count(p, samples, 1, old, -1)
        p.n = p.n - old
        for i = 1, old do
            if #samples[i] > SAMPLE_BYTES then d.gone[#d.gone + 1] = samples[i]:sub(SAMPLE_BYTES + 1) end
        end
    end
    d.trim, d.first = old, over - old + 1
    count(p, d.samples, d.first, d.count, 1)
    p.n, p.answer = p.n + d.count - (over - old), nil
end

-- The interval since the last publication is over: publish_changed() publishes if the prediction has changed.
function predictor.due(name)
    predictor.load({name})
    if not known[name].stored then return end
    known[name].published = 0
    predictor.added_to(name)
end

-- Publishes the predictions that have changed: at once, or by a deadline when their interval is over.
function predictor.publish_changed(offset, add, deadline)
    for name, d in pairs(dirty) do
        settle(name, d)
        local p = known[name]
        local due = p.published + settings.predict_interval_ms * 1000
        local packed = predictor.packed(name)
        if packed == p.last then
            deadline('p' .. name, false) -- the prediction is the one that was published last
        elseif due <= now then
            p.published, p.last = now, packed
            add(offset, {4, '', '', predictor.of(name)})
            deadline('p' .. name, false)
        else
            deadline('p' .. name, due)
        end
    end
end

-- Writes the samples that were added and stay, and removes those that had to go.
local function flush_samples(name, d)
    local key, record_key, ids, from = root .. ':h:' .. name, root .. ':rec:' .. name, d.ids, d.first
    if d.taken[''] ~= nil then -- some have no record id
        ids, from = {}, 1
        for i = d.first, d.count do
            if d.ids[i] ~= '' then ids[#ids + 1] = d.ids[i] end
        end
    end
    if d.replaces then redis.call('UNLINK', key, record_key) end
    bulk.write('RPUSH', key, d.samples, d.first)
    if d.trim > 0 and not d.replaces then redis.call('LTRIM', key, d.trim, -1) end
    bulk.write('SADD', record_key, ids, from)
    bulk.write('SREM', record_key, d.gone)
end

function predictor.flush()
    local save, placed, text = {}, {}, string.format('%.0f', now)
    for name, d in pairs(dirty) do
        local p = known[name]
        flush_samples(name, d)
        if d.count > 0 and now - p.placed >= HOUR then
            p.placed = now
            placed[#placed + 1], placed[#placed + 2] = text, name
        end
        save[#save + 1] = name
        save[#save + 1] = cmsgpack.pack(p.n, p.cpu, p.cpu_n, p.memory, p.memory_n, p.time, p.time_n, p.published, p.last, p.placed)
    end
    bulk.write('ZADD', root .. ':sampled', placed)
    bulk.write('HSET', root .. ':pred', save)
end
end
