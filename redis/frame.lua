-- The frame of every call: the slot's time, settings and row format, and what is written of them when a call ends. The first file of
-- each library; it calls no other.
-- `<slot>:meta` is a hash of what belongs to the slot as a whole:
--   now      logical time, us           time   Redis' TIME at the last call, us         beat   the time that heartbeats go by, us
--   n        the last number drawn      format the number of the row format             hours  "<hour> <hours in which positions were used>"
--   settings those in force, as MessagePack; hash, read_at and worker: what they are, when they were read and by whom
--   maxmemory Redis' own limit, bytes (0: none)
--
-- Logical time grows by what TIME grew by since the last call, never by less than 0, and never by more than the caller's own monotonic
-- clock saw since its last acknowledged call, plus a second. A clock that is set forward and back neither stops nor jumps anything.
-- A call that lay unread while Redis stood still says too little: it is refused (TIMEGAP and TIME in us), before anything is done by a time
-- that would have to be corrected later. Its caller's next call names that TIME, so it was not sent before, and settles how much has passed.
local frame = {}

do -- local names of this file: all files of a library are one chunk, which may have 200 in all

local FORMAT = '2'
local SECOND = 1000000
local BEAT_MOST = 2 * SECOND -- that the time of heartbeats grows by in one call: an outage of Redis is not silence of a host
local FIELDS = {'now', 'time', 'beat', 'n', 'format', 'hash', 'hours', 'maxmemory'}

local cached_hash, cached_map -- settings decoded last; the same hash is the same settings, in every slot

local function decode_settings(slot, hash)
    if hash ~= cached_hash then
        cached_map = cmsgpack.unpack(redis.call('HGET', slot .. ':meta', 'settings'))
        cached_hash = hash
    end
    return cached_map
end

-- us that logical time grows by. elapsed: what the caller's clock saw (nil: not known). A step back hides how much has passed: up to
-- a second of what the caller saw.
local function growth(passed, elapsed)
    if passed < -SECOND then return math.min(elapsed or 0, SECOND) end
    if elapsed and passed > elapsed + SECOND then return elapsed + SECOND end
    return math.max(passed, 0)
end

local function whole(x) return string.format('%.0f', x) end -- exact up to 2^53; tostring and .. have 14 digits
frame.text = whole

-- What a caller says first: "<us since its last acknowledged call> <TIME of the refusal that it has had since>", either may be missing.
local function said(text)
    local elapsed = tonumber(text)
    if elapsed or not text then return elapsed, nil end
    local first, second = text:match('^(%d*) ?(%d*)$')
    return tonumber(first), tonumber(second)
end

-- More has passed by TIME than the caller saw, and it may have said so before Redis stood still.
local function is_stale(wall, last, elapsed, seen)
    if not elapsed or wall - last <= elapsed + SECOND then return false end
    return not seen or seen < last or wall - seen > SECOND
end

-- Reads the slot. Sets frame.slot, now (logical us), wall (TIME in us), beat, settings (nil: none), hours, maxmemory; number and drawn are the last
-- number that was drawn, as text (state.lua). Returns nil, or the error that the call is answered with.
local function read(slot, text)
    local meta = redis.call('HMGET', slot .. ':meta', unpack(FIELDS))
    local t = redis.call('TIME')
    local wall = t[1] * SECOND + t[2]
    local last, elapsed, seen = tonumber(meta[2]) or wall, said(text)
    if is_stale(wall, last, elapsed, seen) then
        return redis.error_reply('TIMEGAP ' .. whole(wall) .. ' more time has passed by the clock of Redis than the caller saw when it called')
    end
    local grown = growth(wall - last, elapsed)
    frame.slot, frame.wall = slot, wall
    frame.now = meta[1] and tonumber(meta[1]) + grown or wall
    frame.beat = meta[3] and tonumber(meta[3]) + math.min(grown, BEAT_MOST) or wall
    frame.number, frame.drawn, frame.hours, frame.settings = meta[4] or '0', nil, meta[7] or '0 0', nil
    frame.maxmemory = tonumber(meta[8] or 0)
    if meta[5] ~= FORMAT and (meta[5] or meta[1]) then
        return redis.error_reply('WRONGFORMAT the state below ' .. slot .. ' has row format ' .. (meta[5] or '1') ..
            ', this library has ' .. FORMAT .. ': use a redis.prefix of its own, or stop all workers and delete the keys that begin with ' ..
            slot .. ' (leases are then rebuilt from container-assignment)')
    end
    if meta[6] then frame.settings = decode_settings(slot, meta[6]) end
