#!lua
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/digits"
--- @include "lib/flush_stats"
--- @include "lib/run_open"
--- @include "lib/run_create"
--- @include "lib/run_roots"
--- @include "lib/run_due"
--- @include "lib/run_jobs"
--- @include "lib/run_close"
--- @include "lib/run_end"

--- Start a run on one server: create it, list it, enqueue its first jobs.
--
-- KEYS[1]  {run:<id>}:meta
-- keys     R:meta R:nodes R:out R:due (hash), R:keys (set), R:list:* (list), {runs:<shard>}:live (zset), those of enqueue
-- ARGV     now, id, spec (MessagePack, see lib/run_create and lib/run_roots)
-- replies  {"CREATED", due} | {"EXISTS", due} | {"CONFLICT"}; due = flat {field, to...} of jobs that wait for a group and are not
--          enqueued here: the caller enqueues and confirms them
-- repeat   {"EXISTS", due}: nothing changes
-- cost     about 20 commands and 15 per root job, at most 250 jobs per root
local R = anchor(KEYS[1])
local now, id, spec = clock(ARGV[1]), ARGV[2], cmsgpack.unpack(ARGV[3])
local done = run_create(R, spec, now)
if done == 'CONFLICT' then return {done} end
if done == 'CREATED' then
  local tallies = {}
  redis.call('ZADD', '{runs:' .. string.byte(id, -1) % 8 .. '}:live', digits(now), id)
  local run = run_open(R)
  run_roots(run, spec, now, function(opened, n, from, to, front)
    local shape = spec.shapes[n]
    if shape.grouped then
      run_due(opened, n, from, to)
    else
      run_jobs({id = id, flow = opened.flow, plan = opened.plan}, n, from, to, shape, now, front, tallies)
    end
  end)
  run_close(run, now)
  run_leave(run, id, now)
  for Q, tally in pairs(tallies) do flush_stats(Q, tally, now) end
end
return {done, redis.call('HGETALL', R .. ':due')}
