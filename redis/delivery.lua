-- The delivery rules (docs/reliability.md): which events of a partition were applied, and what they answered.
-- Shared by both libraries. One hash a partition, `<slot>:d:<partition>`, with the fields
--   applied   last offset applied              floor    below it everything is finished
--   chunks    last offsets of the stored results, comma-separated, ascending
--   <offset>  the results of one call, as MessagePack, kept until floor passes <offset>
local delivery = {}

do -- local names of this file: all files of a library are one chunk, which may have 200 in all

-- `<slot>:meta` holds what belongs to no partition: `now`, the highest time seen, and `settings`, those of the last call (read
-- functions, which services call without settings, use them).
local settings_raw, settings_map = nil, {}

local function decode_settings(raw)
    if raw ~= settings_raw then settings_raw, settings_map = raw, cmsgpack.unpack(raw) end
    return settings_map
end

local function time_not_before(seen)
    local t = redis.call('TIME')
    local now = t[1] * 1000000 + t[2]
    seen = tonumber(seen or 0)
    return seen > now and seen or now
end

-- Redis' time in microseconds, never smaller than any seen before (a clock stepped back expires nothing twice), and the
-- settings of the last call (nil when there was none).
function delivery.context(slot)
    local meta = redis.call('HMGET', slot .. ':meta', 'now', 'settings', 'n')
    delivery.number, delivery.drawn, delivery.settings_kept = meta[3] or '0', nil, meta[2]
    return time_not_before(meta[1]), meta[2] and decode_settings(meta[2]) or nil
end

-- The same for a function that writes, with the settings that it was given; it ends in keep().
function delivery.advance(slot, raw)
    local now = delivery.context(slot)
    return now, decode_settings(raw)
end

-- Keeps the time, the settings when they changed, and the last number that was drawn (state.lua).
function delivery.keep(slot, now, raw)
    local values, n = {'now', now}, 2
    if raw ~= delivery.settings_kept then values[3], values[4], n = 'settings', raw, 4 end
    if delivery.drawn then values[n + 1], values[n + 2] = 'n', delivery.drawn end
    redis.call('HSET', slot .. ':meta', unpack(values))
end

local function read(slot, partition)
    local key = slot .. ':d:' .. partition
    local h = redis.call('HMGET', key, 'applied', 'floor', 'chunks')
    return key, tonumber(h[1] or -1), tonumber(h[2] or -1), h[3] or ''
end

-- What a batch is answered with: n records, arrays or MessagePack already, and in `offsets` the event that each belongs to.
function delivery.records() return {n = 0, offsets = {}} end

-- A chunk: one array, of the offsets and then the records.
local function pack_records(records)
    local n = records.n
    for i = 1, n do
        if type(records[i]) == 'table' then records[i] = cmsgpack.pack(records[i]) end
    end
    return struct.pack('>BI4', 221, n + 1) .. cmsgpack.pack(records.offsets) .. table.concat(records, '', 1, n)
end

