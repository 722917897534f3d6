#!lua flags=no-writes
--- Walk the keyspace for keys that tell of a queue: its stats, its pause or its ungrouped line.
--
-- KEYS[1]  any
-- keys     Q:stats (hash), Q:paused (string), Q:wait (list)
-- ARGV     cursor (0 to begin)
-- replies  {cursor, {key...}}: go on with that cursor until it is 0; a key may come twice, and keys come along that have other ends
-- repeat   read only
-- cost     1 command, which looks at about a thousand keys
return redis.call('SCAN', ARGV[1], 'MATCH', '{*}:[spw][ta]*', 'COUNT', '1000')
