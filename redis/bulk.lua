-- Redis commands with many values, split so that unpack() can pass them (it takes some 8000). Uses no other file.
local bulk = {MOST = 4000}

local MOST = bulk.MOST

-- Sends a command such as HSET or ZADD with a list of values, from number `from` on (nil: all); nothing when there are none.
function bulk.write(command, key, values, from)
    local n, first = #values, from or 1
    if n < first then return end
    if n - first < MOST then
        redis.call(command, key, unpack(values, first, n))
        return
    end
    for i = first, n, MOST do redis.call(command, key, unpack(values, i, math.min(i + MOST - 1, n))) end
end

-- The replies of a command that has one for each name, such as HMGET.
function bulk.ask(command, key, names)
    local n = #names
    if n == 0 then return {} end
    if n <= MOST then return redis.call(command, key, unpack(names)) end
    local rows = {}
    for i = 1, n, MOST do
        local part = redis.call(command, key, unpack(names, i, math.min(i + MOST - 1, n)))
        for k = 1, #part do rows[i + k - 1] = part[k] end
    end
    return rows
end

-- The values of a hash's fields, in the order of the names; false where there is none.
function bulk.read(key, names) return bulk.ask('HMGET', key, names) end

-- The names that are not in `known` yet, and how many they are. They become known as false (absent): the caller fills in what it reads.
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
