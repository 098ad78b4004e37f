-- The frame of every call: reads the slot's time, settings and row format when a call begins, and writes them when it ends. The first file
-- of each library; calls no other.
-- The hash `<slot>:meta` holds what belongs to the slot as a whole:
--   now      logical time, us           time   Redis' TIME at the last call, us         beat   the time that heartbeats go by, us
--   n        the last number drawn      format the number of the row format             hours  "<hour> <hours in which positions were used>"
--   settings those in force, as MessagePack; with their hash, read_at (when they were read, ms) and worker (by whom)
--   maxmemory Redis' own limit, bytes (0: none)
--   away     1: the engine of a host is away, as its latest heartbeat says
--   born     TIME in us when this hash was made: another number than before Redis lost its data (delivery.lua)
--
-- Logical time grows with TIME, but never by less than 0, and never by more than a second beyond what the caller's monotonic clock saw since
-- its last acknowledged call. So setting Redis' clock forward or back does not make anything expire, or keep it from expiring.
-- A call that waited unread while Redis stood still tells too little elapsed time. It is refused with TIMEGAP and TIME in us, before anything
-- is decided by a wrong time. The caller's next call repeats that TIME, which proves that it was sent later, and its elapsed time counts.
local frame = {}

local function of_redis() return redis end -- the global table, which has only register_function while the library is loaded

-- Stands for the global table in all files of a library: has its functions, or ones that note the command and its key (take_redis).
local redis = {register_function = redis.register_function}

do -- local names of this file: all files of a library are one chunk, which may have 200 in all

local FORMAT = '2'
local SECOND = 1000000
local MINUTE = 60 * SECOND
local DIFFER_MOST = 100 -- workers named in an answer
local BEAT_MOST = 2 * SECOND -- growth of the time of heartbeats in one call: hosts are not taken for silent after an outage of Redis
local FIELDS = {'now', 'time', 'beat', 'n', 'format', 'hash', 'hours', 'maxmemory', 'born', 'away'}

local command_of, key_of -- of the last command, while they are noted

local function noting_call(command, ...)
    command_of, key_of = command, (...)
    return of_redis().call(command, ...)
end

-- Before anything else in a call. notes: the same function has failed before, so its commands are noted: its error can then name the last one.
local function take_redis(notes)
    local real = of_redis()
    redis.call, command_of = notes and noting_call or real.call, nil
    redis.pcall, redis.error_reply, redis.log, redis.LOG_WARNING = real.pcall, real.error_reply, real.log, real.LOG_WARNING
end

local cached_hash, cached_map -- the settings decoded last, by their hash (which is the same in any slot)

-- nil: they are not there, or cannot be read.
local function decode_settings(slot, hash)
    if hash ~= cached_hash then
        local ok, map = pcall(cmsgpack.unpack, redis.call('HGET', slot .. ':meta', 'settings'))
        if not ok or type(map) ~= 'table' then return nil end
        cached_map, cached_hash = map, hash
    end
    return cached_map
end

-- The growth of logical time in us. passed: the growth of TIME; elapsed: by the caller's clock (nil: not known). When TIME was set back the
-- time that has passed is not known: it grows by `elapsed`, by a second at most.
local function growth(passed, elapsed)
    if passed < -SECOND then return math.min(elapsed or 0, SECOND) end
    if elapsed and passed > elapsed + SECOND then return elapsed + SECOND end
    return math.max(passed, 0)
end

local function whole(x) return string.format('%.0f', x) end -- exact up to 2^53; tostring and .. have 14 digits
frame.text = whole

-- Parses a call's first argument: "<us since its last acknowledged call> <TIME of a TIMEGAP refusal since then>"; either may be missing.
local function said(text)
    local elapsed = tonumber(text)
    if elapsed or not text then return elapsed, nil end
    local first, second = text:match('^(%d*) ?(%d*)$')
    return tonumber(first), tonumber(second)
end

-- True when more time has passed by TIME than by the caller's clock, and the call may have been sent before Redis stood still.
local function is_stale(wall, last, elapsed, seen)
    if not elapsed or wall - last <= elapsed + SECOND then return false end
    return not seen or seen < last or wall - seen > SECOND
end

-- Reads the slot. Sets the fields of frame: slot, now (logical us), wall (TIME in us), beat, settings (nil: none), hours, maxmemory, born, away, number
-- (the last number drawn, as text; state.lua sets drawn when it draws more). Returns nil, or the error reply for the call.
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
    local now, beat = tonumber(meta[1]), tonumber(meta[3])
    frame.now = now and now + grown or wall
    frame.beat = beat and beat + math.min(grown, BEAT_MOST) or wall
    frame.number, frame.drawn, frame.hours, frame.settings = tonumber(meta[4]) and meta[4] or '0', nil, meta[7] or '0 0', nil
    frame.maxmemory, frame.born, frame.away = tonumber(meta[8]) or 0, tonumber(meta[9]) or 0, meta[10] == '1'
    if meta[5] ~= FORMAT and (meta[5] or meta[1]) then
        return redis.error_reply('WRONGFORMAT the state below ' .. slot .. ' has row format ' .. (meta[5] or '1') ..
            ', this library has ' .. FORMAT .. ': use a redis.prefix of its own, or stop all workers and delete the keys that begin with ' ..
            slot .. ' (leases are then rebuilt from container-assignment)')
    end
    if meta[6] then frame.settings = decode_settings(slot, meta[6]) end
end

