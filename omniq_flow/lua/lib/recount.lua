--- recount(Q, gid, leases, tally) -> number of leases the group really has, or nil when there is no reason to doubt `leases`
-- Reasons: it states more than there are leases in all, or the note Q:lost lives and the group was not counted since (see lost_places).
-- Counts all of Q:active, once per script; with more than 5,000 leases it is left for later. Expects that Q:active already shows the move
-- that the caller is about to settle.
-- reads Q:lost Q:active Q:job:<id>, writes Q:lost; 2 commands when there is no reason, else 4 + one per lease
local function recount(Q, gid, leases, tally)
  local note = redis.call('HMGET', Q .. ':lost', 'since', 'gid:' .. gid)
  local all = redis.call('ZCARD', Q .. ':active')
  local doubtful = leases > all or (note[1] and not note[2])
  if not doubtful or all > 5000 then
    return nil
  end
  if not tally.held then
    tally.held = {}
    for _, id in ipairs(redis.call('ZRANGE', Q .. ':active', 0, -1)) do
      local job = redis.call('HMGET', Q .. ':job:' .. id, 'state', 'gid')
      if job[1] == 'active' then
        tally.held[job[2]] = (tally.held[job[2]] or 0) + 1
      end
    end
  end
  if note[1] then
    redis.call('HSET', Q .. ':lost', 'gid:' .. gid, '1')
  end
  return tally.held[gid] or 0
end
