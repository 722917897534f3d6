--- @include "lib/run_node"
--- @include "lib/run_slice"

--- Fetch what a begun job takes, as far as it is small; the worker fetches the rest in chunks.
-- A node's `inputs` are words: `v<k>` the outcome of node k, `m<k>` all results of fan-out k, `x<source>` the child's own item of
-- a list, `e<k>` the child's own element of fan-out k.
-- `sent` remembers what this script's reply holds already, so that siblings share one copy of a broadcast value, and how many bytes it has:
-- beyond a few megabytes everything is far.
--
-- sent:    {bytes = 0} to begin with
-- keys:    R:out, R:out:<n> (hash), R:list:<source> (list)
-- returns: inputs = {{word, 'value', bytes} | {word, 'items', {bytes...}} | {word, 'far'}...}, item = bytes | false; a word that an earlier call
--          for the same run answered is left out; a far item is false and its word stands in inputs
-- cost:    1 command for an item, 2-8 a word that was not sent before
local function run_inputs(run, node, i, sent)
  local SMALL, FEW, FULL = 65536, 500, 4 * 1024 * 1024
  local inputs, item = {}, false

  local function add(word, kind, value, bytes)
    inputs[#inputs + 1] = {word, kind, value}
    sent.bytes = sent.bytes + bytes
  end

  local function add_items(word, list, n, count)
    if count > FEW then return false end
    local items, bytes = run_slice(run.R, list, n, 0, count, SMALL)
    if #items < count or bytes > SMALL then return false end
    for _, each in ipairs(items) do
      if not each then return false end
    end
    add(word, 'items', items, bytes)
    return true
  end

  local function add_outcome(word, kind, source)
    if sent.bytes >= FULL then return false end
    if kind == 'm' then return add_items(word, nil, source, run_node(run, tonumber(source)).of) end
    local size = redis.call('HSTRLEN', run.R .. ':out', source)
    if size == 0 or size > SMALL then return false end
    local value = redis.call('HGET', run.R .. ':out', source)
    if string.sub(value, 1, 1) == 'L' then
      return add_items(word, run.R .. ':list:' .. source, nil, tonumber(string.sub(value, 2)))
    end
    add(word, 'value', value, size)
    return true
  end

  local function take_item(kind, source)
    if sent.bytes >= FULL then return false end
    local found
    if kind == 'x' then
      found = redis.call('LINDEX', run.R .. ':list:' .. source, i)
    else
      found = redis.call('HGET', run.R .. ':out:' .. source, i)
    end
    if not found then return false end
    sent.bytes = sent.bytes + #found
    return found
  end

  for word in string.gmatch(node.inputs, '%S+') do
    local kind, source = string.sub(word, 1, 1), string.sub(word, 2)
    if kind == 'x' or kind == 'e' then
      item = take_item(kind, source)
      if not item then inputs[#inputs + 1] = {word, 'far'} end
    elseif not sent[run.R .. word] then
      sent[run.R .. word] = true
      if not add_outcome(word, kind, source) then inputs[#inputs + 1] = {word, 'far'} end
    end
  end
  return inputs, item
end
