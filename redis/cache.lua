-- The operations of the cache and its batches: cache.batch, apply and reread are the topic of delivery.lua. Plain gets and sets come as columns
-- and are answered by columns (redis/README.md, kind 8); other events come as rows. Uses cache_store.lua and its arrays, and cache_eviction.lua.
local cache = {}

local EXPIRED_A_CALL = 20
local VALUES_MAX = 4 * 1024 * 1024 -- bytes of values in the records of a call
local ENVELOPE = 320                -- bytes of an answer beside its value and the event's fields: names of fields, framing
local JSON_MOST = 6                -- a byte of a value takes 6 bytes as JSON at most (\u0000)
local TTL_MAX = 3155760000         -- a hundred years, so that times stay exact

local PLAIN_BYTES = 16               -- about the size of a set's answer in the stored results
local NEW, REPLACED, MISS, HIT = 0, 1, 2, 3 -- answers to plain sets (NEW, REPLACED) and gets

-- ---- the operations on an entry ----

local function count_lookup(state, ns, what)
    state.totals[what] = state.totals[what] + 1
    if store.make_known(state, ns, false) then ns[what] = ns[what] + 1 end
end

-- True when Kafka takes an answer with the value. length: the value's bytes; as_json: an upper bound of its bytes as JSON (0: not counted, then
-- JSON_MOST for each byte); envelope: the bytes of the event that the answer repeats.
local function fits(state, length, as_json, envelope)
    local room = (state.settings.answer_bytes or math.huge) - ENVELOPE - envelope
    return (state.settings.answer_json and (as_json > 0 and as_json or JSON_MOST * length) or length) <= room
end