-- Writes the time and the last number drawn. Every acknowledged call must do so, because its caller counts elapsed time from that call.
local function keep()
    local values = {'now', whole(frame.now), 'time', whole(frame.wall), 'beat', whole(frame.beat)}
    if frame.drawn then values[7], values[8] = 'n', frame.drawn end
    redis.call('HSET', frame.slot .. ':meta', unpack(values))
end

-- Reads the slot for a public function, which gets no elapsed time and works without settings. Returns the error reply or nil, now, settings.
function frame.look(slot)
    take_redis(false)
    local refused = read(slot, nil)
    return refused, frame.now, frame.settings
end

-- A logical time in the form that clients get: ms by Redis' clock.
function frame.told(us) return math.floor((us + frame.wall - frame.now) / 1000) end

-- The error reply for a function that failed, with the last command and its key if they were noted. An error of redis.call begins with Redis'
-- code and is passed on; a lack of memory becomes OOM; any other error is about the call's events and gets the code WPFN. (pcall returns a text or a table.)
local function failure(why)
    why = tostring(type(why) == 'table' and why.err or why)
    if command_of then why = why .. ' (at ' .. command_of .. ' ' .. tostring(key_of) .. ')' end
    why = why:gsub('[\r\n]', ' ')
    if why:find('^%u%u+ ') then return redis.error_reply(why) end
    if why:find('not enough memory', 1, true) then return redis.error_reply('OOM ' .. why) end
    return redis.error_reply('WPFN ' .. why)
end

local function is_error(reply) return type(reply) == 'table' and reply.err ~= nil end

local function has(flags, flag)
    for i = 1, #(flags or {}) do if flags[i] == flag then return true end end -- ipairs does not exist yet while the library is loaded
    return false
end

-- Registers the function wp_<name>_v2. Its first argument is the elapsed time; callback(keys, args) gets the others.
function frame.register(name, callback, flags)
    local writes, has_failed = not has(flags, 'no-writes'), false
    redis.register_function({function_name = 'wp_' .. name .. '_v2', flags = flags or {}, callback = function(keys, args)
        take_redis(has_failed)
        has_failed = true
        local is_read, refused = pcall(read, keys[1], table.remove(args, 1))
        if not is_read then return failure(refused) end
        if refused then return refused end
        if not frame.settings then return redis.error_reply('NOSETTINGS nobody has said the settings of ' .. keys[1] .. ' yet') end
        local ok, reply = pcall(callback, keys, args)
        if not ok then return failure(reply) end
        has_failed = false
        if writes and not is_error(reply) then keep() end
        return reply
    end})
end

-- Redis' maxmemory, taken from INFO, because workers may not call CONFIG.
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

-- Notes in the zset `<slot>:differ` which workers have other settings than those in force, by when they said so; a worker says its settings
-- every 10 s, so one that has said nothing for a minute is gone.
local function note_difference(worker, differs)
    local key = frame.slot .. ':differ'
    redis.call('ZREMRANGEBYSCORE', key, '-inf', whole(frame.now - MINUTE))
    if differs then redis.call('ZADD', key, whole(frame.now), worker) else redis.call('ZREM', key, worker) end
end

-- What the public functions say of the settings: by which worker those in force were read, when (ms), and the workers that have others. nil: there
-- are none.
function frame.settings_told()
    local kept = redis.call('HMGET', frame.slot .. ':meta', 'worker', 'read_at')
    if not kept[1] then return nil end
    local differ = redis.call('ZRANGEBYSCORE', frame.slot .. ':differ', whole(frame.now - MINUTE), '+inf', 'LIMIT', 0, DIFFER_MOST)
    return {worker = kept[1], read_at = tonumber(kept[2]), differ = #differ > 0 and differ or nil}
end

-- settings: args = elapsed_us, worker, read_at_ms, hash, map. The settings that were read last are in force, so two workers with different
-- ones do not replace each other's again and again. Reply: {1 when these are in force, else 0; hash in force; TIME in ms; format; worker that
-- has read those in force}.
local function set_settings(keys, args)
    local refused = read(keys[1], args[1])
    if refused then return refused end
    local key = keys[1] .. ':meta'
    local kept = redis.call('HMGET', key, 'hash', 'read_at', 'worker', 'born')
    local read_at, hash, worker, is = tonumber(args[3]), args[4], args[2], 1
    local kept_at = tonumber(kept[2]) or 0
    if not frame.settings or not kept[1] or (kept[1] ~= hash and read_at > kept_at) then
        redis.call('HSET', key, 'settings', args[5], 'hash', hash, 'read_at', whole(read_at), 'worker', worker, 'format', FORMAT)
    elseif kept[1] ~= hash then
        hash, worker, is = kept[1], kept[3] or '', 0
    elseif read_at > kept_at then
        redis.call('HSET', key, 'read_at', whole(read_at), 'worker', worker)
    end
    note_difference(args[2], is == 0)
    if not kept[4] then redis.call('HSET', key, 'born', whole(frame.wall)) end
    frame.keep_maxmemory()
    keep()
    return {is, hash, math.floor(frame.wall / 1000), tonumber(FORMAT), worker}
end

-- Registers a slot's functions settings and tick. An idle worker calls tick, so that the slot's time goes on.
function frame.register_slot(prefix)
    redis.register_function({function_name = 'wp_' .. prefix .. 'settings_v2', flags = {'allow-oom'}, callback = function(keys, args)
        take_redis(true)
        local ok, reply = pcall(set_settings, keys, args)
        return ok and reply or failure(reply)
    end})
    frame.register(prefix .. 'tick', function() return math.floor(frame.wall / 1000) end, {'allow-oom'})
end
end
