--- @include "lib/counter_settle"
--- @include "lib/run_node"
--- @include "lib/run_ready"
--- @include "lib/run_end"

--- Count a node as complete; make ready what waited for it last; end the run after its last node.
-- A successor's `left` is a completion counter inside the run: opened when the run was created, settled by its predecessors, each of
-- which counts once because its outcome is recorded once.
--
-- shapes:  [n] = {feeds = {n...}, map, size_of, window, ...} for every node that can become ready or complete here
local function run_complete(run, first, shapes, now, deliver)
  local complete = {first}
  while #complete > 0 do
    local n = table.remove(complete)
    local done = run_node(run, n)
    node_set(done, 'ended', now)
    run.open = run.open - 1
    run.head.open = run.open
    for _, successor in ipairs(shapes[n].feeds) do
      local node = run_node(run, successor)
      if node.left < 1 then error('node ' .. successor .. ' waits for nothing any more, and node ' .. n .. ' completes only now') end
      local counted, left = counter_settle(node.left, false)
      node_set(node, 'left', left)
      if counted == 'LAST' and run_ready(run, node, shapes[successor], deliver, true) then complete[#complete + 1] = successor end
    end
  end
  if run.open == 0 then run_end(run, 'succeeded', now) end
end