end

-- Keeps the time, and the last number that was drawn. A call that is acknowledged must have kept it: the caller counts from there.
local function keep()
    local values = {'now', whole(frame.now), 'time', whole(frame.wall), 'beat', whole(frame.beat)}
    if frame.drawn then values[7], values[8] = 'n', frame.drawn end
    redis.call('HSET', frame.slot .. ':meta', unpack(values))
end

-- For a public function, which gets no elapsed time and does without settings.
function frame.look(slot)
    local refused = read(slot, nil)
    return refused, frame.now, frame.settings
end

-- A logical time as clients are told it: by Redis' clock, ms.
function frame.told(us) return math.floor((us + frame.wall - frame.now) / 1000) end

-- An error of redis.call is Redis' and begins with its code, as does a lack of memory; all others are about the events. (Redis' pcall
-- makes a text of either.)
local function failure(why)
    why = tostring(type(why) == 'table' and why.err or why):gsub('[\r\n]', ' ')
    if why:find('^%u%u+ ') then return redis.error_reply(why) end
    if why:find('not enough memory', 1, true) then return redis.error_reply('OOM ' .. why) end
    return redis.error_reply('WPFN ' .. why)
end

local function is_error(reply) return type(reply) == 'table' and reply.err ~= nil end

local function has(flags, flag)
    for i = 1, #(flags or {}) do if flags[i] == flag then return true end end -- ipairs is not there yet while the library is loaded
    return false
end

-- Registers wp_<name>_v2: args = elapsed_us, then what callback(keys, args) gets.
function frame.register(name, callback, flags)
    local writes = not has(flags, 'no-writes')
    redis.register_function({function_name = 'wp_' .. name .. '_v2', flags = flags or {}, callback = function(keys, args)
        local refused = read(keys[1], table.remove(args, 1))
        if refused then return refused end
        if not frame.settings then return redis.error_reply('NOSETTINGS nobody has said the settings of ' .. keys[1] .. ' yet') end
        local ok, reply = pcall(callback, keys, args)
        if not ok then return failure(reply) end
        if writes and not is_error(reply) then keep() end
        return reply
    end})
end

-- Redis' own limit of memory: INFO is what the worker's user may ask.
local function maxmemory()
    local info = redis.pcall('INFO', 'memory')
    local text = type(info) == 'table' and (info.verbatim_string and info.verbatim_string.string or info.err) or info
    return type(text) == 'string' and text:match('maxmemory:(%d+)') or '0'
end

function frame.keep_maxmemory()
    local most = maxmemory()
    frame.maxmemory = tonumber(most)
    redis.call('HSET', frame.slot .. ':meta', 'maxmemory', most)
end

-- settings: args = elapsed_us, worker, read_at_ms, hash, map. Those that were read last are in force, so two workers that differ do not
-- undo each other. Reply: {1 = these are in force / 0, hash in force, TIME in ms, format}.
local function set_settings(keys, args)
    local refused = read(keys[1], args[1])
    if refused then return refused end
    local key = keys[1] .. ':meta'
    local kept = redis.call('HMGET', key, 'hash', 'read_at')
    local read_at, hash, is = tonumber(args[3]), args[4], 1
    if not kept[1] or (kept[1] ~= hash and read_at > tonumber(kept[2])) then
        redis.call('HSET', key, 'settings', args[5], 'hash', hash, 'read_at', whole(read_at), 'worker', args[2], 'format', FORMAT)
    elseif kept[1] ~= hash then
        hash, is = kept[1], 0
    elseif read_at > tonumber(kept[2]) then
        redis.call('HSET', key, 'read_at', whole(read_at), 'worker', args[2])
    end
    frame.keep_maxmemory()
    keep()
    return {is, hash, math.floor(frame.wall / 1000), tonumber(FORMAT)}
end

-- name: of the two functions of a slot that know no topic: settings, and tick, by which a worker that has nothing else to say keeps time.
function frame.register_slot(prefix)
    redis.register_function({function_name = 'wp_' .. prefix .. 'settings_v2', flags = {'allow-oom'}, callback = set_settings})
    frame.register(prefix .. 'tick', function() return math.floor(frame.wall / 1000) end, {'allow-oom'})
end
end
