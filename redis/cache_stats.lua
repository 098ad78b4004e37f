-- The public functions of the cache: their answers. Reads only. Uses frame.lua and cache_store.lua.
local cache_stats = {}

function cache_stats.entry(slot, now, name, key)
    local packed = redis.call('HGET', slot .. ':m:' .. name, key)
    if not packed or store.is_pending(slot, name) then return {} end
    local reads, used, ends, size, _, was_created = store.row(packed)
    if ends <= now then return {} end
    return {created = frame.told(was_created), expires = frame.told(ends), access_count = reads, last_accessed = frame.told(used), bytes = size}
end

local function hit_rate(hits, misses)
    if hits + misses == 0 then return 0 end
    return math.floor(hits * 10000 / (hits + misses) + 0.5) / 100
end

function cache_stats.all(slot, now, settings)
    local totals, namespaces = store.totals(slot), {}
    local rows, cleared = redis.call('HGETALL', slot .. ':ns'), {}
    for _, name in ipairs(redis.call('ZRANGE', slot .. ':cleared', 0, -1)) do cleared[name] = true end
    for i = 1, #rows, 2 do
        local size, bytes, hits, misses = unpack(cmsgpack.unpack(rows[i + 1]))
        if cleared[rows[i]] then size, bytes = 0, 0 end
        local max_size, max_bytes = store.limits_of(settings, rows[i])
        namespaces[rows[i]] = {size = size, bytes = bytes, hits = hits, misses = misses, hit_rate_percent = hit_rate(hits, misses),
            max_size = max_size < math.huge and max_size or nil, max_bytes = max_bytes < math.huge and max_bytes or nil}
    end
    return {size = totals.size, max_size = totals.limit > 0 and totals.limit or settings.max_entries or 0, hits = totals.hits,
            misses = totals.misses, hit_rate_percent = hit_rate(totals.hits, totals.misses), bytes = totals.bytes,
            max_bytes = store.max_bytes(settings), evictions = totals.evictions, expired = totals.expired,
            now = frame.told(now), settings = frame.settings_told(), namespaces = namespaces}
end
