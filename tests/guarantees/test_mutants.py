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
from results import Equivalents

from omniq_flow.queue import scripts

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def everything() -> list[Mutant]:
    return [mutant for source in lua_sources(LUA) for mutant in mutants(source)]


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


PAUSES = ["--file", "pause", "--file", "lib/wake", "--only", "3924d692", "--only", "d4304a65", "--only", "bfcfdae0"]


def test_known_mutants_are_killed(everything: list[Mutant]) -> None:
    """A pause that sets no flag, one that leaves a token for sleepers, and a wake-up that leaves none."""
    known = {mutant.id: mutant.before for mutant in everything if mutant.id in PAUSES}
    assert len(known) == 3
    told = tried(*PAUSES, "--tests", "tests/unit/queue/test_pause_resume.py")
    assert "mutants: 3\nstillborn: 0\nkilled: 3\n" in told.stderr
    assert told.returncode == 0, told.stderr


def test_what_no_test_notices_survives(everything: list[Mutant]) -> None:
    told = tried(*PAUSES, "--tests", "tests/unit/queue/test_calls.py")
    assert "survived: 3\n" in told.stderr
    assert "3924d692 pause.lua:14 write removed\n  - redis.call('SET', Q .. ':paused', '1')\n  + do end\n" in told.stderr
    assert told.returncode == 1


def test_each_entry_of_the_equivalent_ones_names_a_mutant_that_there_is(everything: list[Mutant]) -> None:
    assert Equivalents().stale([], everything) == []
