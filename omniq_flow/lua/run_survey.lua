#!lua flags=allow-oom
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/run_open"
--- @include "lib/run_node"
--- @include "lib/run_tries"
--- @include "lib/run_outcome"
--- @include "lib/run_complete"
--- @include "lib/run_close"

--- Derive from a run's own state which of its jobs must exist in a queue now.
-- What became ready, or drained its window, while the run had ended and was retried since, is delivered first.
--
-- KEYS[1]  {run:<id>}:meta
-- keys     R:meta R:nodes R:tries R:out R:out:<n> R:due (hash)
-- ARGV     now, shapes (MessagePack, all nodes), order (MessagePack array of nodes), position in order, index to go on from
-- replies  {"OK", {n, i, epoch...} flat, next position, next index} (position -1: that was all) | {"GONE"} | {"OVER", status}
-- repeat   the same, if nothing happened in between; writes nothing on a healthy run
-- cost     2-3 commands a node, 1-2 a child; at most about 1,000 of both a call
local R = anchor(KEYS[1])
local now, shapes, order = clock(ARGV[1]), cmsgpack.unpack(ARGV[2]), cmsgpack.unpack(ARGV[3])
local position, index = tonumber(ARGV[4]), tonumber(ARGV[5])
local LIMIT = 1000
local run = run_open(R)
if not run then return {'GONE'} end
if run.status ~= 'running' then return {'OVER', run.status} end
local jobs, looked = {}, 0
local function nothing() end
while position < #order and looked < LIMIT do
  local n = order[position + 1]
  local node, shape = run_node(run, n), shapes[n]
  looked = looked + 1
  if node.left > 0 then
    position = position + 1
  elseif not shape.map then
    if not run_has_outcome(run, node, 0) then
      local t = tries_read(R, n .. '/0')
      jobs[#jobs + 1] = {n, 0, t.epoch}
    end
    position = position + 1
  else
    if not node.next then
      if run_ready(run, node, shape, nothing) then run_complete(run, n, shapes, now, nothing) end
    elseif node.next == node.of - node.open then
      fan_out_more(run, node, shape, nothing)
    end
    local to = math.min(node.next, index + 500)
    for i = index, to - 1 do
      if not run_has_outcome(run, node, i) then jobs[#jobs + 1] = {n, i, tries_read(R, n .. '/' .. i).epoch} end
    end
    looked = looked + to - index
    if to >= node.next then position, index = position + 1, 0 else index = to end
  end
end
if run.open == 0 then run_end(run, 'succeeded', now) end
run_close(run, now)
return {'OK', jobs, position < #order and position or -1, index}