-- Looks up an entry for a get: the live entry, or nil and the reason when it is not given.
local function look_up(state, ns, key, envelope)
    if not state.settings.enabled then return nil, 'disabled' end
    local e = store.find(state, ns, key)
    if e and not fits(state, bytes[e] - #key, state.settings.answer_json and store.json_bytes(e), envelope) then return nil, 'too_large' end
    return e
end

local function ttl_left(state, e) return math.ceil((expires[e] - state.now) / 1000000) end

-- A get. Returns the entry, or false and a reason; nil: the call must end before this event.
local function get(state, ns, key, envelope, first)
    local e, reason = look_up(state, ns, key, envelope)
    if not e then
        count_lookup(state, ns, 'misses')
        return false, reason
    end
    local length = bytes[e] - #key
    if not first and state.value_bytes + length > VALUES_MAX then return nil end
    state.value_bytes = state.value_bytes + length
    count_lookup(state, ns, 'hits')
    count[e] = count[e] + 1
    store.use(state, ns, e)
    return e
end

-- A set. Returns whether it replaced a live entry, the ttl or false, and a reason when it was refused; nil: the call must end before this event.
local function set(state, ns, key, text, ttl, as_json, envelope, first)
    local settings = state.settings
    if not settings.enabled then return false, false, 'disabled' end
    local old, size, refused = store.find(state, ns, key), #key + #text, nil
    ttl = ttl or settings.ttl[ns.name] or settings.default_ttl
    if ttl > TTL_MAX then ttl = TTL_MAX end
    local _, most_bytes = store.limits_of(settings, ns.name)
    if #text > settings.max_value_bytes or size > math.min(state.max_bytes, most_bytes) or not fits(state, #text, as_json, envelope) then
        refused = 'too_large'
    elseif ttl > 0 and not store.make_known(state, ns, true) then
        refused = 'too_many_namespaces'
    elseif ttl > 0 then
        if old then -- used now, so that it is not evicted to make room for its own new value
            state.totals.uses = state.totals.uses + 1
            use[old], ns.moved = state.totals.uses, true
        end
        local entries, more = old and 0 or 1, size - (old and bytes[old] or 0)
        if not (eviction.make_room_in(state, ns, entries, more) and eviction.make_room(state, entries, more)) then
            if not first then return nil end
            refused = 'no_room'
        end
        if old and ns.entries[key] ~= old then old = nil end -- the cache began anew
    end
    if not refused and ttl > 0 then
        store.put(state, ns, key, text, ttl, as_json, old)
    elseif old then
        store.remove(state, ns, key, old) -- also when the new value was refused: the old one is stale
    end
    return old ~= nil, not refused and ttl, refused
end

-- ---- events that come as rows: event -> record, or nil when the call must end before it ----

local function answer(event, hit, ttl, reason, number)
    return {3, event[2], event[3], event[4], event[5], event[6], event[7], hit, false, ttl, reason or '', number or false}
end

local ops = {}

function ops.set(state, event, first)
    local envelope = #event[2] + #event[3] + 2 * (#event[4] + #event[6] + #event[7])
    local hit, ttl, reason = set(state, store.namespace(state, event[6]), event[7], event[8], event[9], event[11] or 0, envelope, first)
    if hit == nil then return nil end
    return answer(event, hit, ttl, reason)
end

function ops.invalidate(state, event)
    local ns = store.namespace(state, event[6])
    local entry = store.find(state, ns, event[7])
    if entry then store.remove(state, ns, event[7], entry) end
    return answer(event, entry ~= nil, false)
end

function ops.clear(state, event)
    local cleared = event[6] == '' and store.clear_all(state) or store.clear(state, store.namespace(state, event[6]))
    return answer(event, cleared > 0, false, nil, cleared)
end

-- Several workers may publish the same resize: only the first one with an event id counts.
function ops.resize(state, event)
    local id, key = event[4], state.slot .. ':resized'
    if not state.resized[id] and not redis.call('ZSCORE', key, id) then
        state.totals.uses = state.totals.uses + 1
        state.resized[id] = state.totals.uses
        state.totals.limit, state.limit = event[10], event[10]
        eviction.make_room(state, 0, 0)
    end
    return answer(event, false, false, nil, state.limit)
end

-- Why an event cannot be handled; nil: it can. Workers check the same before.
local function fault(event)
    local op = event[5]
    if not ops[op] and op ~= 'get' then return 'unknown op' end
    if op == 'resize' then return (event[10] or 0) < 1 and 'a resize needs a count of at least 1' or nil end
    if op == 'clear' then return nil end
    if event[6] == '' or event[7] == '' then return op .. ' needs a namespace and a key' end
    if op == 'get' then return 'a get comes as columns' end
    if op ~= 'set' then return nil end
    if event[8] == false then return 'a set needs a value' end
    if event[9] and event[9] < 0 then return 'ttl_seconds is negative' end
end

local function apply_row(state, event, first)
    local wrong = fault(event)
    if wrong then return {5, event[2], event[3], wrong} end
    if state.settings.enabled then return ops[event[5]](state, event, first) end
    return answer(event, false, false, 'disabled')
end

-- ---- a batch ----

local COLUMNS = {'offsets', 'groups', 'keys', 'envelopes', 'values', 'jsons', 'dictionary', 'rows'}

-- Makes a batch with named columns; its first `done` events are left out. place_of: an event's place in the columns of sets, or among the rows.
function cache.batch(values, done)
    local b, n, sets, place_of = {first = done + 1}, 0, 0, {}
    for i, name in ipairs(COLUMNS) do b[name] = values[i] end
    local groups, is_set = b.groups, {}
    for g, word in ipairs(b.dictionary) do is_set[g] = word[1] == 'set' end
    b.is_set, b.place_of = is_set, place_of
    if #b.values == 0 and #b.rows == 0 then return b end -- all are gets
    for i = 1, #groups do
        local g = groups[i]
        if g == 0 then
            n = n + 1
            place_of[i] = n
        elseif is_set[g] then
            sets = sets + 1
            place_of[i] = sets
        end
    end
    return b
end

-- Reads the entries that a batch names, with one command for each namespace. b.spaces: the namespace of each group (word of the dictionary).
local function prepare(state, b)
    local spaces, groups, keys = {}, b.groups, b.keys
    local only = #b.rows == 0 and b.first == 1 and b.dictionary[1] and b.dictionary[1][2]
    for g, word in ipairs(b.dictionary) do
        spaces[g] = store.namespace(state, word[2])
        only = only == word[2] and only
    end
    b.spaces = spaces
    if only then
        store.read(state, spaces[1], keys)
        return
    end
    local wanted, counts = {}, {} -- by namespace
    local function add(ns, key)
        local n = counts[ns] or 0
        if n == 0 then wanted[ns] = {} end
        wanted[ns][n + 1], counts[ns] = key, n + 1
    end
    for i = b.first, #groups do
        local ns = spaces[groups[i]]
        if ns then
            add(ns, keys[i])
        else
            local event = b.rows[b.place_of[i]]
            if event[6] ~= '' and event[7] ~= '' then add(store.namespace(state, event[6]), event[7]) end
        end
    end
    for ns, names in pairs(wanted) do store.read(state, ns, names) end
end

-- The answers to plain events as columns. hows: NEW and so on; ttls: the ttl, false or a reason; sets: how many answer sets. Of the hits, in
-- their order: entries and keys; own: by place in `entries`, the value of one that the call has set itself; is_mixed: see store.values.
local function plain()
    return {offsets = {}, hows = {}, ttls = {}, n = 0, sets = 0, entries = {}, keys = {}, own = {}, hits = 0, is_mixed = false}
end

local function add_plain(answers, offset, how, ttl)
    local n = answers.n + 1
    answers.n, answers.offsets[n], answers.hows[n], answers.ttls[n] = n, offset, how, ttl
    if how <= REPLACED then answers.sets = answers.sets + 1 end
end

local function add_hit(state, answers, offset, e)
    local hits = answers.hits + 1
    answers.hits, answers.entries[hits], answers.keys[hits], answers.own[hits] = hits, e, key_of[e], value[e]
    answers.is_mixed = answers.is_mixed or value[e] ~= nil or space_of[e] ~= space_of[answers.entries[1]]
    add_plain(answers, offset, HIT, ttl_left(state, e))
end

-- The answers that are stored: those to sets. Gets are not stored but read again (cache.reread), because they change nothing but counters.
local function stored(answers)
    local kept = plain()
    for i = 1, answers.n do
        if answers.hows[i] <= REPLACED then add_plain(kept, answers.offsets[i], answers.hows[i], answers.ttls[i]) end
    end
    return kept
end

local function record(answers) return {8, answers.offsets, answers.hows, answers.ttls} end

-- Adds the record of all plain answers of a batch, as its last one, and the values of its hits. Writes nothing.
local function add_record(state, records, answers)
    if answers.n == 0 then return end
    if answers.hits > 0 then records.values = store.values(state, answers.entries, answers.keys, answers.own, answers.is_mixed) end
    local n = records.n + 1
    records.n, records[n], records.offsets[n] = n, record(answers), answers.offsets[1]
    if answers.sets == answers.n then return end -- all of it is stored
    local kept = answers.sets > 0 and stored(answers)
    records.stored = {n = n, record = kept and record(kept), offset = kept and kept.offsets[1]}
end

-- Handles the batch's events from the i-th on while they are gets that hit: as get() does for one, in a loop without calls. Returns the first
-- event that is not.
local function apply_hits(state, b, i, answers)
    local groups, keys, offsets, envelopes, spaces, is_set, now = b.groups, b.keys, b.offsets, b.envelopes, b.spaces, b.is_set, state.now
    local uses, before, number, size, ttl_now = state.uses, state.before, state.totals.uses, state.value_bytes, now - 999999
    local room = (state.settings.answer_bytes or math.huge) - ENVELOPE
    local out, hows, ttls, hit, hit_keys, own = answers.offsets, answers.hows, answers.ttls, answers.entries, answers.keys, answers.own
    local n, hits, last = answers.n, answers.hits, #groups
    local first, g_last, ns, entries, ns_hits = n, nil, nil, nil, hits -- ns_hits: hits before those of ns
    if not state.settings.enabled or state.settings.answer_json then return i end
    while i <= last do
        local g = groups[i]
        if g ~= g_last then
            if ns then ns.hits = ns.hits + hits - ns_hits end
            ns_hits = hits
            ns, g_last = not is_set[g] and spaces[g], g
            if not ns or not store.make_known(state, ns, false) then break end
            entries, ns.moved = ns.entries, true
            if hits > 0 and space_of[hit[1]] ~= ns then answers.is_mixed = true end
        end
        local key = keys[i]
        local e = entries[key]
        if not e or expires[e] <= now then break end
        local length = bytes[e] - #key
        if length + envelopes[i] > room or size + length > VALUES_MAX then break end
        size, number, n, hits = size + length, number + 1, n + 1, hits + 1
        count[e], use[e], uses[number - before] = count[e] + 1, number, e
        hit[hits], hit_keys[hits] = e, key
        if value[e] then own[hits], answers.is_mixed = value[e], true end
        local ttl = (expires[e] - ttl_now) / 1000000
        out[n], hows[n], ttls[n] = offsets[i], HIT, ttl - ttl % 1
        i = i + 1
    end
    if ns then ns.hits = ns.hits + hits - ns_hits end
    state.totals.hits, state.totals.uses, state.value_bytes = state.totals.hits + n - first, number, size
    answers.n, answers.hits = n, hits
    return i
end

-- Handles the events of a batch. Returns the last offset handled (nil: none), and whether the call must end. first: this is the call's first
-- event, which is always handled.
local function apply_batch(state, b, records, first)
    local offsets, groups, keys, envelopes, i, done = b.offsets, b.groups, b.keys, b.envelopes, b.first, nil
    local is_set, answers = b.is_set, plain()
    records.plain = answers
    while i <= #offsets do
        local g = groups[i]
        local after = is_set[g] == false and apply_hits(state, b, i, answers) or i
        if after > i then
            i, done, first = after, offsets[after - 1], false
            if i > #offsets then break end
            g = groups[i]
        end
        if g == 0 then
            local one = apply_row(state, b.rows[b.place_of[i]], first)
            if not one then return done, true end
            delivery.add(records, offsets[i], one)
        elseif not is_set[g] then
            local e, reason = get(state, b.spaces[g], keys[i], envelopes[i], first)
            if e == nil then return done, true end
            if e then add_hit(state, answers, offsets[i], e) else add_plain(answers, offsets[i], MISS, reason or false) end
        else
            local place = b.place_of[i]
            local hit, ttl, reason = set(state, b.spaces[g], keys[i], b.values[place], b.dictionary[g][3], b.jsons[place] or 0, envelopes[i], first)
            if hit == nil then return done, true end
            add_plain(answers, offsets[i], hit and REPLACED or NEW, reason or ttl)
            records.bytes = records.bytes + PLAIN_BYTES
        end
        i, done, first = i + 1, offsets[i], false
        if records.bytes > b.room then return done, true end
    end
    return done, false
end

-- Reads gets again whose answers were lost, without counting them: those among the first `most` events with offsets in from .. to. They are
-- answered with the present values. reply.bytes: bytes of values in the reply so far. Returns records, and the first offset for which there was
-- no room (nil: there was room for all).
function cache.reread(values, most, from, to, reply)
    local state, records, b, left = store.open(frame.slot, frame.now, frame.settings), delivery.records(), cache.batch(values, 0), nil
    local answers = plain()
    prepare(state, b)
    for i = 1, most do
        local ns, offset = b.spaces[b.groups[i]], b.offsets[i]
        if ns and not b.is_set[b.groups[i]] and offset >= from and offset <= to then
            local key = b.keys[i]
            local e, reason = look_up(state, ns, key, b.envelopes[i])
            local length = e and bytes[e] - #key or 0
            if answers.n > 0 and reply.bytes + length > VALUES_MAX then
                left = offset
                break
            end
            reply.bytes = reply.bytes + length
            if e then add_hit(state, answers, offset, e) else add_plain(answers, offset, MISS, reason or false) end
        end
    end
    add_record(state, records, answers)
    return records, left
end

-- topic.apply (delivery.lua): handles the batches one after the other, as if they were one.
function cache.apply(batches, now, settings, slot)
    local state, lists, applied, enough = store.open(slot, now, settings), {}, {}, false
    for _, b in ipairs(batches) do prepare(state, b) end
    for _ = 1, EXPIRED_A_CALL do
        if not eviction.remove_expired(state) then break end
    end
    eviction.make_room(state, 0, 0)
    for k, b in ipairs(batches) do
        lists[k] = delivery.records()
        applied[k], enough = apply_batch(state, b, lists[k], k == 1)
        if enough then break end
    end
    for _, records in ipairs(lists) do add_record(state, records, records.plain) end
    store.save(state)
    return lists, applied
end

-- Removes expired entries, and goes on with a resize, within the call's budget. Returns how many entries were removed.
function cache.sweep(slot, now, settings)
    local state = store.open(slot, now, settings)
    local before = state.totals.size
    while state.budget > 0 and eviction.remove_expired(state) do end
    eviction.make_room(state, 0, 0)
    eviction.keep_limits(state)
    if state.totals.size < before or state.all_cleared then store.save(state) else store.drop_cleared(state) end
    return before - state.totals.size
end
