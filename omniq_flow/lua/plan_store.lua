#!lua
--- Keep a plan for whoever looks at its runs.
--
-- KEYS[1]  {plan:<fingerprint>} (string: JSON)
-- ARGV     plan, keep_ms
-- replies  {"OK"}
-- repeat   {"OK"}; the term begins again, but never becomes shorter
-- cost     1-2 commands
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2], 'GT') end
return {'OK'}
