--- @include "lib/digits"

--- Make a node of an opened run of what is stored of it, in the order of the fields below.
--
-- returns: {n, inputs, left, of, open, next, tries, began, ended, changed = {}, and the words that its keys and fields are made of: name = '<n>',
--          fields = '<n>:', places = '<n>/', outs = key of R:out:<n>}; of and next are nil until known
local function run_node_of(run, n, stored)
  local name = digits(n)
  local node = {
    n = n, name = name, fields = name .. ':', places = name .. '/', outs = run.R .. ':out:' .. name, changed = {},
    inputs = stored[1] or '', left = tonumber(stored[2]), of = tonumber(stored[3]), open = tonumber(stored[4]), next = tonumber(stored[5]),
    tries = tonumber(stored[6] or '0'), began = tonumber(stored[7]), ended = tonumber(stored[8]),
    handed = 0, own = false, shared = false, ahead = false,
  }
  run.nodes[n] = node
  return node
end

--- Read a node of an opened run, once per script.
-- A node's fields in R:nodes are `<n>:inputs left of open next tries began ended`; see docs/inside.md for what each one means.
--
-- keys:    R:nodes (hash)
-- returns: as run_node_of
-- cost:    1 command the first time, none after
local function run_node(run, n)
  local node = run.nodes[n]
  if node then return node end
  local fields = digits(n) .. ':'
  local stored = redis.call('HMGET', run.R .. ':nodes', fields .. 'inputs', fields .. 'left', fields .. 'of', fields .. 'open', fields .. 'next',
    fields .. 'tries', fields .. 'began', fields .. 'ended')
  if not stored[2] then error('node ' .. n .. ' is missing in R:nodes') end
  return run_node_of(run, n, stored)
end

--- Change a number of a node; run_close writes it.
local function node_set(node, field, value)
  node[field] = value
  node.changed[field] = true
end
