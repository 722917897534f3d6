--- @include "lib/run_node"
--- @include "lib/run_slice"

--- Tell the words of a node's `inputs` apart, once per script: those for what all its children share, and the one for a child's own element.
-- `v<k>` is the outcome of node k, `m<k>` all results of fan-out k, `x<source>` the child's own item of a list, `e<k>` the child's own
-- element of fan-out k.
local function run_words(node)
  if node.shared then return end
  node.shared, node.ahead = {}, {}
  for word in string.gmatch(node.inputs, '%S+') do
    local kind, source = string.sub(word, 1, 1), string.sub(word, 2)
    if kind == 'x' or kind == 'e' then
      node.own = {word = word, list = kind == 'x' and ':list:' .. source, n = source}
    else
      node.shared[#node.shared + 1] = word
    end
  end
end

local INPUTS_SMALL, INPUTS_FEW, INPUTS_FULL = 65536, 500, 4 * 1024 * 1024

--- Read elements that are small together; nil when they are not, or not all there.
local function small_items(run, list, n, count)
  if count > INPUTS_FEW then return nil end
  local items, bytes = run_slice(run.R, list, n, 0, count, INPUTS_SMALL)
  if #items < count or bytes > INPUTS_SMALL then return nil end
  for _, each in ipairs(items) do
    if not each then return nil end
  end
  return items, bytes
end

--- Read what a word of all children names: {word, 'value' | 'items', what}, or {word, 'far'}.
local function shared_input(run, word, sent)
  local kind, source = string.sub(word, 1, 1), string.sub(word, 2)
  local found, bytes
  if sent.bytes < INPUTS_FULL and kind == 'm' then
    kind, found, bytes = 'items', small_items(run, nil, source, run_node(run, tonumber(source)).of)
  elseif sent.bytes < INPUTS_FULL then
    found = run.outcomes[source]
    bytes = found and #found or redis.call('HSTRLEN', run.R .. ':out', source)
    kind = 'value'
    if bytes == 0 or bytes > INPUTS_SMALL then
      found = nil
    elseif not found then
      found = redis.call('HGET', run.R .. ':out', source)
    end
    if found and string.sub(found, 1, 1) == 'L' then
      kind, found, bytes = 'items', small_items(run, run.R .. ':list:' .. source, nil, tonumber(string.sub(found, 2)))
    end
  end
  if not found then return {word, 'far'} end
  sent.bytes = sent.bytes + bytes
  return {word, kind, found}
end

--- Take a child's own element, read together with those of the children that follow it; false when it is far.
local function own_item(run, node, i, follow, sent)
  if sent.bytes >= INPUTS_FULL then return false end
  local own, ahead = node.own, node.ahead
  if ahead[i] == nil then
    local items = run_slice(run.R, own.list and run.R .. own.list, own.n, i, i + follow + 1, INPUTS_FULL - sent.bytes)
    for k = 1, #items do ahead[i + k - 1] = items[k] end
  end
  local item = ahead[i] or false
  if item then sent.bytes = sent.bytes + #item end
  return item
end

--- Fetch what a begun job takes, as far as it is small; the worker fetches the rest in chunks.
-- `sent` counts the bytes that this script's reply holds already: beyond a few megabytes everything is far. Siblings share one copy of a
-- value that all take.
--
-- follow:  how many of the children right behind this one the caller asks for next
-- sent:    {bytes = 0} to begin with
-- keys:    R:out, R:out:<n> (hash), R:list:<source> (list)
-- returns: inputs = {{word, 'value', bytes} | {word, 'items', {bytes...}} | {word, 'far'}...}, item = bytes | false; a word that an earlier call
--          for the same run answered is left out; a far item is false and its word stands in inputs
-- cost:    1-4 commands for an item that was not read ahead, 2-8 a word that was not sent before
local function run_inputs(run, node, i, follow, sent)
  local inputs, item = {}, false
  run_words(node)
  if node.own then
    item = own_item(run, node, i, follow, sent)
    if not item then inputs[1] = {node.own.word, 'far'} end
  end
  run.sent = run.sent or {}
  for k = 1, #node.shared do
    local word = node.shared[k]
    if not run.sent[word] then
      run.sent[word] = true
      inputs[#inputs + 1] = shared_input(run, word, sent)
    end
  end
  return inputs, item
end
