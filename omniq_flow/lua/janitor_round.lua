#!lua flags=allow-oom
--- @include "lib/clock"
--- @include "lib/digits"
--- @include "lib/janitor_take"
--- @include "lib/run_page"

--- Take the janitor's turn on one server, and see what there is to look after: one call where nothing is.
-- The ended runs of the shards that were seen to their ends are forgotten when their term is over.
--
-- KEYS[1]  {janitor}:turn (string: worker)
-- keys     {runs:<shard>}:live, {runs:<shard>}:ended (zset)
-- ARGV     now, worker, round_ms, shard, after (a run id, or empty to begin), count, cursor (0 to begin)
-- replies  {"YOURS", shard, after, {id...}, cursor, {id...}}: live runs, the last page of each shard or up to a full one, and where to go on; runs
--          of the next thousand keys that no index lists, and where to go on
--          | {"TAKEN", rest_ms}: another worker has this round, for so long
-- repeat   the same within the round
-- cost     30 commands, and 2 for each run among a thousand keys
local now, worker, shard, after, count = digits(clock(ARGV[1])), ARGV[2], tonumber(ARGV[4]), ARGV[5], tonumber(ARGV[6])
local rest = janitor_take(KEYS[1], worker, ARGV[3])
if rest then return {'TAKEN', rest} end

local function index(number, name)
  return '{runs:' .. number .. '}:' .. name
end

local live, seen, unlisted = {}, {}, {}
for _ = 1, 8 do
  local page = run_page(index(shard, 'live'), after, count)
  for _, id in ipairs(page) do live[#live + 1] = id end
  if #page == count then
    after = page[count]
    break
  end
  seen[#seen + 1] = shard
  shard, after = (shard + 1) % 8, ''
end

local walked = redis.call('SCAN', ARGV[7], 'MATCH', '{run:*}:meta', 'COUNT', '1000')
for _, key in ipairs(walked[2]) do
  local id = string.sub(key, 6, -7)
  local number = string.byte(id, -1)
  if number and not redis.call('ZSCORE', index(number % 8, 'live'), id) and not redis.call('ZSCORE', index(number % 8, 'ended'), id) then
    unlisted[#unlisted + 1] = id
  end
end

for _, number in ipairs(seen) do redis.call('ZREMRANGEBYSCORE', index(number, 'ended'), '-inf', '(' .. now) end
return {'YOURS', shard, after, live, walked[1], unlisted}
