--- Stage a chunk of a long list under a token; record (or create) commits it.
-- Chunks that nobody commits go away by themselves after a day.
--
-- keys:    R:stage:<token>:<source> (list)
-- items:   MessagePack array of strings, at most 500
-- returns: {'OK', length} | {'GAP', length} when an earlier chunk is missing: begin again at that offset
-- repeat:  {'OK', length}: a chunk that is there is not added again
-- cost:    3 commands
local function run_stage(R, token, source, offset, items)
  local key = R .. ':stage:' .. token .. ':' .. source
  local length = redis.call('LLEN', key)
  if length < offset then return {'GAP', length} end
  if length > offset then return {'OK', length} end
  length = redis.call('RPUSH', key, unpack(cmsgpack.unpack(items)))
  redis.call('PEXPIRE', key, 86400000)
  return {'OK', length}
end
