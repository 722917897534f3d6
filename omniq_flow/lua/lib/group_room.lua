--- group_room(Q, gid) -> leases, limit
-- Leases the group's counter states, and its limit (1 where none was set or it is not above 0).
-- reads Q:g:<gid>:inflight Q:g:<gid>:limit, writes nothing; 1 command
local function group_room(Q, gid)
  local g = Q .. ':g:' .. gid
  local places = redis.call('MGET', g .. ':inflight', g .. ':limit')
  local limit = tonumber(places[2]) or 1
  if limit < 1 then
    limit = 1
  end
  return tonumber(places[1]) or 0, limit
end
