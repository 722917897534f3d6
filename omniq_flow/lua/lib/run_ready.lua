--- @include "lib/run_node"

--- Hand the next children of a fan-out to the queue: as many as its window has room for, in steps of a quarter of it (of a hundred at most, so
-- that no turn has much more to do than others), and at most 250 in one script, which the first of them to finish goes on with.
-- `deliver(run, n, from, to, front)` either enqueues the children [from, to) at once or notes them as due.
local function fan_out_more(run, node, shape, deliver, front)
  local MOST, STEP = 250, 100
  local step = math.max(1, math.min(STEP, math.floor(shape.window / 4)))
  local waiting = node.next - (node.of - node.open)
  local handed = node.handed
  if run.status ~= 'running' or handed >= MOST or node.next >= node.of or waiting > shape.window - step then return end
  local from = node.next
  node_set(node, 'next', math.min(node.of, from + math.min(shape.window - waiting, MOST - handed)))
  node.handed = handed + node.next - from
  deliver(run, node.n, from, node.next, front)
end

--- Deliver a node whose predecessors all have their outcomes.
-- The first children of a fan-out go to the front like any continuation, later windows to the back, so that a small
-- fan-out finishes its run and a large one shares the queue.
-- A run that has ended delivers nothing; retry finds what is ready by its `left`.
--
-- returns: true when the node is complete at once: a fan-out over nothing
local function run_ready(run, node, shape, deliver, front)
  if run.status ~= 'running' then return false end
  if not shape.map then
    deliver(run, node.n, 0, 1, front)
    return false
  end
  if not node.of then node_set(node, 'of', run_node(run, shape.size_of).of) end
  node_set(node, 'open', node.of)
  node_set(node, 'next', 0)
  redis.call('SADD', run.R .. ':keys', 'out:' .. node.name)
  fan_out_more(run, node, shape, deliver, front)
  return node.of == 0
end
