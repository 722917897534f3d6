#!lua flags=allow-oom
--- @include "lib/anchor"

--- Let keys that are left of what has ended begin their term; those of a live run whose head can be read are left alone.
--
-- KEYS[1]  {run:<id>}:meta | {cc:<key>}:meta
-- keys     R:meta (hash), R:<name> (any)
-- ARGV     keep_ms, name... (at most 1,000)
-- replies  {"OK", n}: n keys would never have expired | {"LIVE"}: the run is running, nothing is done
-- repeat   {"OK", 0}
-- cost     2 commands and 1 a key
local R, n = anchor(KEYS[1]), 0
if redis.call('TYPE', R .. ':meta')['ok'] == 'hash' then
  local head = redis.call('HMGET', R .. ':meta', 'status', 'plan', 'flow', 'queue', 'keep_ms')
  if head[1] == 'running' and head[2] and head[3] and head[4] and tonumber(head[5]) then return {'LIVE'} end
end
for k = 2, #ARGV do n = n + redis.call('PEXPIRE', R .. ':' .. ARGV[k], ARGV[1], 'NX') end
return {'OK', n}
