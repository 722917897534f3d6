#!lua flags=allow-oom
--- @include "lib/anchor"
--- @include "lib/run_stage"

--- Stage a chunk of a long list that a step returned: it moves a run on, also when memory is full.
--
-- KEYS[1]  {run:<id>}:meta
-- keys     R:stage:<token>:<source> (list)
-- ARGV     token, source, offset, items (MessagePack array of strings, at most 500)
-- replies  {"OK", length}; {"GAP", length} when an earlier chunk is missing: begin again at that offset
-- repeat   {"OK", length}: a chunk that is there is not added again
-- cost     3 commands
return run_stage(anchor(KEYS[1]), ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4])
