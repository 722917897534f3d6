#!lua flags=allow-oom
--- @include "lib/clock"
--- @include "lib/digits"
--- @include "lib/flush_stats"
--- @include "lib/run_desk"
--- @include "lib/turn_claim"
--- @include "lib/turn_finish"
--- @include "lib/turn_queues"

--- A worker's turn on one server: finish a batch of jobs and claim the next ones.
-- For each finish record, enqueue, confirm and ack; for each claim reserve, begin and inputs: the transitions of a run, made of the same
-- parts as the scripts that go slot by slot. All runs are written before anything of theirs is enqueued, and all is enqueued before a job is
-- acked. A run or a queue with a damaged key (of a wrong kind) breaks alone: what cannot be enqueued is noted as due.
--
-- KEYS[1]  {queue}:meta of any queue of the server
-- keys     of every run and queue named: those of run_record, run_begin, enqueue, reserve, ack_success, ack_fail, write_jobs; {runs:<shard>}:live, :ended (zset)
-- ARGV     now, client, sequence number, message (MessagePack):
--            heads = {{queue, run, n, index in shapes}...}: what finishes have in common,
--            ends = {heads = {index in heads...}, indices = {i as digits...}, tokens = {...}, bodies = {...}, others = {[k] = {epoch, verdict,
--              delay_ms, lists | nil}}}: what is finished, a column each, and those that are not ok, or have an epoch or lists, as
--              lib/run_record wants it; without verdict ('') ack only; again and crashed go to the delayed lane for delay_ms
--            shapes = {shapes...}, queues = {queue...} that the worker serves, claim = whether to claim from them or repeat what a lost
--              reply claimed, room = how many at most (jobs and owed), lease_ms, plans = {[fingerprint] = true},
--              hold = whether to leave a suspect (lib/run_begin) unbegun, and claim nothing after it
-- replies  {told, heads, jobs, others, returned, owed, damaged, next_due, suspect}
--            told = {{k, "RECORDED" | "ALREADY" | "STALE" | "UNSTAGED" | "GONE" | "ACKED" | "BROKEN", due | {why}}...}: what became of the k-th
--              that is finished, if it is not RECORDED (or, without verdict, ACKED) with nothing due;
--              due = flat {field, to...} that waits for a group, or is more than this script may enqueue, and is enqueued by the caller, who
--              then confirms it and acks the job; a job with due, and one that is STALE, UNSTAGED or BROKEN, stays leased
--            heads = {{queue, run, n, plan, run's queue}...}: what jobs have in common
--            jobs = {{index in heads...}, {i...}, {lease...}, {item | false...}}, a column each; the token of a lease is
--              <client>.<sequence number>:<lease>
--            others = {{k, epoch, attempt, errors, crashes, inputs}...} of the k-th job, if that is not 0, 1, 0, 0, {}
--            returned = {{queue, job, "ALIEN" | "PLAN" | "BROKEN", plan | why}...} given back for a while: no job of a run, one of a plan that is
--              not served here, or one of a damaged run
--            owed = {{index in heads, i, epoch, lease, due}...} done before, by a worker that died before what is due was enqueued
--            damaged = {{queue, why}...} queues that could not be worked on
--            next_due = milliseconds until the earliest delayed job of the queues is due, "-1" for none
--            suspect = {} | {index in heads, i, epoch, lease}: leased, not begun; it is to be begun alone (run_begin)
-- repeat   ALREADY or ACKED for what was finished, the same jobs (those that are still leased), room or not; a turn older than the last one
--          in which the client claimed from a queue claims nothing there
-- cost     about 30 commands a queue, 8 a run, 6 a finish with what it makes ready, and 4 a claim
local now, message = clock(ARGV[1]), cmsgpack.unpack(ARGV[4])
local desk, queues = run_desk(now), turn_queues()
local told = turn_finish(message, desk, queues, now)
local heads, jobs, others, returned, owed, suspect = {}, {{}, {}, {}, {}}, {}, {}, {}, {}
if message.claim then
  heads, jobs, others, returned, owed, suspect = turn_claim(message, desk, queues, now, ARGV[2], ARGV[3])
end
desk.close()

local next_due = -1
for _, queue in ipairs(message.queues) do
  queues.on(queue, function(Q)
    local first = redis.call('ZRANGE', Q .. ':delayed', 0, 0, 'WITHSCORES')[2]
    local rest = first and math.max(0, tonumber(first) - now)
    if rest and (next_due < 0 or rest < next_due) then next_due = rest end
  end)
end
for Q in pairs(queues.tallies) do queues.on(string.sub(Q, 2, -2), flush_stats, now) end
return {told, heads, jobs, others, returned, owed, queues.damaged, digits(next_due), suspect}
