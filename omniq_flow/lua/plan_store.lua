#!lua
--- Keep a plan for whoever looks at its runs.
--
-- KEYS[1]  {plan:<fingerprint>} (string: JSON)
-- ARGV     plan, keep_ms
-- replies  {"OK"}
-- repeat   {"OK"}; the term begins again
-- cost     1 command
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return {'OK'}
