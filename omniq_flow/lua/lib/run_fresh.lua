--- @include "lib/run_node"
--- @include "lib/run_open"

--- The run that run_create has just written, as run_open would read it, with the nodes that it begins with, as run_node would.
--
-- spec:    as run_create and run_roots
-- returns: as run_of
-- cost:    no command
local function run_fresh(R, spec)
  local run = run_of(R, {'running', spec.plan, spec.queue, spec.open, spec.keep_ms})
  for _, node in ipairs(spec.nodes) do
    if node[3] == 0 then run_node_of(run, node[1], {node[2], 0, node[4] >= 0 and node[4] or nil}) end
  end
  return run
end
