--- @include "lib/group_room"
--- @include "lib/group_settle"
--- @include "lib/lease_read"
--- @include "lib/lease_write"

--- lease_grouped(Q, how, tally, look) -> leases: one or none
-- Leases the first job of the group that is first in line; `look` as lease_next says. A group that a foreign client left in line without work or
-- without room, and a job without its hash, are cleared away; tally.skips bounds how many of these a script takes on.
-- reads and writes Q:groups:ready Q:g:<gid>:* and what lease_read and lease_write name; 15 commands, 10 for what is cleared away
local function lease_grouped(Q, how, tally, look)
  while tally.skips < 1000 do
    local gid = redis.call('ZRANGE', Q .. ':groups:ready', 0, 0)[1]
    if not gid then return {} end
    local leases, limit = group_room(Q, gid)
    local id = leases < limit and redis.call('LPOP', Q .. ':g:' .. gid .. ':wait')
    local lease = id and lease_read(Q, id, gid, how, tally)
    if lease then
      if look then look(lease) end
      lease_write(Q, {lease}, how.now, tally)
    end
    group_settle(Q, gid, how.now, tally, lease and 1 or 0)
    if lease then return {lease} end
    tally.skips = tally.skips + 1
    tally.wake = true
  end
  return {}
end
