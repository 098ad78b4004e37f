-- Handles usage records, which come as columns (redis/README.md). Takes from leases.lua begin(), finish(), records and dead_letter(); uses
-- predictor.lua, philosophies.lua and agents.lua.
do -- local names of this file: all files of a library are one chunk, which may have 200 in all

local COLUMNS = {'offsets', 'ids', 'groups', 'agents', 'figures', 'dictionary'}

-- Makes a batch with named columns; its first `done` events are left out.
local function usage_batch(values, done)
    local b = {first = done + 1}
    for i, name in ipairs(COLUMNS) do b[name] = values[i] end
    return b
end

-- Handles the events of a batch. Returns the last offset handled.
local function use_batch(b)
    local offsets, ids, groups, names, users, figures, rows_of, last = b.offsets, b.ids, b.groups, b.dictionary, b.agents, b.figures, b.agent_rows, nil
    local allowed, used, seen, n = {}, predictor.used, agents.used, #agents.held()
    for i = b.first, #offsets do
        local g, user, text = groups[i], users[i], figures[i]
        local name = names[g]
        if allowed[g] == nil then allowed[g] = philosophies.may_have_samples(name) end
        if allowed[g] then used(name, ids[i], text) else dead_letter(offsets[i], philosophies.too_many()) end
        if user ~= '' then n = seen(user, rows_of[i], name, text, n) end
        last = offsets[i]
        if records.bytes > b.room then break end
    end
    return last
end

pool.usage = {batch = usage_batch, apply = function(batches, time, map, slot)
    local lists, applied = {}, {}
    begin(slot, time, map)
    for _, b in ipairs(batches) do b.agent_rows = agents.rows(b.agents) end
    predictor.prefetch(batches)
    for k, b in ipairs(batches) do
        records = delivery.records()
        lists[k] = records
        applied[k] = use_batch(b)
        if applied[k] < b.offsets[#b.offsets] then break end
    end
    finish(applied[#applied])
    return lists, applied
end}
end
