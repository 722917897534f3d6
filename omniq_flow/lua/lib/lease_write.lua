--- @include "lib/digits"
--- @include "lib/in_portions"
--- @include "lib/lost_places"

--- lease_write(Q, leases, now, tally)
-- Writes leases that lease_read made, of jobs that have left their ready lanes; no job twice.
-- writes Q:job:<id> Q:active Q:idx:active Q:idx:wait Q:lost; 3 commands and 1 a job
local function lease_write(Q, leases, now, tally)
  if #leases == 0 then return end
  local at, ids, locks, listed, size = digits(now), {}, {}, {}, 0
  for k, lease in ipairs(leases) do
    local id, lock = lease.id, lease.lock
    redis.call('HSET', lease.key, 'state', 'active', 'attempt', digits(lease.attempt), 'updated_ms', at, 'lease_token', lease.token,
      'lock_until_ms', lock, 'first_started_ms', lease.first, 'last_started_ms', at)
    ids[k] = id
    locks[size + 1], locks[size + 2] = lock, id
    listed[size + 1], listed[size + 2] = at, id
    size = size + 2
  end
  in_portions('ZREM', Q .. ':idx:wait', ids)
  -- One that stands there already is a lease whose job was gone.
  if in_portions('ZADD', Q .. ':active', locks) < #ids then lost_places(Q, now, tally) end
  in_portions('ZADD', Q .. ':idx:active', listed)
  tally.active, tally.reserve, tally.wake = true, true, true
end
