--- Take the janitor's turn for one round.
--
-- returns: nil when it is this worker's, else for how many milliseconds another one has it
-- repeat:  nil within the round
-- cost:    1-3 commands
local function janitor_take(key, worker, round_ms)
  if redis.call('SET', key, worker, 'NX', 'PX', round_ms) then return nil end
  if redis.call('GET', key) == worker then return nil end
  return redis.call('PTTL', key)
end
