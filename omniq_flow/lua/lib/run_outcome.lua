--- Tell whether (node, index) has its outcome.
-- The recorded outcome is the membership of the completion counters inside a run: who is in here has acked.
--
-- keys:    R:out (hash by node), R:out:<n> (hash by index, fan-outs)
-- cost:    1 command
local function run_has_outcome(run, node, i)
  if node.of then
    return redis.call('HEXISTS', node.outs, i) == 1
  end
  return redis.call('HEXISTS', run.R .. ':out', node.name) == 1
end
