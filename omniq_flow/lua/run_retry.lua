#!lua flags=allow-oom
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/run_open"
--- @include "lib/run_tries"
--- @include "lib/run_close"

--- Let a failed or cancelled run go on: everything without an outcome gets a new chance.
-- What failed for good enters a new epoch, so that its old jobs and their late acks mean nothing any more. What is due is then found
-- by run_survey.
--
-- KEYS[1]  {run:<id>}:meta
-- keys     R:meta R:tries R:fails R:due (hash); expiries of all keys of the run
-- ARGV     now, generation of the run that is meant
-- replies  {"OK", n}: n failures get a new epoch | {"LATER"}: this generation was retried before, nothing is done
--          | {"RUNNING"}, {"SUCCEEDED"}: nothing to retry | {"GONE"}
-- repeat   {"LATER"}
-- cost     about 10 commands and 2 per failure
local R = anchor(KEYS[1])
local now = clock(ARGV[1])
local run = run_open(R)
if not run then return {'GONE'} end
if run.generation ~= ARGV[2] then return {'LATER'} end
if run.status == 'running' or run.status == 'succeeded' then return {string.upper(run.status)} end
local failed = {}
for k, text in ipairs(redis.call('HGETALL', R .. ':tries')) do
  if k % 2 == 1 then failed[#failed + 1] = text elseif string.sub(text, -6) ~= 'failed' then failed[#failed] = nil end
end
for _, name in ipairs({'meta', 'nodes', 'out', 'tries', 'fails', 'keys'}) do redis.call('PERSIST', R .. ':' .. name) end
for _, name in ipairs(redis.call('SMEMBERS', R .. ':keys')) do redis.call('PERSIST', R .. ':' .. name) end
for _, field in ipairs(failed) do
  local n = string.match(field, '^(%d+)/%d+$')
  local again = {epoch = tries_read(R, field).epoch + 1, attempts = 0, errors = 0, crashes = 0, token = '', began = '0', spent = '', state = ''}
  redis.call('HSET', R .. ':tries', field, tries_text(again))
  redis.call('HDEL', R .. ':fails', field)
  redis.call('HDEL', R .. ':nodes', n .. ':ended')
end
redis.call('DEL', R .. ':due')
redis.call('HDEL', R .. ':meta', 'failed', 'ended_ms')
run.status = 'running'
run.head.status = 'running'
run.head.generation = tonumber(run.generation) + 1
run_close(run, now)
return {'OK', #failed}
