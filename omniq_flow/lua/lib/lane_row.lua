--- lane_row(Q, id, score) -> {id, score, {value...}}
-- What a monitor shows of a job in a lane; a value is false where the job's hash, or all of it, is gone. The values, in this order: state gid
-- attempt max_attempts due_ms lock_until_ms queued_ms first_started_ms last_started_ms completed_ms failed_ms updated_ms last_error.
-- reads Q:job:<id>, writes nothing; 1 command
local function lane_row(Q, id, score)
  return {
    id, score, redis.call(
      'HMGET', Q .. ':job:' .. id, 'state', 'gid', 'attempt', 'max_attempts', 'due_ms', 'lock_until_ms', 'queued_ms', 'first_started_ms',
      'last_started_ms', 'completed_ms', 'failed_ms', 'updated_ms', 'last_error'),
  }
end
