"""The harness finds bugs: each of these is put into the product, and must be seen within the budget that users have by default."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import NamedTuple

import pytest
from seeded_bugs import (
    ack_before_record,
    confirm_before_enqueue,
    continuation_outside_of_the_script,
    other_lua,
    with_the_workers_clock,
)
from world_flows import SHAPES, executed

from omniq_flow.queue import operations
from omniq_flow.testing.enumeration import enumerate_faults
from omniq_flow.testing.exploration import explore_at_random
from omniq_flow.testing.memory import Memory
from omniq_flow.testing.verdict import Broken
from omniq_flow.testing.world import World

pytestmark = pytest.mark.timeout(300)


class Bug(NamedTuple):
    """How a bug is put in, the shape and the way of turns where it is looked for, what is said of it, how often a failed run goes on."""

    seed: Callable[[], AbstractContextManager[None]]
    shape: str
    one_server: bool
    told: str
    retries: int = 1


def lua(*change: str) -> Callable[[], AbstractContextManager[None]]:
    """Change a script: file, text, what stands there instead."""
    name, before, after = change
    return partial(other_lua, (name, before, after))


DUE = "redis.call('HGETALL', R .. ':due')"


@contextmanager
def workers_clock() -> Generator[None]:
    """A worker tells the server what time it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operations, "reserve_many", with_the_workers_clock(operations.reserve_many, time.time))
        yield


def due_told_once() -> AbstractContextManager[None]:
    return other_lua(("run_begin", DUE, "{}"), ("run_record", DUE, f"word == 'ALREADY' and {{}} or {DUE}"))


def outcome_overwritten() -> AbstractContextManager[None]:
    return other_lua(
        ("lib/run_child", "done = not text and run_has_outcome(run, node, i)", "done = false"),
        ("lib/run_record", "if t.epoch ~= finish.epoch or t.token ~= finish.token then return 'STALE' end", ""),
    )


BUGS = {
    "the continuation is enqueued outside of the script": Bug(continuation_outside_of_the_script, "diamond", True, "does not end"),
    "a counter goes down by two": Bug(lua("lib/counter_settle", "remaining - 1", "remaining - 2"), "diamond", True, "wrong-left"),
    "a counter is zero one too early": Bug(lua("lib/counter_settle", "remaining > 1", "remaining > 2"), "diamond", False, "wrong-left"),
    "zero is not sticky: what is due is told once": Bug(due_told_once, "diamond", False, "does not end"),
    "the token is not checked": Bug(
        lua("lib/run_record", "t.epoch ~= finish.epoch or t.token ~= finish.token", "false"), "chain", True, "stale-recorded"
    ),
    "the epoch is not checked": Bug(
        lua("lib/run_begin", "if t.epoch ~= epoch then return 'STALE' end", ""), "failing", False, "shared-token", retries=2
    ),
    "the outcome is overwritten": Bug(outcome_overwritten, "fan with retries", True, "wrong-open|changed-outcome|no-outcome"),
    "confirm comes before enqueue": Bug(confirm_before_enqueue, "chain", False, "does not end"),
    "ack comes before record": Bug(ack_before_record, "chain", False, "does not end"),
    "a claim that is sent again claims anew": Bug(
        lua("lib/replay_get", "if seq == last[1] then", "if false then"), "fan", True, "changed .* when it came a second time"
    ),
    "the window is never refilled": Bug(
        lua("lib/run_record", "fan_out_more(run, node, shapes[n], deliver, false)", ""), "fan of arguments", True, "does not end"
    ),
    "a crash is not counted": Bug(lua("lib/run_begin", "t.crashes = t.crashes + 1", ""), "chain", True, "accounted for"),
    "a job begins although its outcome is there": Bug(
        lua("lib/run_begin", "if child.done then return 'DONE' end", "if child.done then child.tries = tries_read(run.R, child.place) end"),
        "chain",
        True,
        "begun-again|does not end",
    ),
    "a step begins after the end": Bug(
        lua("lib/run_begin", "if run.status ~= 'running' then return 'OVER' end", ""), "failing", True, "begun-after-end"
    ),
    "the limit of a group is not kept": Bug(
        lua("lib/group_room", "tonumber(places[2]) or 1)", "tonumber(places[2]) or 1) + 1"), "grouped", True, "overrun"
    ),
    "the worker's clock decides": Bug(workers_clock, "chain", False, "by its own clock"),
    "what has ended is kept for ever": Bug(lua("lib/run_close", "PEXPIRE", "PERSIST"), "chain", True, "has no end"),
}


def found_by_default(memory: Memory, shape: str, *, one_server: bool, retries: int = 1) -> Broken | None:
    """Look as users do: every fault at every point, then courses at random."""
    flow, arguments, _ = SHAPES[shape]
    try:
        report = enumerate_faults(
            flow, arguments, memory=memory, one_server=one_server, before=executed.clear, counted=True, retries=retries
        )
    except Broken as broken:
        return broken
    if report.broken:
        return report.broken[0]
    wandered = explore_at_random(flow, arguments, memory=memory, one_server=one_server, before=executed.clear)
    return wandered.broken[0] if wandered.broken else None


@pytest.mark.parametrize("bug", BUGS)
def test_a_seeded_bug_is_found(bug: str, new_memory: Callable[[], Memory]) -> None:
    seed, shape, one_server, told, retries = BUGS[bug]
    with seed():
        broken = found_by_default(new_memory(), shape, one_server=one_server, retries=retries)
    assert broken is not None, f"nobody noticed that {bug}"
    assert re.search(told, broken.what), broken.what


def test_a_run_whose_starter_died_hangs_without_a_janitor(new_memory: Callable[[], Memory]) -> None:
    flow, arguments, _ = SHAPES["chain"]
    memory = new_memory()
    for janitor in (True, False):
        world = World(memory, flow, arguments, one_server=False, janitor=janitor)
        world.begin("starter")
        world.on(3)
        world.kill(world.actors[0])
        if janitor:
            assert world.finish().status == "succeeded"
        else:
            with pytest.raises(Broken, match="does not end"):
                world.finish()
        world.close()
