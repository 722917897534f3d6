#!lua flags=allow-oom
--- @include "lib/clock"
--- @include "lib/digits"
--- @include "lib/runs_trim"

--- Enter a run in its shard of the indexes, or move it from the live ones to the ended ones.
-- Who found a run ended says when it looked: a run that was listed since (it was retried) stays. Who found no run at all leaves one alone that
-- was listed in the last minute: it is listed before it is created.
--
-- KEYS[1]  {runs:<shard>}:live (zset by the time of listing)
-- keys     {runs:<shard>}:ended (zset by the time at which they expire)
-- ARGV     now, id, "live" | "ended" | "gone", expires_ms (ended), looked_ms (ended; 0: now)
-- replies  {"OK"}
-- repeat   {"OK"}, nothing changes but the time of listing; some ended ones past their time leave
-- cost     2-4 commands
local GRACE_MS = 60000
local now, id, where, ended = clock(ARGV[1]), ARGV[2], ARGV[3], string.sub(KEYS[1], 1, -5) .. 'ended'
if where == 'live' then
  redis.call('ZADD', KEYS[1], digits(now), id)
  return {'OK'}
end
local looked = where == 'gone' and now - GRACE_MS or tonumber(ARGV[5])
local listed = tonumber(redis.call('ZSCORE', KEYS[1], id))
if listed and (looked == 0 or listed <= looked) then
  redis.call('ZREM', KEYS[1], id)
  listed = nil
end
if where == 'ended' and not listed then redis.call('ZADD', ended, ARGV[4], id) end
runs_trim(ended, now)
return {'OK'}
