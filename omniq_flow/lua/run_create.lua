#!lua
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/run_open"
--- @include "lib/run_create"
--- @include "lib/run_roots"
--- @include "lib/run_due"
--- @include "lib/run_close"

--- Create a run in its own slot; its first jobs are due and wait to be enqueued and confirmed.
--
-- KEYS[1]  {run:<id>}:meta
-- keys     R:meta R:nodes R:out R:due (hash), R:keys (set), R:list:* R:stage:* (list)
-- ARGV     now, id, spec (MessagePack, see lib/run_create and lib/run_roots)
-- replies  {"CREATED", due, status} | {"EXISTS", due, status} | {"CONFLICT"} | {"UNSTAGED"}: a staged list is gone, nothing is created;
--          due = flat {field, to...} of jobs to enqueue and confirm
-- repeat   {"EXISTS", due, status}: nothing changes
-- cost     about 10 commands and 1 per root
local R = anchor(KEYS[1])
local now, spec = clock(ARGV[1]), cmsgpack.unpack(ARGV[3])
local done = run_create(R, spec, now)
if done == 'CONFLICT' or done == 'UNSTAGED' then return {done} end
local run = run_open(R)
if done == 'CREATED' then
  run_roots(run, spec, now, run_due)
  run_close(run, now)
end
return {done, redis.call('HGETALL', R .. ':due'), run.status}
