#!lua flags=allow-oom
--- @include "lib/anchor"
--- Stage a chunk of a long list under a token; record (or create) commits it.
-- Chunks that nobody commits go away by themselves after a day.
--
-- KEYS[1]  {run:<id>}:meta
-- keys     R:stage:<token>:<source> (list)
-- ARGV     token, source, offset, items (MessagePack array of strings, at most 500)
-- replies  {"OK", length}; {"GAP", length} when an earlier chunk is missing: begin again at that offset
-- repeat   {"OK", length}: a chunk that is there is not added again
-- cost     3 commands
local key = anchor(KEYS[1]) .. ':stage:' .. ARGV[1] .. ':' .. ARGV[2]
local length, offset = redis.call('LLEN', key), tonumber(ARGV[3])
if length < offset then return {'GAP', length} end
if length > offset then return {'OK', length} end
local items = cmsgpack.unpack(ARGV[4])
length = redis.call('RPUSH', key, unpack(items))
redis.call('PEXPIRE', key, 86400000)
return {'OK', length}
