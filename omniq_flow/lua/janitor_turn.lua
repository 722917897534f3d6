#!lua flags=allow-oom
--- Take the janitor's turn for one round.
--
-- KEYS[1]  {janitor}:turn (string: worker)
-- ARGV     worker, round_ms
-- replies  {"YOURS"} | {"TAKEN"} (another worker has this round)
-- repeat   {"YOURS"} within the round
-- cost     1-2 commands
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return {'YOURS'} end
return redis.call('GET', KEYS[1]) == ARGV[1] and {'YOURS'} or {'TAKEN'}