-- What the slot knows of a partition and what is new to it. Rule 2: a gap is refused; what was seen before is answered as stored.
local function open(slot, partition, prev, given, packed)
    local key, applied, floor, chunks = read(slot, partition)
    local p = {key = key, a = math.max(applied, floor - 1), floor = floor, given = given, chunks = chunks}
    p.gap = prev > p.a
    p.reply = {p.gap and 0 or 1, p.a, floor}
    if p.gap then return p end
    local events = cmsgpack.unpack(packed)
    if not events[1] then return p end
    local first = 1
    if events[1][1] <= p.a then
        for last in chunks:gmatch('%d+') do
            if tonumber(last) >= events[1][1] then p.reply[#p.reply + 1] = redis.call('HGET', key, last) end
        end
        while events[first] and events[first][1] <= p.a do first = first + 1 end
    end
    if first == 1 then
        p.new = events
    elseif events[first] then
        p.new = {}
        for i = first, #events do p.new[i - first + 1] = events[i] end
    end
    return p
end

-- Stores what was applied and moves the floor: one command, two when results go.
local function close(p, records, last)
    local write, n, reply = {}, 0, p.reply
    if last then
        p.a = last
        write[1], write[2], n = 'applied', last, 2
        if records.n > 0 then
            local chunk = pack_records(records)
            p.chunks = p.chunks == '' and tostring(last) or p.chunks .. ',' .. last
            write[3], write[4], write[5], write[6], n = last, chunk, 'chunks', p.chunks, 6
            reply[#reply + 1] = chunk
        end
    end
    if p.given > p.floor then
        p.floor = p.given
        local cut, drop = 1, {}
        for offset, past in p.chunks:gmatch('(%d+)(),?') do
            if tonumber(offset) >= p.floor then break end
            drop[#drop + 1], cut = offset, past + 1
        end
        write[n + 1], write[n + 2] = 'floor', p.floor
        n = n + 2
        if #drop > 0 then
            write[n + 1], write[n + 2] = 'chunks', p.chunks:sub(cut)
            n = n + 2
            redis.call('HDEL', p.key, unpack(drop))
        end
    end
    if n > 0 then redis.call('HSET', p.key, unpack(write)) end
    reply[2], reply[3] = p.a, p.floor
end

-- A topic function's call: args = settings, then of each partition its name, prev, floor and events. Replies in the same order:
-- {1, applied, floor, chunk, ...} or, for a gap, {0, applied, floor} (applied: max(applied, floor - 1)); a gap refuses only its own.
--
-- apply(batches, now, settings, slot) -> records, applied: what the topic does. A batch is an array of events, arrays with the offset
-- as [1], ascending, all new. It gives for each batch its records (delivery.records) and the last offset that it applied: less than the last one, or nil for none, when it stopped early to stay within bounds. It must not
-- write before it has checked everything.
function delivery.call(keys, args, apply)
    local slot, parts, batches, replies = keys[1], {}, {}, {}
    for i = 2, #args, 4 do
        local p = open(slot, args[i], tonumber(args[i + 1]), tonumber(args[i + 2]), args[i + 3])
        parts[#parts + 1] = p
        if p.new then
            batches[#batches + 1] = p.new
            p.batch = #batches
        end
    end
    local records, applied = {}, {}
    if #batches > 0 then
        local now, settings = delivery.advance(slot, args[1])
        records, applied = apply(batches, now, settings, slot)
        delivery.keep(slot, now, args[1])
    end
    for i, p in ipairs(parts) do
        if not p.gap then close(p, p.batch and records[p.batch], p.batch and applied[p.batch]) end
        replies[i] = p.reply
    end
    return replies
end

-- positions: args = partition names; reply = {applied, floor, ...}, -1 where there is none.
function delivery.positions(keys, args)
    local reply = {}
    for _, partition in ipairs(args) do
        local _, applied, floor = read(keys[1], partition)
        reply[#reply + 1] = applied
        reply[#reply + 1] = floor
    end
    return reply
end

-- begin: args = partition, offset, and 'new' to set the floor only where there is none, or 'accept' to forget what was known
-- of the partition (its topic was made anew). Reply: the floor in force.
function delivery.begin(keys, args)
    local key, _, floor = read(keys[1], args[1])
    if args[3] == 'accept' then
        redis.call('DEL', key)
        floor = -1
    end
    if floor < 0 then
        floor = tonumber(args[2])
        redis.call('HSET', key, 'floor', floor)
    end
    return floor
end

-- skip: args = settings, partition, prev, floor, offset: rule 8, the event at offset failed inside its function and is
-- dead-lettered.
function delivery.skip(keys, args)
    local offset = tonumber(args[5])
    local events = cmsgpack.pack({{offset}})
    return delivery.call(keys, {args[1], args[2], args[3], args[4], events}, function()
        return {{n = 1, offsets = {offset}, {5, '', '', 'the function failed on this event'}}}, {offset}
    end)
end
end
