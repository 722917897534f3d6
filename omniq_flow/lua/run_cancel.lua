#!lua flags=allow-oom
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/run_open"
--- @include "lib/run_end"
--- @include "lib/run_close"

--- Cancel a run: nothing of it begins any more; what runs may finish and is recorded.
--
-- KEYS[1]  {run:<id>}:meta
-- keys     R:meta (hash); expiries of all keys of the run
-- ARGV     now, generation of the run that is meant
-- replies  {"OK", status}: the status that the run has now (a run that ended before keeps its end) | {"LATER", status}: the run was retried since,
--          nothing is done | {"GONE"}
-- repeat   {"OK", "cancelled"}, or {"LATER", status} once it was retried
-- cost     about 10 commands
local R = anchor(KEYS[1])
local now = clock(ARGV[1])
local run = run_open(R)
if not run then return {'GONE'} end
if run.generation ~= ARGV[2] then return {'LATER', run.status} end
run_end(run, 'cancelled', now)
run_close(run, now)
return {'OK', run.status}
