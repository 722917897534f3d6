--- wake(Q)
-- Wakes one consumer that sleeps on BLPOP Q:wake: leaves one token there, unless one is there already or the queue is paused.
-- At most one token exists; it expires after a minute, since a consumer that comes later looks at the lanes before it sleeps.
-- reads Q:wake Q:paused, writes Q:wake; 1 to 4 commands
local function wake(Q)
  local key = Q .. ':wake'
  if redis.call('LLEN', key) > 0 or redis.call('EXISTS', Q .. ':paused') == 1 then
    return
  end
  redis.call('RPUSH', key, '1')
  redis.call('PEXPIRE', key, '60000')
end
