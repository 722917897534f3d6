--- @include "lib/digits"
--- @include "lib/in_portions"
--- @include "lib/lost_places"

--- lease_write(Q, leases, now, tally)
-- Writes leases that lease_read made, of jobs that have left their ready lanes; no job twice.
-- writes Q:job:<id> Q:active Q:idx:active Q:idx:wait Q:lost; 3 commands and 1 a job
local function lease_write(Q, leases, now, tally)
  if #leases == 0 then return end
  local at, ids, locks, listed = digits(now), {}, {}, {}
  for k = 1, #leases do
    local lease = leases[k]
    local id, lock = lease.id, lease.lock
    redis.call('HSET', lease.key, 'state', 'active', 'attempt', lease.attempt, 'updated_ms', at, 'lease_token', lease.token,
      'lock_until_ms', lock, 'first_started_ms', lease.first, 'last_started_ms', at)
    ids[k] = id
    locks[2 * k - 1], locks[2 * k] = lock, id
    listed[2 * k - 1], listed[2 * k] = at, id
  end
  in_portions('ZREM', Q .. ':idx:wait', ids)
  -- One that stands there already is a lease whose job was gone.
  if in_portions('ZADD', Q .. ':active', locks) < #ids then lost_places(Q, now, tally) end
  in_portions('ZADD', Q .. ':idx:active', listed)
  tally.active, tally.reserve, tally.wake = true, true, true
end
