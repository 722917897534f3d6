#!lua flags=no-writes
--- Walk the keyspace for runs, a thousand keys a call, of the node that holds this shard.
--
-- KEYS[1]  {runs:<shard>}:live
-- keys     {run:<id>}:meta (hash)
-- ARGV     cursor (0 to begin)
-- replies  {cursor, {key...}}: go on with that cursor until it is 0; a key may come twice
-- repeat   read only
-- cost     1 command, which looks at about a thousand keys
return redis.call('SCAN', ARGV[1], 'MATCH', '{run:*}:meta', 'COUNT', '1000')
