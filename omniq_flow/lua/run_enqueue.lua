#!lua flags=allow-oom
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/flush_stats"
--- @include "lib/run_jobs"
--- @include "lib/run_lane"

--- Third transition, in the queue's slot: enqueue jobs of a run.
--
-- KEYS[1]  {queue}:meta
-- keys     those of enqueue
-- ARGV     now, run id, plan, lease_ms, front ("1" | "0"), jobs (MessagePack: {n, i, epoch, gid, limit}..., gid '' for none; at most 1,000),
--          look ("1": put back also those whose lane has lost them, see lib/run_lane | "0")
-- replies  {"OK", n}: n were missing
-- repeat   {"OK", 0} while the jobs live
-- cost     about 15 commands a job that is not there, 1 for one that is, with look 4
local Q = anchor(KEYS[1])
local now, jobs, front, look = clock(ARGV[1]), cmsgpack.unpack(ARGV[6]), ARGV[5] == '1', ARGV[7] == '1'
local head = {id = ARGV[2], plan = ARGV[3]}
local added, tally, ordered = 0, {}, {}
-- Ahead of the line the last goes first, so that all stand in order; in a group nobody goes ahead.
for k = #jobs, 1, -1 do
  if front and jobs[k].gid == '' then ordered[#ordered + 1] = jobs[k] end
end
for _, job in ipairs(jobs) do
  if not front or job.gid ~= '' then ordered[#ordered + 1] = job end
end
for _, job in ipairs(ordered) do
  if job.gid == '' then job.gid = nil end
  local word = run_job(head, Q, job, tonumber(ARGV[4]), now, front, tally)
  if word == 'OK' or (look and run_lane(Q, run_job_id(head, job), now, tally)) then added = added + 1 end
end
flush_stats(Q, tally, now)
return {'OK', added}
