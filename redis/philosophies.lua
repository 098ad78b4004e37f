-- Bounds the number of philosophies: pool.max_philosophies of them may have a pool, and as many may have usage samples; those that the
-- configuration names are never refused. When all places are taken a philosophy gives way that was not used for a week: one without
-- container, waiting request, resize, drain, configuration or sample.
--
-- Uses bulk.lua, state.lua and state_pools.lua (pools), and predictor.lua (samples).
--   :former hash  sums of the counters of pools that gave way (warm, cold, rejected, lost), so that totals never go down
--   :meta   field unused_from: the rank in :active at which the next search for unused philosophies begins
local philosophies = {}

do -- local names of this file: all files of a library are one chunk, which may have 200 in all

local WEEK = 7 * 24 * 3600 * 1000000 -- us
local LOOKS = 64                     -- philosophies checked in one call
local COUNTED = {'warm', 'cold', 'rejected', 'lost'}

local root, now, settings
local unused -- names that may give way in this call, oldest first; nil: not searched yet

function philosophies.begin(slot, time, map) root, now, settings, unused = slot, time, map, nil end

function philosophies.is_configured(name) return settings.configured ~= nil and settings.configured[name] or false end

-- The next philosophies without a request for a week, the oldest first; each search goes on where the one before stopped.
local function next_candidates()
    local from = tonumber(redis.call('HGET', root .. ':meta', 'unused_from') or 0)
    local before = state.number_text(now - WEEK)
    local function page(at) return redis.call('ZRANGEBYSCORE', root .. ':active', '-inf', before, 'LIMIT', at, LOOKS) end
    local names = page(from)
    if #names == 0 and from > 0 then from, names = 0, page(0) end
    return names, from
end

-- Adds philosophies by their samples, the oldest first, because those without a pool are not in :active.
local function add_sampled(names)
    local before = state.number_text(now - WEEK)
    local more = redis.call('ZRANGEBYSCORE', root .. ':sampled', '-inf', before, 'LIMIT', 0, LOOKS)
    for i = 1, #more do names[#names + 1] = more[i] end
end

-- True when a philosophy may give way. One that this call has used stays.
local function is_unused(name, pool_row, sampled_at)
    if state.known_pool(name) or predictor.is_known(name) or philosophies.is_configured(name) then return false end
    if sampled_at and sampled_at > now - WEEK then return false end
    local p = pool_row and state.parse_pool(pool_row)
    return not p or (state.is_empty(p) and p.active <= now - WEEK)
end

-- Fills `unused`. Philosophies that may not give way are not checked first again: in :active the next search begins behind them, in :sampled
-- they get the present time as their score.
local function search()
    local names, from = next_candidates()
    local active = #names
    add_sampled(names)
    unused = {}
    local rows, sampled, seen = bulk.read(root .. ':pools', names), predictor.sampled_at(names), {}
    for i, name in ipairs(names) do
        if is_unused(name, rows[i], sampled[i]) then
            if not seen[name] then unused[#unused + 1] = {name = name, row = rows[i], sampled = sampled[i]} end
            seen[name] = true
        elseif i > active then
            state.later({'ZADD', ':sampled', state.number_text(now), name})
        elseif #unused == 0 then
            from = from + 1
        end
    end
    state.later({'HSET', ':meta', 'unused_from', from})
end

local function give_way(one)
    local name = one.name
    if one.row then
        local p = state.parse_pool(one.row)
        for _, counter in ipairs(COUNTED) do
            if p[counter] > 0 then state.first({'HINCRBY', ':former', counter, state.number_text(p[counter])}) end
        end
    end
    state.first({'HDEL', ':pools', name})
    state.first({'ZREM', ':active', name})
    state.first({'ZREM', ':hungry', name})
    state.first({'ZREM', ':thin', name})
    state.first({'ZREM', ':held', name})
    state.first({'ZREM', ':deadline', 'b' .. name, 'f' .. name, 'i' .. name, 'p' .. name})
    state.forget_pool(name)
    predictor.remove(name)
end

-- Lets a philosophy give way, if any may. had(one): true when that frees the kind of place that is needed.
local function make_place(had)
    if not unused then search() end
    for i = 1, #unused do
        local one = unused[i]
        if one and had(one) then
            give_way(one)
            unused[i] = false
            return true
        end
    end
    return false
end

local function has_pool(one) return one.row and true or false end
local function has_samples(one) return one.sampled end

-- The pool of a philosophy, made when there is none; nil when there are too many.
function philosophies.pool(name)
    local p = state.pool(name)
    if p then return p end
    local free = philosophies.is_configured(name) or state.count_pools() < settings.max_philosophies or make_place(has_pool)
    return free and state.new_pool(name) or nil
end

-- True when samples of that philosophy may be kept.
function philosophies.may_have_samples(name)
    return predictor.has_samples(name) or philosophies.is_configured(name) or predictor.count() < settings.max_philosophies or
        make_place(has_samples)
end

-- The reason in a rejection.
function philosophies.too_many()
    return 'too_many_philosophies: pool.max_philosophies is ' .. state.number_text(settings.max_philosophies) ..
        ' and all of them were used within a week; check the spelling of the philosophy, or raise it'
end
end
