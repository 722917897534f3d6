--- @include "lib/digits"
--- @include "lib/run_store"

--- Write a new run: its head, its nodes, and the arguments as outcomes of the flow's parameters.
-- A run keeps the arguments' digest for its key: the same key with other arguments is another question, not the same run.
--
-- spec:    {flow, plan, digest, queue, key, keep_ms, open, token, nodes = {{n, inputs, left, of | -1}...},
--          outs = {{n, bytes}...}, lists = as run_store}
-- keys:    R:meta, R:nodes, R:out (hash), R:keys (set), R:list:* (list)
-- returns: 'CREATED' | 'EXISTS' | 'CONFLICT' | 'UNSTAGED' (a staged list is gone; nothing was written)
-- repeat:  EXISTS, nothing changes
-- cost:    3 commands, one per 100 nodes more, 2-3 per list argument
local function run_create(R, spec, now)
  local digest = redis.call('HGET', R .. ':meta', 'digest')
  if digest then return digest == spec.digest and 'EXISTS' or 'CONFLICT' end
  if not run_staged(R, spec) then return 'UNSTAGED' end
  local at = digits(now)
  redis.call('HSET', R .. ':meta', 'status', 'running', 'flow', spec.flow, 'plan', spec.plan, 'digest', spec.digest,
    'queue', spec.queue, 'key', spec.key, 'keep_ms', digits(spec.keep_ms), 'open', spec.open,
    'created_ms', at, 'updated_ms', at)
  local fields = {}
  for k, node in ipairs(spec.nodes) do
    local n = node[1]
    fields[#fields + 1] = n .. ':inputs'
    fields[#fields + 1] = node[2]
    fields[#fields + 1] = n .. ':left'
    fields[#fields + 1] = node[3]
    if node[4] >= 0 then
      fields[#fields + 1] = n .. ':of'
      fields[#fields + 1] = node[4]
    end
    if #fields >= 600 or k == #spec.nodes then
      redis.call('HSET', R .. ':nodes', unpack(fields))
      fields = {}
    end
  end
  for _, out in ipairs(spec.outs) do redis.call('HSET', R .. ':out', out[1], out[2]) end
  return 'CREATED'
end
