-- The byte format of the rows of requests and containers, packed and unpacked only here (and in the fast path, warm.lua). Pure. Uses no other
-- file.
--
--   :req  of a lease: "l", flags (1: a warm start, 2: a claim was bound, 4: tenants.lua counts it), "<philosophy> <tenant>", container, agent and keys, each with its
--         length before it, epoch, startup (us), then MessagePack: when it expires (ms, 0: never), wait (us), tier, parts of the startup, and
--         the prediction of its answer (predictor.given). keys: MessagePack of the record's key (nil: the request id) and trace header
--         of a request that waits (w) or whose container is being bound (b): MessagePack, its fields (state.lua), of which
--         TOUCHED is 2 when tenants.lua counts it
--         of a request that is over: MessagePack, e (ended) or x (released before its acquire was read), and when, in seconds
--   :c    of a container: its address, and the fields that other containers may have in common, each with its length before it. Common fields,
--         as MessagePack: host, cpu, memory, image, philosophy; while it is made for a request also that one's tenant. Then, of one that is
--         outdated (rollout.lua), "o"
--   :is   of a container: the request that leases it, or a line feed (no id has one) and "c<created us>" (creating), "i<number><reuse key>"
--         (idle; paused when the key begins with a tab), "r<number> <reuse key>" (resetting), "a<reuse key>" (away: it
--         would be idle, but its host's engine is away) or "e" (ending)
--   an entry of an idle list: "<number> <container>". The number identifies the idle spell and is the time in us when it began. An entry is
--         stale when the container's row does not have its number.
local rows = {}

do -- local names of this file: all files of a library are one chunk, which may have 200 in all

local LEASE_HEAD, STATIC = '>BBBc0Hc0Hc0', '>Hc0Hc0' -- In: a number of n bytes; B, H: of 1 and 2; c0: as many as the number before it
local LEASE, WARM, BOUND, COUNTED = 108, 1, 2, 4 -- a lease's first byte ("l"); flags
local NUMBER_END, ENTRY_ID = 16, 18  -- length of an idle spell's number; where the container begins in an entry

-- For the fast path (warm.lua), which packs and unpacks these itself.
rows.LEASE, rows.LEASE_HEAD, rows.BOUND, rows.COUNTED = LEASE, LEASE_HEAD, BOUND, COUNTED
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
    return struct_pack('>BBBc0', LEASE, COUNTED + (warm and WARM or 0) + (bound and BOUND or 0), #whose, whose)
end

function rows.length(text) return struct_pack('>H', #text) end

-- The same bytes as the worker packs for a plain acquire.
function rows.agent_and_keys(agent, keys) return struct_pack('>Hc0Hc0', #agent, agent, #keys, keys) end

-- The keys in agent_and_keys.
function rows.keys_of(agent_and_keys, agent) return sub(agent_and_keys, 5 + #agent) end

function rows.lease_tail(expires, wait, tier, parts, given) return pack(expires, wait, tier, parts) .. given end

function rows.lease(r, cid, warm, bound, epoch, startup, tail)
    return rows.lease_begin(r.name, r.tenant, warm, bound) .. rows.length(cid) .. cid .. rows.agent_and_keys(r.agent, r.keys) ..
        struct_pack(rows.LEASE_NUMBERS, epoch, startup) .. tail
end

function rows.is_lease(row) return row:byte(1) == LEASE end

local function has_claim(flags) return flags % COUNTED >= BOUND end

-- philosophy, tenant, container, agent, whether tenants.lua counts it
function rows.lease_whose(row)
    local _, flags, whose, cid, agent = struct_unpack(LEASE_HEAD, row)
    local space = whose:find(' ', 1, true)
    return sub(whose, 1, space - 1), sub(whose, space + 1), cid, agent, flags >= COUNTED
end

-- True when a claim was bound to the lease's container.
function rows.is_bound(row) return has_claim(row:byte(2)) end

-- The fields of the lease's answer that are not in its container's row.
function rows.lease_answer(row)
    local _, flags, _, _, _, keys, epoch, startup, at = struct_unpack('>BBBc0Hc0Hc0Hc0I7I6', row)
    local expires, wait, tier, parts, given = unpack_all(sub(row, at))
    return {warm = flags % 2 == WARM, bound = has_claim(flags), keys = keys, epoch = epoch, expires = expires, startup = startup, wait = wait,
        tier = tier, parts = parts, given = given}
end

-- Containers --------------------------------------------------------------------------------------------------------------------

-- tenant: nil, or that of the request that it is being made for.
function rows.static(name, host, address, cpu, memory, image, tenant, outdated)
    local common = tenant and pack(host, cpu, memory, image, name, tenant) or pack(host, cpu, memory, image, name)
    return struct_pack(STATIC, #address, address, #common, common) .. (outdated and 'o' or '')
end

-- philosophy, host, address, cpu, memory, image, whether it is outdated, tenant
function rows.static_fields(row)
    local address, common, at = struct_unpack(STATIC, row)
    local host, cpu, memory, image, name, tenant = unpack_all(common)
    return name, host, address, cpu, memory, image, at <= #row, tenant
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
