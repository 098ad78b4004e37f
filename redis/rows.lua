-- The bytes of the rows that requests and containers have in Redis: packed and read here alone. Keeps nothing, reads and writes nothing.
--
--   :req  of a lease: "l", flags (1: a warm start, 2: a claim was bound), "<philosophy> <tenant>", container, agent and keys, each with its
--         length before it, epoch, startup (us), then MessagePack: when it expires (ms, 0: never), wait (us), tier, parts of the startup, and
--         the prediction that was given (predictor.given). keys: MessagePack, the record's key (nil: the
--         request id) and trace header
--         of one that waits (w) or is being bound (b): MessagePack, its fields (state.lua)
--         of one that is over: MessagePack, e (ended) or x (released before it was seen), and the second
--   :c    of a container: its address with its length before it, and `common` likewise: what others may have as well, MessagePack:
--         host, cpu, memory, image, philosophy
--   :is   of a container: the request that leases it, or a line feed (no id has one) and "c<created us>" (creating), "i<number><reuse key>"
--         (idle; paused when the key begins with a tab), "r<number> <reuse key>" (resetting) or "e" (ending)
--   an entry of an idle list: "<number> <container>". The number is of this idle spell and is the time in us when it began; an entry whose
--         number is not that of the container's row is stale.
local rows = {}

do -- local names of this file: all files of a library are one chunk, which may have 200 in all

local LEASE_HEAD, STATIC = '>BBBc0Hc0Hc0', '>Hc0Hc0' -- In: a number of n bytes; B, H: of 1 and 2; c0: as many as the number before it
local LEASE, WARM, BOUND = 108, 1, 2 -- a lease's first byte; flags
local NUMBER_END, ENTRY_ID = 16, 18  -- of an idle spell; where an entry's container begins

-- What the fast path (warm.lua) puts together or reads itself.
rows.LEASE, rows.LEASE_HEAD, rows.BOUND = LEASE, LEASE_HEAD, BOUND
rows.LEASE_NUMBERS = '>I7I6' -- epoch and startup
rows.STATIC, rows.ENTRY_ID = STATIC, ENTRY_ID

local pack, unpack_all, struct_pack, struct_unpack, format, sub -- the global tables are not there yet while the library is loaded

function rows.begin()
    pack, unpack_all, struct_pack, struct_unpack = cmsgpack.pack, cmsgpack.unpack, struct.pack, struct.unpack
    format, sub = string.format, string.sub
end

-- Leases ------------------------------------------------------------------------------------------------------------------------

-- A lease's row is begin .. length of the container's id .. that .. agent and keys .. numbers .. tail.
function rows.lease_begin(name, tenant, warm, bound)
    local whose = name .. ' ' .. tenant
    return struct_pack('>BBBc0', LEASE, (warm and WARM or 0) + (bound and BOUND or 0), #whose, whose)
end

function rows.length(text) return struct_pack('>H', #text) end

-- As the worker packs it for a plain acquire.
function rows.agent_and_keys(agent, keys) return struct_pack('>Hc0Hc0', #agent, agent, #keys, keys) end

-- Of those, the keys.
function rows.keys_of(agent_and_keys, agent) return sub(agent_and_keys, 5 + #agent) end

function rows.lease_tail(expires, wait, tier, parts, given) return pack(expires, wait, tier, parts) .. given end

function rows.lease(r, cid, warm, bound, epoch, startup, tail)
    return rows.lease_begin(r.name, r.tenant, warm, bound) .. rows.length(cid) .. cid .. rows.agent_and_keys(r.agent, r.keys) ..
        struct_pack(rows.LEASE_NUMBERS, epoch, startup) .. tail
end

function rows.is_lease(row) return row:byte(1) == LEASE end

-- philosophy, tenant, container, agent, whether a claim was bound
function rows.lease_whose(row)
    local _, flags, whose, cid, agent = struct_unpack(LEASE_HEAD, row)
    local space = whose:find(' ', 1, true)
    return sub(whose, 1, space - 1), sub(whose, space + 1), cid, agent, flags >= BOUND
end

-- Whether its container was given a claim.
function rows.is_bound(row) return row:byte(2) >= BOUND end

-- All that its answer had, but for what its container's row says.
function rows.lease_answer(row)
    local _, flags, _, _, _, keys, epoch, startup, at = struct_unpack('>BBBc0Hc0Hc0Hc0I7I6', row)
    local expires, wait, tier, parts, given = unpack_all(sub(row, at))
    return {warm = flags % 2 == WARM, bound = flags >= BOUND, keys = keys, epoch = epoch, expires = expires, startup = startup, wait = wait,
        tier = tier, parts = parts, given = given}
end

-- Containers --------------------------------------------------------------------------------------------------------------------

function rows.static(name, host, address, cpu, memory, image)
    local common = pack(host, cpu, memory, image, name)
    return struct_pack(STATIC, #address, address, #common, common)
end

-- philosophy, host, address, cpu, memory, image
function rows.static_fields(row)
    local address, common = struct_unpack(STATIC, row)
    local host, cpu, memory, image, name = unpack_all(common)
    return name, host, address, cpu, memory, image
end

-- Idle spells.

function rows.number(us) return format('%016d', us) end

function rows.idle(number, reuse) return '\ni' .. number .. reuse end

-- number as text, reuse key
function rows.idle_fields(is) return sub(is, 3, 2 + NUMBER_END), sub(is, 3 + NUMBER_END) end

function rows.entry(number, id) return number .. ' ' .. id end

-- container, number as text
function rows.entry_fields(entry) return sub(entry, ENTRY_ID), sub(entry, 1, NUMBER_END) end
end
