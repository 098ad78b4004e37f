-- Commands of many values: in parts of as many as unpack() takes.
local bulk = {MOST = 4000}

local MOST = bulk.MOST

-- HSET, ZADD and their like with a list of values; nothing when it is empty.
function bulk.write(command, key, values)
    local n = #values
    if n == 0 then return end
    if n <= MOST then
        redis.call(command, key, unpack(values))
        return
    end
    for i = 1, n, MOST do redis.call(command, key, unpack(values, i, math.min(i + MOST - 1, n))) end
end

-- The rows of a hash, false where there is none: an array in the order of the names.
function bulk.read(key, names)
    local n = #names
    if n == 0 then return {} end
    if n <= MOST then return redis.call('HMGET', key, unpack(names)) end
    local rows = {}
    for i = 1, n, MOST do
        local part = redis.call('HMGET', key, unpack(names, i, math.min(i + MOST - 1, n)))
        for k = 1, #part do rows[i + k - 1] = part[k] end
    end
    return rows
end

-- Those that are not known yet, which become known as false (absent), and how many.
function bulk.missing(known, names)
    local missing, n = {}, 0
    for i = 1, #names do
        local name = names[i]
        if known[name] == nil then
            n = n + 1
            missing[n], known[name] = name, false
        end
    end
    return missing, n
end
