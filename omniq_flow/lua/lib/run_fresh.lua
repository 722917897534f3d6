--- The run that run_create has just written, as run_open would read it, with the nodes that it begins with, as run_node would.
--
-- spec:    as run_create and run_roots
-- returns: as run_open
-- cost:    no command
local function run_fresh(R, spec)
  local run = {
    R = R, status = 'running', plan = spec.plan, flow = spec.flow, queue = spec.queue, open = spec.open, keep_ms = spec.keep_ms, ended_ms = 0,
    generation = '0', nodes = {}, children = {}, head = {}, put = {}, dropped = {}, ended_now = false, touched = false,
  }
  for _, node in ipairs(spec.nodes) do
    if node[3] == 0 then
      run.nodes[node[1]] = {
        n = node[1], inputs = node[2], left = 0, of = node[4] >= 0 and node[4] or nil, tries = 0, changed = {},
      }
    end
  end
  return run
end
