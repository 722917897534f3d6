#!lua flags=allow-oom
--- Take the janitor's turn for one round.
--
-- KEYS[1]  {janitor}:turn (string: worker)
-- ARGV     worker, round_ms
-- replies  {"YOURS"} | {"TAKEN", rest_ms}: another worker has this round, for so long
-- repeat   {"YOURS"} within the round
-- cost     1-3 commands
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return {'YOURS'} end
if redis.call('GET', KEYS[1]) == ARGV[1] then return {'YOURS'} end
return {'TAKEN', redis.call('PTTL', KEYS[1])}
