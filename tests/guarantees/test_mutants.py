"""The program that changes the Lua files: what it makes can be loaded, and the tests notice it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import redis
from bench import LUA, Bench
from lua_source import LuaSource, lua_sources
from mutation import Mutant, mutants

from omniq_flow.queue import scripts

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def everything() -> list[Mutant]:
    return [mutant for source in lua_sources(LUA) for mutant in mutants(source)]


def named(everything: list[Mutant], file: str, after: str) -> Mutant:
    (found,) = [mutant for mutant in everything if (mutant.file, mutant.after) == (file, after)]
    return found


def tried(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "guarantees/mutants", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=50)


def test_each_write_guard_and_limit_is_changed(tmp_path: Path) -> None:
    (tmp_path / "example.lua").write_text(
        """#!lua
-- if redis.call('DEL', 'a comment') > 0 then
local MOST = 10
if redis.call('EXISTS', 'a > 1') == 1 and #ARGV < MOST then
  redis.call('HSET', KEYS[1], 'one', 1, 'two', 2)
end
return redis.call('DEL', KEYS[1], KEYS[2])
"""
    )
    assert [(mutant.line, mutant.kind, mutant.after) for mutant in mutants(LuaSource(tmp_path, "example"))] == [
        (3, "limit moved", "local MOST = 10 - 1"),
        (3, "limit moved", "local MOST = 10 + 1"),
        (4, "guard negated", "if not (redis.call('EXISTS', 'a > 1') == 1 and #ARGV < MOST) then"),
        (4, "guard always true", "if true then"),
        (4, "guard always false", "if false then"),
        (4, "operand of and left out", "if #ARGV < MOST then"),
        (4, "operand of and left out", "if redis.call('EXISTS', 'a > 1') == 1 then"),
        (4, "guard negated", "if redis.call('EXISTS', 'a > 1') ~= 1 and #ARGV < MOST then"),
        (4, "boundary shifted", "if redis.call('EXISTS', 'a > 1') == 1 and #ARGV <= MOST then"),
        (5, "write removed", "do end"),
        (5, "field left out", "redis.call('HSET', KEYS[1], 'two', 2)"),
        (5, "field left out", "redis.call('HSET', KEYS[1], 'one', 1)"),
        (7, "write removed", "return 0"),
        (7, "write removed", "return 1"),
        (7, "key left out", "return redis.call('DEL', KEYS[2])"),
        (7, "key left out", "return redis.call('DEL', KEYS[1])"),
    ]


def test_what_is_made_differs_and_can_be_loaded(everything: list[Mutant]) -> None:
    assert len(everything) > 2000
    assert len({mutant.id for mutant in everything}) == len(everything)
    assert {mutant.file for mutant in everything} >= {"turn", "lib/run_record", "lib/group_settle"}
    bench = Bench("valkey")
    try:
        assert [mutant for mutant in everything[::20] if not bench.loads(mutant)] == []
    finally:
        bench.close()


def test_watched_lua_does_what_it_did(redis_client: redis.Redis) -> None:
    bench = Bench("valkey")
    try:
        bench.watch(lua_sources(LUA))
        with bench.server.client() as client:
            for name in sorted(path.stem for path in LUA.glob("*.lua")):
                client.script_load(scripts.load(name, bench.folder).text)
            client.eval(scripts.load("resume", bench.folder).text, 1, "{q}:meta")
        assert bench.blocks_run() >= {"resume:0", "lib/wake:0"}
        assert not [block for block in bench.blocks_run() if block.startswith("lib/wake:") and block != "lib/wake:0"]
    finally:
        bench.close()


def test_known_mutants_are_killed_and_one_that_nothing_looks_at_survives(everything: list[Mutant]) -> None:
    known = [
        named(everything, "pause", "do end"),
        named(everything, "resume", "wake(Q)"),
        named(everything, "lib/wake", "do end"),
    ]
    reply = tried(*[word for mutant in known for word in ("--only", mutant.id)], "--tests", "tests/unit/queue/test_pause_resume.py")
    assert reply.returncode == 0, reply.stderr
