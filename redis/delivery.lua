-- The slot's side of the delivery rules (docs/reliability.md): which events of a partition were applied, and the results of those that are not
-- done. Shared by both slots' libraries; uses frame.lua and bulk.lua. Each partition has a hash `<slot>:d:<partition>` with the fields
--   applied    last offset applied             floor   all events below it are done
--   generation begins at `born` of frame.lua and counts up with each `warmpool accept`: a call with another generation belongs to another log,
--              or was sent before Redis lost its data, and is refused
--   chunks     "<last offset>:<bytes>,..." of the stored results, ascending
--   <offset>   the results of one call, as MessagePack, kept until floor passes <offset>
--   used       the number of the hour (hour_number) of its last use; the zset `<slot>:positions` has the partitions by that number
local delivery = {}

do -- local names of this file: all files of a library are one chunk, which may have 200 in all

local CHUNKS_MAX = 512                -- chunks stored of a partition; each call reads and writes their list
local RESULTS_BYTES = 8 * 1024 * 1024 -- bytes of chunks stored of a partition, unless settings.results_bytes says otherwise
local RESULTS_LEAST = 64 * 1024       -- the bound in bytes of a partition is never lower, however small Redis is
local REPLY_BYTES = 8 * 1024 * 1024   -- of stored chunks in a reply; at least one chunk of each partition is in it
local HOUR, UNUSED_HOURS, TRIMMED_A_CALL = 3600 * 1000000, 168, 10

local text = frame.text

-- ---- results ----

-- The records that answer a batch: n of them, each an array or packed already, and in `offsets` the event of each.
-- bytes: their approximate size, of those added by add(). values: an array of strings that goes beside the chunk in the reply and is not
-- stored. stored, {n, record, offset}: the last record, number n, is stored as this other record (false: not at all).
function delivery.records() return {n = 0, offsets = {}, bytes = 0} end

local TABLE_BYTES = 512 -- about the size of a record that is not packed yet

