#!lua flags=allow-oom
--- @include "lib/anchor"
--- @include "lib/clock"
--- @include "lib/run_open"
--- @include "lib/run_record"
--- @include "lib/run_due"
--- @include "lib/run_close"

--- Second transition, in the run's slot: record how an attempt ended and note the successors that are due.
--
-- KEYS[1]  {run:<id>}:meta
-- keys     R:meta R:nodes R:tries R:fails R:out R:out:<n> R:due (hash), R:list:* R:stage:* (list), R:keys (set)
-- ARGV     now, finish (MessagePack, see lib/run_record, and n), shapes (MessagePack)
-- replies  {"RECORDED" | "ALREADY" | "STALE" | "UNSTAGED", due, status}; {"GONE"}; due = flat {field, to...} of all that waits to be enqueued
-- repeat   {"ALREADY", due, status}: nothing changes, what is not confirmed is told again
-- cost     7-12 commands
local R = anchor(KEYS[1])
local now = clock(ARGV[1])
local run = run_open(R)
if not run then return {'GONE'} end
local finish = cmsgpack.unpack(ARGV[2])
local word = run_record(run, finish.n, finish, cmsgpack.unpack(ARGV[3]), now, run_due)
run_close(run, now)
return {word, redis.call('HGETALL', R .. ':due'), run.status}
