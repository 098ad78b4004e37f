-- The delivery rules (docs/reliability.md): which events of a partition were applied, and what they answered.
-- Shared by both libraries. One hash a partition, `<slot>:d:<partition>`, with the fields
--   applied   last offset applied              floor    below it everything is finished
--   chunks    last offsets of the stored results, comma-separated, ascending
--   <offset>  the results of one call, as MessagePack, kept until floor passes <offset>
local delivery = {}

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
-- settings of the last call (nil when there was none). For functions that only read.
function delivery.context(slot)
    local meta = redis.call('HMGET', slot .. ':meta', 'now', 'settings')
    return time_not_before(meta[1]), meta[2] and decode_settings(meta[2]) or nil
end

-- The same for a function that writes: keeps the time, and the settings when they changed.
function delivery.advance(slot, raw)
    local meta = redis.call('HMGET', slot .. ':meta', 'now', 'settings')
    local now = time_not_before(meta[1])
    if raw ~= meta[2] then
        redis.call('HSET', slot .. ':meta', 'now', now, 'settings', raw)
    else
        redis.call('HSET', slot .. ':meta', 'now', now)
    end
    return now, decode_settings(raw)
end

local function read(slot, partition)
    local key = slot .. ':d:' .. partition
    local h = redis.call('HMGET', key, 'applied', 'floor', 'chunks')
    return key, tonumber(h[1] or -1), tonumber(h[2] or -1), h[3] or ''
end

-- An array of records (arrays, or arrays that are MessagePack already) as MessagePack.
local function pack_records(records)
    for i, record in ipairs(records) do
        if type(record) == 'table' then records[i] = cmsgpack.pack(record) end
    end
    local n = #records
    local head = string.char(221, math.floor(n / 16777216) % 256, math.floor(n / 65536) % 256, math.floor(n / 256) % 256, n % 256)
    return head .. table.concat(records)
end

-- apply(events, now, settings, slot) -> records, last: the function of a topic. `events` is an array of arrays, [1] the offset,
-- ascending, all new. It returns its records (arrays, [1] the offset of the event that they belong to) and, when it stopped
-- early to stay within bounds, the last offset that it applied. It must not write before it has checked everything.
-- Reply: {1, applied, floor, chunk, ...} or, for a gap, {0, applied, floor} (applied: max(applied, floor - 1)).
function delivery.call(keys, args, apply)
    local slot, partition = keys[1], args[1]
    local prev, given = tonumber(args[2]), tonumber(args[3])
    local key, applied, floor, chunks = read(slot, partition)
    local a = math.max(applied, floor - 1)
    if prev > a then return {0, a, floor} end

    local reply = {1, a, floor}
    local events = cmsgpack.unpack(args[5])
    local first = 1
    if events[1] and events[1][1] <= a then -- seen before: the stored results go out again
        for last in chunks:gmatch('%d+') do
            if tonumber(last) >= events[1][1] then reply[#reply + 1] = redis.call('HGET', key, last) end
        end
        while events[first] and events[first][1] <= a do first = first + 1 end
    end

    local write, n = {}, 0
    if events[first] then
        local new = events
        if first > 1 then
            new = {}
            for i = first, #events do new[#new + 1] = events[i] end
        end
        local now, settings = delivery.advance(slot, args[4])
        local records, last = apply(new, now, settings, slot)
        a = last or new[#new][1]
        write[1], write[2], n = 'applied', a, 2
        if #records > 0 then
            local chunk = pack_records(records)
            chunks = chunks == '' and tostring(a) or chunks .. ',' .. a
            write[3], write[4], write[5], write[6], n = a, chunk, 'chunks', chunks, 6
            reply[#reply + 1] = chunk
        end
    end

    if given > floor then
        floor = given
        local cut, drop = 1, {}
        for last, past in chunks:gmatch('(%d+)(),?') do
            if tonumber(last) >= floor then break end
            drop[#drop + 1], cut = last, past + 1
        end
        if #drop > 0 then
            write[n + 3], write[n + 4] = 'chunks', chunks:sub(cut)
            write[n + 1], write[n + 2] = 'floor', floor
            n = n + 4
            redis.call('HDEL', key, unpack(drop))
        else
            write[n + 1], write[n + 2] = 'floor', floor
            n = n + 2
        end
    end
    if n > 0 then redis.call('HSET', key, unpack(write)) end
    reply[2], reply[3] = a, floor
    return reply
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

-- skip: args = partition, prev, floor, settings, offset: rule 8, the event at offset failed inside its function and is
-- dead-lettered.
function delivery.skip(keys, args)
    local offset = tonumber(args[5])
    local events = cmsgpack.pack({{offset}})
    return delivery.call(keys, {args[1], args[2], args[3], args[4], events}, function()
        return {{offset, 5, '', '', 'the function failed on this event'}}
    end)
end
