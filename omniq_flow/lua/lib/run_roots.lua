--- @include "lib/run_node"
--- @include "lib/run_store"
--- @include "lib/run_complete"

--- Deliver what a new run begins with: the nodes that wait for nothing but arguments.
--
-- spec:    as run_create, with roots = {n...} and shapes
local function run_roots(run, spec, now, deliver)
  run_store(run, spec)
  for _, n in ipairs(spec.roots) do
    if run_ready(run, run_node(run, n), spec.shapes[n], deliver, false) then run_complete(run, n, spec.shapes, now, deliver) end
  end
  if run.open == 0 then run_end(run, 'succeeded', now) end
end