function delivery.add(records, offset, record)
    local n = records.n + 1
    records.n, records[n], records.offsets[n] = n, record, offset
    records.bytes = records.bytes + (type(record) == 'string' and #record or TABLE_BYTES)
end

-- A chunk is one MessagePack array: the array of offsets, then the records.
local function pack_chunk(offsets, records, n)
    return struct.pack('>BI4', 221, n + 1) .. cmsgpack.pack(offsets) .. table.concat(records, '', 1, n)
end

-- Returns the chunk for the reply, and the chunk to be stored (nil: nothing is stored).
local function pack_records(records)
    local n, offsets, kept = records.n, records.offsets, records.stored
    for i = 1, n do
        if type(records[i]) == 'table' then records[i] = cmsgpack.pack(records[i]) end
    end
    local all = pack_chunk(offsets, records, n)
    local reply = all
    if records.values then reply = {all, records.values} end
    if not kept then return reply, all end
    if kept.record then
        records[n], offsets[n] = cmsgpack.pack(kept.record), kept.offset
    else
        n, offsets[n] = n - 1, nil
    end
    return reply, n > 0 and pack_chunk(offsets, records, n) or nil
end

-- ---- a partition ----

local function read(slot, name)
    local key = slot .. ':d:' .. name
    local h = redis.call('HMGET', key, 'applied', 'floor', 'generation', 'chunks', 'used')
    local p = {name = name, key = key, applied = tonumber(h[1] or -1), floor = tonumber(h[2] or -1), generation = tonumber(h[3] or frame.born),
        used = h[5], chunks = {}, bytes = 0, write = {}}
    for last, bytes in (h[4] or ''):gmatch('(%d+):(%d+)') do
        p.chunks[#p.chunks + 1] = {last = tonumber(last), bytes = tonumber(bytes)}
        p.bytes = p.bytes + tonumber(bytes)
    end
    p.a = math.max(p.applied, p.floor - 1)
    return p
end

local function put(p, field, value)
    local n = #p.write
    p.write[n + 1], p.write[n + 2] = field, value
end

local function put_chunks(p)
    local list = {}
    for i, chunk in ipairs(p.chunks) do list[i] = text(chunk.last) .. ':' .. text(chunk.bytes) end
    put(p, 'chunks', table.concat(list, ','))
end

-- The number of the present hour, counting only hours in which partitions were used, so that none grows old while no worker runs.
local function hour_number()
    local hour, count = frame.hours:match('^(%d+) (%d+)$')
    local current = text(math.floor(frame.now / HOUR))
    if hour ~= current then
        count = text(tonumber(count or 0) + 1)
        frame.hours = current .. ' ' .. count
        redis.call('HSET', frame.slot .. ':meta', 'hours', frame.hours)
    end
    return count
end

local function use(p)
    local number = hour_number()
    if p.used == number then return end
    put(p, 'used', number)
    redis.call('ZADD', frame.slot .. ':positions', number, p.name)
end

-- Writes the partition's changes, at the end of a call that has not failed.
local function save(p)
    use(p)
    if p.chunks_changed then put_chunks(p) end
    bulk.write('HSET', p.key, p.write)
    bulk.write('HDEL', p.key, p.gone or {})
end

-- Moves the floor, never back, and forgets the chunks below it.
local function move_floor(p, floor)
    if floor <= p.floor then return end
    local kept, gone = {}, {}
    for _, chunk in ipairs(p.chunks) do
        if chunk.last < floor then
            gone[#gone + 1], p.bytes = text(chunk.last), p.bytes - chunk.bytes
        else
            kept[#kept + 1] = chunk
        end
    end
    p.floor, p.a = floor, math.max(p.a, floor - 1)
    put(p, 'floor', text(floor))
    if #gone > 0 then p.chunks, p.gone, p.chunks_changed = kept, gone, true end
end

-- Rule 2: refuses a call for an unknown partition (Redis has lost it, or it is of another log), and one that leaves a gap. Returns the reply
-- and whether it is a refusal. p.a: the last offset that counts as applied.
local function reply_of(p, generation, prev)
    if p.floor < 0 or p.generation ~= generation then return {0, -1, -1}, true end
    if prev > p.a then return {0, p.a, p.floor}, true end
    return {1, p.a, p.floor}, false
end

-- ---- answering events that were applied before ----

-- Adds the stored chunks that cover the offsets from first to last to the reply, up to REPLY_BYTES in all. p.told: the last offset covered,
-- when there was no room for all.
local function answer_again(p, first, last, state)
    local before = -1
    for _, chunk in ipairs(p.chunks) do
        if chunk.last >= first and before < last then
            if #p.reply > 3 and state.bytes + chunk.bytes > REPLY_BYTES then
                p.told = math.max(before, first - 1)
                return
            end
            state.bytes = state.bytes + chunk.bytes
            p.reply[#p.reply + 1] = redis.call('HGET', p.key, text(chunk.last))
        end
        before = chunk.last
    end
end

-- Pure reads are not stored: those among the first `count` events that are not done are read again.
local function read_again(p, values, count, topic, state)
    local records, left = topic.reread(values, count, p.floor, p.told or p.a, state)
    if records.n > 0 then p.reply[#p.reply + 1] = (pack_records(records)) end
    if left then p.told = left - 1 end
end

-- Unpacks a batch: answers the events that were applied before, and sets p.new to those to apply. A batch is an array of rows, or several
-- arrays, columns, of which the first has the offsets (topic.batch).
local function take_events(p, packed, topic, state)
    local values = {cmsgpack.unpack(packed)}
    local events, known = values[1], 0
    local function offset_of(i) return type(events[i]) == 'table' and events[i][1] or events[i] end
    while events[known + 1] and offset_of(known + 1) <= p.a do known = known + 1 end
    if known > 0 then answer_again(p, offset_of(1), offset_of(known), state) end
    if known > 0 and topic.reread then read_again(p, values, known, topic, state) end
    if known == #events or p.told then return end
    if topic.batch and #values > 1 then
        p.new = topic.batch(values, known)
        return
    end
    p.new = events
    if known > 0 then
        p.new = {}
        for i = known + 1, #events do p.new[i - known] = events[i] end
    end
end

-- The bound of a partition's stored results in bytes. In a small Redis it is a 32nd of maxmemory, because all partitions share that.
local function results_bytes()
    local most = frame.settings.results_bytes or RESULTS_BYTES
    return frame.maxmemory > 0 and math.min(most, math.max(RESULTS_LEAST, frame.maxmemory / 32)) or most
end

-- True when the partition may store more results; sets p.new.room, the bytes left. A partition without stored results always may, so that at
-- least one event is applied.
local function has_room(p)
    p.new.room = results_bytes() - p.bytes
    return #p.chunks == 0 or (p.new.room > 0 and #p.chunks < CHUNKS_MAX)
end

-- Notes the last offset applied, and stores the batch's records.
local function store(p, records, last)
    p.a = last
    put(p, 'applied', text(last))
    if records.n == 0 then return end
    local reply, stored = pack_records(records)
    p.reply[#p.reply + 1] = reply
    if not stored then return end
    p.chunks[#p.chunks + 1] = {last = last, bytes = #stored}
    put(p, text(last), stored)
    p.chunks_changed = true
end

-- ---- functions ----

local function each(args, size, visit)
    for i = 1, #args, size do visit(args, i) end
end

-- A call of a topic's function: args = for each partition its name, generation, prev, floor and events. The reply has for each, in the same
-- order, {1, applied, floor, chunk, ...}, or {0, applied, floor} for a gap, or {0, -1, -1} for an unknown partition. applied: the last offset
-- that the reply covers; it is before the batch's last when the call stopped early. A refusal concerns its own partition only.
--
-- topic.apply(batches, now, settings, slot) -> records, applied: handles the events. A batch is an array of new events in the order of their
-- offsets; an event is an array with the offset as [1]. Returns for each batch its records (delivery.records) and the last offset applied,
-- which is before the batch's last, or nil for none, when it stopped early at a bound. It must not write before everything is checked.
-- topic.batch(values, known), for a topic whose events come as columns: makes the batch for apply, without the first `known` events.
-- topic.reread(values, count, from, to, state) -> records, left, for a topic with pure reads: reads those among the first `count` events whose
-- offsets are in from .. to again. left: the first offset for which there was no room; state.bytes: bytes of values in the reply so far.
function delivery.call(keys, args, topic)
    local parts, batches, replies, state = {}, {}, {}, {bytes = 0}
    each(args, 5, function(_, i)
        local p = read(keys[1], args[i])
        parts[#parts + 1] = p
        p.reply, p.gap = reply_of(p, tonumber(args[i + 1]), tonumber(args[i + 2]))
        if p.gap then return end
        move_floor(p, tonumber(args[i + 3])) -- before has_room(), because it makes room
        take_events(p, args[i + 4], topic, state)
        if p.new and has_room(p) then
            batches[#batches + 1] = p.new
            p.batch = #batches
        end
    end)
    local records, applied = {}, {}
    if #batches > 0 then records, applied = topic.apply(batches, frame.now, frame.settings, keys[1]) end
    for i, p in ipairs(parts) do
        if p.batch and applied[p.batch] then store(p, records[p.batch], applied[p.batch]) end
        if not p.gap then
            p.reply[2], p.reply[3] = p.told or p.a, p.floor
            save(p)
        end
        replies[i] = p.reply
    end
    return replies
end

-- replay: args as of a topic's function. Answers the events that were applied before and applies none. It writes nothing, so it runs when Redis
-- is full: events whose answers were lost get them again, are done, and their stored results go.
function delivery.replay(keys, args, topic)
    local replies, state = {}, {bytes = 0}
    each(args, 5, function(_, i)
        local p = read(keys[1], args[i])
        local refused
        p.reply, refused = reply_of(p, tonumber(args[i + 1]), tonumber(args[i + 2]))
        replies[#replies + 1] = p.reply
        if refused then return end
        take_events(p, args[i + 4], topic, state)
        p.reply[2] = p.told or p.a
    end)
    return replies
end

-- floors: args = for each partition its name, generation, prev and floor. The reply is that of a topic's function, without chunks.
function delivery.floors(keys, args)
    local replies = {}
    each(args, 4, function(_, i)
        local p = read(keys[1], args[i])
        local reply, refused = reply_of(p, tonumber(args[i + 1]), tonumber(args[i + 2]))
        if not refused then
            move_floor(p, tonumber(args[i + 3]))
            reply[2], reply[3] = p.a, p.floor
            save(p)
        end
        replies[#replies + 1] = reply
    end)
    return replies
end

-- positions: args = partition names; reply = {applied, floor, generation, ...}: -1, -1 and the generation that begin has to name for an unknown
-- partition.
function delivery.positions(keys, args)
    local reply = {}
    for _, name in ipairs(args) do
        local p, n = read(keys[1], name), #reply
        reply[n + 1], reply[n + 2], reply[n + 3] = p.applied, p.floor, p.generation
        if p.floor >= 0 then save(p) end
    end
    return reply
end

-- begin: args = partition, offset, 'new' or 'accept', generation. new: sets the floor where there is none. accept: forgets the partition (its
-- topic was made anew) and sets the floor. Both only if the generation is still the given one, so a late one changes nothing.
-- Reply: {floor in force, generation, 1 when it was set, else 0}.
function delivery.begin(keys, args)
    local p = read(keys[1], args[1])
    if p.generation ~= tonumber(args[4]) then return {p.floor, p.generation, 0} end
    if args[3] == 'accept' then
        redis.call('UNLINK', p.key)
        p.floor, p.generation, p.used = -1, p.generation + 1, false
    end
    if p.floor >= 0 then return {p.floor, p.generation, 0} end
    p.floor = tonumber(args[2])
    put(p, 'floor', text(p.floor))
    put(p, 'generation', text(p.generation))
    save(p)
    return {p.floor, p.generation, 1}
end

-- skip (rule 8): args = partition, generation, prev, floor, offset. Answers the event at offset, on which its function failed, with a dead letter.
function delivery.skip(keys, args)
    local offset = tonumber(args[5])
    local events = cmsgpack.pack({{offset}})
    return delivery.call(keys, {args[1], args[2], args[3], args[4], events}, {apply = function()
        local records = delivery.records()
        delivery.add(records, offset, {5, '', '', 'the function failed on this event'})
        return {records}, {offset}
    end})
end

-- Forgets partitions that were not used for a week of counted hours (hour_number): their topics are gone. Returns how many.
function delivery.sweep(slot)
    local before = tonumber(hour_number()) - UNUSED_HOURS
    local names = redis.call('ZRANGEBYSCORE', slot .. ':positions', '-inf', before, 'LIMIT', 0, TRIMMED_A_CALL)
    for _, name in ipairs(names) do redis.call('UNLINK', slot .. ':d:' .. name) end
    if #names > 0 then redis.call('ZREM', slot .. ':positions', unpack(names)) end
    return #names
end

-- Registers a slot's functions for partitions. allow-oom: they free memory, or are needed for that, so a full Redis must run them.
function delivery.register(prefix)
    frame.register(prefix .. 'positions', delivery.positions, {'allow-oom'})
    frame.register(prefix .. 'begin', delivery.begin, {'allow-oom'})
    frame.register(prefix .. 'floors', delivery.floors, {'allow-oom'})
    frame.register(prefix .. 'skip', delivery.skip, {'allow-oom'})
end

function delivery.register_topic(name, topic, flags)
    frame.register(name, function(keys, args) return delivery.call(keys, args, topic) end, flags)
end
end
