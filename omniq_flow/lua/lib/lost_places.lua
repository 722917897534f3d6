--- @include "lib/digits"

--- lost_places(Q, now, tally)
-- Notes that a lease was dropped whose job is gone, so that nobody can say which group's place it held. While the note
-- Q:lost lives (30 days), each group that looks full is counted once, see recount; waiting groups nobody touches
-- are visited from `cursor` (a rank in Q:idx:wait, downwards, so none is missed while jobs leave) by reap_expired.
-- reads Q:has_groups Q:idx:wait, writes Q:lost (hash: since, cursor, gid:<gid> = counted)
local function lost_places(Q, now, tally)
  if tally.lost or redis.call('EXISTS', Q .. ':has_groups') == 0 then
    return
  end
  tally.lost = true
  local key = Q .. ':lost'
  redis.call('DEL', key)
  redis.call('HSET', key, 'since', digits(now), 'cursor', redis.call('ZCARD', Q .. ':idx:wait'))
  redis.call('PEXPIRE', key, '2592000000')
end
