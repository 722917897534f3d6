#!lua flags=no-writes
--- @include "lib/anchor"
--- @include "lib/job_row"

--- Read all that is known of some jobs at this instant: their hashes, and everywhere that their ids stand.
-- A list is searched through its first 100,000 places; what stands behind those is not seen.
--
-- KEYS[1]  {queue}:meta
-- keys     Q:job:<id> (hash), Q:active Q:delayed Q:idx:<lane> (zset), Q:wait Q:failed Q:completed Q:g:<gid>:wait (list)
-- ARGV     jobs (MessagePack: {id, gid...}..., the groups in whose lines it may stand besides its own; at most 50)
-- replies  {{row, {line, times...} flat, sure (0: a list was too long to be searched whole)}...}, see job_row
-- repeat   read only
-- cost     12 commands a job, of which 4 search a list
local Q, SEARCHED, found = anchor(KEYS[1]), 100000, {}
for k, job in ipairs(cmsgpack.unpack(ARGV[1])) do
  local row, lines, sure, seen = job_row(Q, job[1]), {}, 1, {}
  local function search(line)
    if seen[line] then return end
    seen[line] = true
    local places = redis.call('LPOS', Q .. ':' .. line, job[1], 'COUNT', 0, 'MAXLEN', SEARCHED)
    if #places > 0 then
      lines[#lines + 1] = line
      lines[#lines + 1] = #places
    end
    if redis.call('LLEN', Q .. ':' .. line) > SEARCHED then sure = 0 end
  end
  for _, line in ipairs({'wait', 'failed', 'completed'}) do search(line) end
  if row[3] and row[3] ~= '' then search('g:' .. row[3] .. ':wait') end
  for at = 2, #job do search('g:' .. job[at] .. ':wait') end
  found[k] = {row, lines, sure}
end
return found
