-- Packs the answers to acquires as records: an array for each (redis/README.md, kind 1), or columns in one record for all warm starts of a batch
-- (kind 7), without the fields that are in the events' own messages. Uses rows.lua, predictor.lua, and the containers of state.lua.
local answers = {}

do -- local names of this file: all files of a library are one chunk, which may have 200 in all

local STATE, POOL, AGENT, TENANT, KEYS = 1, 2, 3, 4, 5 -- of a request, as in state.lua
local pack, struct_unpack -- the global tables do not exist yet while the library is loaded

function answers.begin() pack, struct_unpack = cmsgpack.pack, struct.unpack end

-- The fields of a container in an answer.
function answers.container(cid, c)
    local host, address, cpu, memory = state.details(cid, c)
    return {cid, host, address, cpu, memory, c[state.IMAGE]}
end

local NO_CONTAINER = {'', '', '', 0, 0, ''}

-- container: {id, host, address, cpu, memory, image}, or nil; rest: warm, startup, wait, epoch, expires, reason, retry_after, tier, parts,
-- bound, and given (the prediction that the lease's row has kept; nil: the present one). Bytes 220 0 24: a MessagePack array of 24 values.
function answers.record(id, r, container, status, rest)
    local c = container or NO_CONTAINER
    local prediction = rest.given and predictor.of_given(r[POOL], rest.given) or predictor.packed(r[POOL])
    return '\220\000\024\001' .. pack(r[AGENT], r[TENANT], r[POOL], c[1], c[2], c[3], {c[4], c[5]}, c[6]) .. r[KEYS] ..
        pack(id, status, rest.warm or false, rest.startup or 0, rest.wait or 0, rest.epoch or 0, rest.expires or 0) .. prediction ..
        pack(rest.reason or '', rest.retry_after or 0, rest.tier or '', rest.parts, rest.bound or false)
end

-- The row of a lease, made of the fields of its answer.
function answers.lease_row(r, cid, rest, given)
    return rows.lease({name = r[POOL], tenant = r[TENANT], agent = r[AGENT], keys = r[KEYS]}, cid, rest.warm, rest.bound, rest.epoch,
        rest.startup, rows.lease_tail(rest.expires, rest.wait, rest.tier, rest.parts, given))
end

-- Packs the answer of a lease again.
function answers.again(id, r)
    local lease = rows.lease_answer(r[state.ROW])
    r[KEYS] = lease.keys
    local container = answers.container(r[state.CONTAINER], state.leased_container(r))
    return answers.record(id, r, container, 'assigned', lease)
end

-- Columns -----------------------------------------------------------------------------------------------------------------------

-- The columns of a batch's warm starts, in the order of the events. runs: three values for each run of events whose offsets and epochs grow by
-- one: its length, its first offset and its first epoch.
function answers.columns() return {n = 0, runs = {}, ages = {}, containers = {}, statics = {}} end

-- Adds `count` events of the batch from number i on, whose epochs grow by one from `epoch`.
function answers.add_run(columns, b, i, count, epoch)
    local offsets, runs, from = b.offsets, columns.runs, i
    local last = i + count - 1
    while from <= last do
        local to = last
        if offsets[last] - offsets[from] > last - from then -- the offsets have a gap
            to = from
            while offsets[to + 1] == offsets[to] + 1 and to < last do to = to + 1 end
        end
        local n = #runs
        runs[n + 1], runs[n + 2], runs[n + 3] = to - from + 1, offsets[from], epoch + from - i
        from = to + 1
    end
    if count == #offsets then
        columns.ages = b.ages
    else
        for k = i, last do columns.ages[columns.n + 1 + k - i] = b.ages[k] end
    end
    columns.n = columns.n + count
end

-- Adds the record: the columns, the fields that containers have in common (each combination once), and the predictions of the philosophies.
function answers.add_columns(records, columns, expires, predictions)
    local addresses, commons, common_of, list = {}, {}, {}, {}
    local STATIC, statics = rows.STATIC, columns.statics
    for i = 1, columns.n do
        local address, common = struct_unpack(STATIC, statics[i])
        local number = common_of[common]
        if not number then
            number = #list + 1
            list[number], common_of[common] = common, number
        end
        addresses[i], commons[i] = address, number
    end
    local n = records.n + 1
    records.n, records.offsets[n] = n, columns.runs[2]
    records[n] = {7, expires, columns.runs, columns.ages, columns.containers, addresses, commons, list, predictions}
end
end
