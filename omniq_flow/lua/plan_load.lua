#!lua flags=no-writes
--- Read a stored plan.
--
-- KEYS[1]  {plan:<fingerprint>} (string: JSON)
-- ARGV     none
-- replies  {"PLAN", json} | {"NONE"}
-- repeat   read only
-- cost     1 command
local plan = redis.call('GET', KEYS[1])
return plan and {'PLAN', plan} or {'NONE'}
