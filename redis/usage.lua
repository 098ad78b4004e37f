-- Handles usage records, which come as columns (redis/README.md). Takes from leases.lua begin(), finish(), records and dead_letter(); uses
-- predictor.lua, philosophies.lua and agents.lua.
do -- local names of this file: all files of a library are one chunk, which may have 200 in all

local COLUMNS = {'offsets', 'ids', 'groups', 'agents', 'samples', 'dictionary'}

-- Makes a batch with named columns; its first `done` events are left out.
local function usage_batch(values, done)
    local b = {first = done + 1}
    for i, name in ipairs(COLUMNS) do b[name] = values[i] end
    return b
end

-- Reads what the batches need.
local function prefetch(batches)
    local names = {}
    for _, b in ipairs(batches) do
        for _, word in ipairs(b.dictionary) do names[#names + 1] = word[1] end
        b.agent_rows = agents.rows(b.agents)
    end
    predictor.load(names)
end

-- What the events with that word of the dictionary have in common. added: the new samples of the philosophy, false: it may not have any.
local function group_of(word)
    local name = word[1]
    return {is_whole = word[2], row_end = agents.row_end(name), added = philosophies.may_have_samples(name) and predictor.added_to(name)}
end

-- Handles the events of a batch. Returns the last offset handled.
local function use_batch(b)
    local ids, groups, users, samples, rows_of, group, used, n = b.ids, b.groups, b.agents, b.samples, b.agent_rows, {}, agents.used, #agents.held()
    for i = b.first, #ids do
        local number, user, sample = groups[i], users[i], samples[i]
        local g = group[number]
        if not g then
            g = group_of(b.dictionary[number])
            group[number] = g
        end
        if user ~= '' then n = used(user, rows_of[i], sample, g, n) end
        local added, id = g.added, ids[i]
        if not added then
            dead_letter(b.offsets[i], philosophies.too_many())
            if records.bytes > b.room then return b.offsets[i] end
        elseif not added.taken[id] then
            local count = added.count + 1
            added.count, added.ids[count], added.samples[count], added.taken[id] = count, id, sample, id ~= ''
        end
    end
    return b.offsets[#ids]
end

pool.usage = {batch = usage_batch, apply = function(batches, time, map, slot)
    local lists, applied = {}, {}
    begin(slot, time, map)
    prefetch(batches)
    for k, b in ipairs(batches) do
        records = delivery.records()
        lists[k] = records
        applied[k] = use_batch(b)
        if applied[k] < b.offsets[#b.offsets] then break end
    end
    predictor.drop_repeated()
    finish(applied[#applied])
    return lists, applied
end}
end
