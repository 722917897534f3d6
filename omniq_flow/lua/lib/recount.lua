--- recount(Q, gid, tally) -> number of leases the group really has, or nil when there is no reason to doubt its counter
-- A reason is the note Q:lost (see lost_places), once per group and note. Counts all of Q:active once per script; with more than
-- 5,000 leases it is left for later. Expects that Q:active already shows the move the caller is about to settle.
-- reads Q:lost Q:active Q:job:<id>, writes Q:lost; 1 command when there is no note, else 3 + one per lease
local function recount(Q, gid, tally)
  local note = redis.call('HMGET', Q .. ':lost', 'since', 'gid:' .. gid)
  if not note[1] or note[2] then
    return nil
  end
  if not tally.held then
    if redis.call('ZCARD', Q .. ':active') > 5000 then
      return nil
    end
    tally.held = {}
    for _, id in ipairs(redis.call('ZRANGE', Q .. ':active', 0, -1)) do
      local job = redis.call('HMGET', Q .. ':job:' .. id, 'state', 'gid')
      if job[1] == 'active' and job[2] then
        tally.held[job[2]] = (tally.held[job[2]] or 0) + 1
      end
    end
  end
  redis.call('HSET', Q .. ':lost', 'gid:' .. gid, '1')
  return tally.held[gid] or 0
end
