--- @include "lib/digits"

--- Read a node of an opened run, once per script.
-- A node's fields in R:nodes are `<n>:inputs left of open next tries began ended`; see docs/inside.md for what each one means.
--
-- keys:    R:nodes (hash)
-- returns: {n, inputs, left, of, open, next, tries, began, ended, changed = {}, and the words that its keys and fields are made of: name = '<n>',
--          fields = '<n>:', places = '<n>/', outs = key of R:out:<n>}; of and next are nil until known
-- cost:    1 command the first time, none after
local function run_node(run, n)
  local node = run.nodes[n]
  if node then return node end
  local name = digits(n)
  local fields = name .. ':'
  local got = redis.call('HMGET', run.R .. ':nodes', fields .. 'inputs', fields .. 'left', fields .. 'of', fields .. 'open', fields .. 'next',
    fields .. 'tries', fields .. 'began', fields .. 'ended')
  if not got[2] then error('node ' .. n .. ' is missing in R:nodes') end
  node = {
    n = n, name = name, fields = fields, places = name .. '/', outs = run.R .. ':out:' .. name, changed = {},
    inputs = got[1] or '', left = tonumber(got[2]), of = tonumber(got[3]), open = tonumber(got[4]), next = tonumber(got[5]),
    tries = tonumber(got[6] or '0'), began = tonumber(got[7]), ended = tonumber(got[8]), handed = 0, own = false, shared = false, ahead = false,
  }
  run.nodes[n] = node
  return node
end

--- Change a number of a node; run_close writes it.
local function node_set(node, field, value)
  node[field] = value
  node.changed[field] = true
end
