--- @include "lib/digits"
--- @include "lib/wake"

--- flush_stats(Q, tally, now)
-- Call once, as the last write of every script that passed a `tally` (a table that starts empty) to the other parts.
-- They mark in it what they touched; here the touched lanes are counted and Q:stats is written once, so counters state what
-- the lanes hold and cannot drift. Also stores the turn of the lanes and the lease sequence, and wakes a sleeper when work
-- became ready or is left over. Writes nothing when no lane was touched.
-- marks: wait active delayed failed completed groups (lanes to count), enqueue reserve finish (times to note), wake
-- reads the touched lanes, writes Q:stats Q:lane:rr Q:lease:seq Q:wake
local function flush_stats(Q, tally, now)
  if not (tally.wait or tally.groups or tally.active or tally.delayed or tally.failed or tally.completed) then
    return
  end
  local at = digits(now)
  local set = {'HSET', Q .. ':stats', 'last_activity_ms', at}
  local function put(field, value)
    local size = #set
    set[size + 1], set[size + 2] = field, value
  end
  local ready = 0
  if tally.wait or tally.wake then
    local ungrouped = redis.call('LLEN', Q .. ':wait')
    local total = redis.call('ZCARD', Q .. ':idx:wait')
    ready = ungrouped
    put('waiting', digits(ungrouped))
    put('group_waiting', digits(math.max(0, total - ungrouped)))
    put('waiting_total', digits(total))
  end
  if tally.groups or tally.wake then
    local groups = redis.call('ZCARD', Q .. ':groups:ready')
    ready = ready + groups
    put('groups_ready', digits(groups))
  end
  if tally.active then put('active', digits(redis.call('ZCARD', Q .. ':active'))) end
  if tally.delayed then put('delayed', digits(redis.call('ZCARD', Q .. ':delayed'))) end
  if tally.failed then put('failed', digits(redis.call('LLEN', Q .. ':failed'))) end
  if tally.completed then put('completed_kept', digits(redis.call('LLEN', Q .. ':completed'))) end
  if tally.enqueue then put('last_enqueue_ms', at) end
  if tally.reserve then put('last_reserve_ms', at) end
  if tally.finish then put('last_finish_ms', at) end
  redis.call(unpack(set))
  if tally.reserve then
    redis.call('MSET', Q .. ':lane:rr', tally.turn, Q .. ':lease:seq', digits(tally.leases))
  end
  if tally.wake and ready > 0 then
    wake(Q)
  end
end
