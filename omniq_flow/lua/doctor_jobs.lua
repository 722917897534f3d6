#!lua flags=no-writes
--- @include "lib/anchor"
--- @include "lib/job_rows"

--- Read all that is known of some jobs at this instant: their hashes, and how often their ids stand in each line.
-- A list is searched through its first 100,000 places; what stands behind those is not seen.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:job:<id> (hash), Q:active Q:delayed Q:idx:<lane> (zset), Q:wait Q:failed Q:completed Q:g:<gid>:wait (list)
-- ARGV     jobs (MessagePack: {id, gid...}..., the groups in whose lines it may stand besides its own; at most 50)
-- replies  {{row, {line, times (from 0 on)...} flat, sure (0: a list was too long to be searched whole)}...}, see job_rows
-- repeat   read only
-- cost     7 commands and 5 a job, of which 4 search a list
local Q, SEARCHED, found, ids = anchor(KEYS[1]), 100000, {}, {}
local jobs = cmsgpack.unpack(ARGV[1])
for k, job in ipairs(jobs) do ids[k] = job[1] end
local rows = job_rows(Q, ids)
for k, job in ipairs(jobs) do
  local row, lines, sure, seen = rows[k], {}, 1, {}
  local function search(line)
    if seen[line] then return end
    seen[line] = true
    local places = redis.call('LPOS', Q .. ':' .. line, job[1], 'COUNT', 0, 'MAXLEN', SEARCHED)
    lines[#lines + 1] = line
    lines[#lines + 1] = #places
    if redis.call('LLEN', Q .. ':' .. line) > SEARCHED then sure = 0 end
  end
  for _, line in ipairs({'wait', 'failed', 'completed'}) do search(line) end
  if row[3] and row[3] ~= '' then search('g:' .. row[3] .. ':wait') end
  for at = 2, #job do search('g:' .. job[at] .. ':wait') end
  found[k] = {row, lines, sure}
end
return found
