#!lua flags=allow-oom
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/digits"
--- @include "lib/run_open"
--- @include "lib/run_begin"
--- @include "lib/run_inputs"
--- @include "lib/run_close"

--- First transition, in the run's slot: note the attempt and hand out its inputs.
--
-- KEYS[1]  {run:<id>}:meta
-- keys     R:meta R:nodes R:tries R:out R:out:<n> R:due (hash), R:list:<source> (list)
-- ARGV     now, node, index, epoch, token, "hold" | "begin" (suspects, see lib/run_begin), then the fingerprints of the plans that the worker can serve
-- replies  {"BEGUN", plan, queue, attempt, errors, crashes, inputs, item} | {"PLAN", plan} (not served by this worker)
--          | {"SUSPECT", plan, queue}: nothing is begun; it is to be begun alone
--          | {"GONE"} | {"OVER"} | {"STALE"}: the job is to be acked away unrun
--          | {"DONE", plan, queue, due}: so is this one, once what is due (flat {field, to...}) is enqueued and confirmed: whoever recorded its
--          outcome may have died before
-- repeat   the same token gets the same reply and changes nothing
-- cost     7 commands and 1-8 per input
local R = anchor(KEYS[1])
local now = clock(ARGV[1])
local run = run_open(R)
if not run then return {'GONE'} end
local served = run.status ~= 'running'
for k = 7, #ARGV do served = served or ARGV[k] == run.plan end
if not served then return {'PLAN', run.plan} end
local n, i, token = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[5]
local word = run_may_begin(run, n, i, tonumber(ARGV[4]), token, ARGV[6] == 'hold')
if word == 'DONE' then return {word, run.plan, run.queue, redis.call('HGETALL', R .. ':due')} end
if word == 'SUSPECT' then return {word, run.plan, run.queue} end
if word ~= 'BEGUN' then return {word} end
local inputs, item = run_inputs(run, run_node(run, n), i, 0, {bytes = 0})
local t = run_begin(run, n, i, token, now, digits(now))
run_close(run, now)
return {word, run.plan, run.queue, t.attempts, t.errors, t.crashes, inputs, item}
