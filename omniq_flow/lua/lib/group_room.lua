--- group_room(Q, gid) -> leases, limit
-- Leases the group's counter states, and its limit (1 where none was set or it is not above 0).
-- reads Q:g:<gid>:inflight Q:g:<gid>:limit, writes nothing; 1 command
local function group_room(Q, gid)
  local g = Q .. ':g:' .. gid
  local places = redis.call('MGET', g .. ':inflight', g .. ':limit')
  return tonumber(places[1]) or 0, math.max(1, tonumber(places[2]) or 1)
end
