#!lua flags=allow-oom
--- @include "lib/anchor"

--- Set a key aside that is of a wrong kind, so that scripts can work again; it stays readable for a week.
--
-- KEYS[1]  <base>:meta
-- keys     <base>:<name> <base>:aside:<name> (any)
-- ARGV     name, the kind that it should be
-- replies  {"ASIDE", kind}: what it was | {"FINE"}: it is of that kind, or not there
-- repeat   {"FINE"}
-- cost     3 commands
local base = anchor(KEYS[1])
local key, aside = base .. ':' .. ARGV[1], base .. ':aside:' .. ARGV[1]
local kind = redis.call('TYPE', key)['ok']
if kind == ARGV[2] or kind == 'none' then return {'FINE'} end
redis.call('RENAME', key, aside)
redis.call('PEXPIRE', aside, '604800000')
return {'ASIDE', kind}
