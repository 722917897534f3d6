#!lua flags=no-writes
--- @include "lib/anchor"

--- Read all that is known of a job.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:job:<id> (hash)
-- ARGV     id
-- replies  {field, value...} flat; {} when there is no such job
-- repeat   read only
-- cost     1 command
return redis.call('HGETALL', anchor(KEYS[1]) .. ':job:' .. ARGV[1])
