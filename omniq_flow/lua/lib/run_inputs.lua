--- @include "lib/run_node"

--- Fetch what a begun job takes, as far as it is small; the worker fetches the rest in chunks.
-- A node's `inputs` are words: `v<k>` the outcome of node k, `m<k>` all results of fan-out k, `x<source>` the child's own item of
-- a list, `e<k>` the child's own element of fan-out k.
-- `sent` remembers what this script's reply holds already, so that siblings share one copy of a broadcast value.
--
-- keys:    R:out, R:out:<n> (hash), R:list:<source> (list)
-- returns: inputs = {{word, 'value', bytes} | {word, 'items', {bytes...}} | {word, 'far', count}...}, item = bytes | false
-- cost:    1-2 commands a word that was not sent before
local function run_inputs(run, node, i, sent)
  local SMALL, FEW = 65536, 500
  local inputs, item = {}, false
  for word in string.gmatch(node.inputs, '%S+') do
    local kind, source = string.sub(word, 1, 1), string.sub(word, 2)
    if kind == 'x' then
      item = redis.call('LINDEX', run.R .. ':list:' .. source, i)
    elseif kind == 'e' then
      item = redis.call('HGET', run.R .. ':out:' .. source, i)
    elseif not sent[run.R .. word] then
      sent[run.R .. word] = true
      local items, count
      if kind == 'm' then
        count = run_node(run, tonumber(source)).of
        if count > 0 and count <= FEW then
          local indices = {}
          for k = 1, count do indices[k] = k - 1 end
          items = redis.call('HMGET', run.R .. ':out:' .. source, unpack(indices))
        elseif count == 0 then
          items = {}
        end
      else
        local value = redis.call('HGET', run.R .. ':out', source)
        if value and string.sub(value, 1, 1) == 'L' then
          count = tonumber(string.sub(value, 2))
          if count <= FEW then items = redis.call('LRANGE', run.R .. ':list:' .. source, 0, -1) end
        elseif value and #value <= SMALL then
          inputs[#inputs + 1] = {word, 'value', value}
        else
          inputs[#inputs + 1] = {word, 'far', -1}
        end
      end
      if count then
        local size = 0
        for _, bytes in ipairs(items or {}) do size = size + #bytes end
        if items and size <= SMALL then
          inputs[#inputs + 1] = {word, 'items', items}
        else
          inputs[#inputs + 1] = {word, 'far', count}
        end
      end
    end
  end
  return inputs, item
end
