#!lua flags=allow-oom
--- @include "lib/janitor_take"

--- Take the janitor's turn for one round.
--
-- KEYS[1]  {janitor}:turn (string: worker)
-- ARGV     worker, round_ms
-- replies  {"YOURS"} | {"TAKEN", rest_ms}: another worker has this round, for so long
-- repeat   {"YOURS"} within the round
-- cost     1-3 commands
local rest = janitor_take(KEYS[1], ARGV[1], ARGV[2])
if rest then return {'TAKEN', rest} end
return {'YOURS'}
