#!lua flags=allow-oom
--- @include "lib/anchor"

--- Let keys that are left of what has ended begin their term; those of a live run are left alone.
--
-- KEYS[1]  {run:<id>}:meta | {cc:<key>}:meta
-- keys     R:meta (hash), R:<name> (any)
-- ARGV     keep_ms, name... (at most 1,000)
-- replies  {"OK", n}: n keys would never have expired | {"LIVE"}: the run is running, nothing is done
-- repeat   {"OK", 0}
-- cost     2 commands and 1 a key
local R, n = anchor(KEYS[1]), 0
if redis.call('TYPE', R .. ':meta')['ok'] == 'hash' and redis.call('HGET', R .. ':meta', 'status') == 'running' then return {'LIVE'} end
for k = 2, #ARGV do n = n + redis.call('PEXPIRE', R .. ':' .. ARGV[k], ARGV[1], 'NX') end
return {'OK', n}
