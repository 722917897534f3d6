"""The harness finds bugs: each of these is put into the product, and must be seen within the budget that users have by default."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

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
from omniq_flow.runtime import operations as run_operations
from omniq_flow.testing.enumeration import enumerate_faults
from omniq_flow.testing.exploration import explore_at_random
from omniq_flow.testing.memory import Memory
from omniq_flow.testing.verdict import Broken
from omniq_flow.testing.world import World
from omniq_flow.worker import slots

pytestmark = [pytest.mark.keeps_keys, pytest.mark.timeout(300)]

Bug = Callable[[], AbstractContextManager[None]]


@contextmanager
def workers_clock() -> Generator[None]:
    """A worker tells the server what time it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(operations, "reserve_many", with_the_workers_clock(operations.reserve_many, lambda: time.time()))
        yield


BUGS: dict[str, tuple[Bug, str, bool]] = {
    "the continuation is enqueued outside of the script": (continuation_outside_of_the_script, "diamond", True),
    "a counter goes down by two": (partial(other_lua, ("lib/counter_settle", "remaining - 1", "remaining - 2")), "diamond", True),
    "zero is seen one too early": (partial(other_lua, ("lib/counter_settle", "remaining > 1", "remaining > 2")), "diamond", False),
    "the token is not checked": (
        partial(other_lua, ("lib/run_record", "t.epoch ~= finish.epoch or t.token ~= finish.token", "false")),
        "chain",
        True,
    ),
    "the outcome is overwritten": (
        partial(other_lua, ("lib/run_record", "if run_has_outcome(run, node, i) then return 'ALREADY' end", ""),
                ("lib/run_record", "if t.epoch ~= finish.epoch or t.token ~= finish.token then return 'STALE' end", "")),
        "fan with retries",
        True,
    ),
    "zero is not sticky: what is due is told only once": (
        partial(other_lua, ("run_begin", "redis.call('HGETALL', R .. ':due')", "{}"), ("run_record", "redis.call('HGETALL', R .. ':due')", "word == 'ALREADY' and {} or redis.call('HGETALL', R .. ':due')")),
        "diamond",
        False,
    ),
    "confirm comes before enqueue": (confirm_before_enqueue, "chain", False),
    "ack comes before record": (ack_before_record, "chain", False),
    "a claim that is sent again claims anew": (partial(other_lua, ("lib/replay_get", "if seq == last[1] then", "if false then")), "fan", True),
    "the window is never refilled": (
        partial(other_lua, ("lib/run_record", "fan_out_more(run, node, shapes[n], deliver, false)", "")),
        "fan of arguments",
        True,
    ),
    "a crash is not counted": (partial(other_lua, ("lib/run_begin", "t.crashes = t.crashes + 1", "t.crashes = t.crashes")), "chain", True),
    "a job begins although its outcome is there": (
        partial(other_lua, ("lib/run_begin", "if run_has_outcome(run, node, i) then return 'DONE' end", "")),
        "chain",
        True,
    ),
    "a step begins after the end": (partial(other_lua, ("lib/run_begin", "if run.status ~= 'running' then return 'OVER' end", "")), "failing", True),
    "the limit of a group is not kept": (partial(other_lua, ("lib/group_room", "or 0, limit", "or 0, limit + 1")), "grouped", True),
    "a lease that ran out is not ended": (partial(other_lua, ("reap_expired", "lease_expired(", "(function() end)(")), "chain", True),
    "the worker's clock decides": (workers_clock, "chain", False),
    "what has ended is kept for ever": (partial(other_lua, ("lib/run_close", "PEXPIRE", "PERSIST")), "chain", True),
}  # fmt: skip


def found_by_default(memory: Memory, shape: str, *, one_server: bool) -> Broken | None:
    """Look as users do by default: every fault at every point, then courses at random."""
    flow, arguments, _ = SHAPES[shape]
    try:
        report = enumerate_faults(flow, arguments, memory=memory, one_server=one_server, before=executed.clear, counted=True)
    except Broken as broken:
        return broken
    if report.broken:
        return report.broken[0]
    wandered = explore_at_random(flow, arguments, memory=memory, one_server=one_server, before=executed.clear)
    return wandered.broken[0] if wandered.broken else None


@pytest.mark.parametrize("bug", BUGS)
def test_a_seeded_bug_is_found(bug: str, world_memory: Callable[[], Memory]) -> None:
    seeded, shape, one_server = BUGS[bug]
    with seeded():
        broken = found_by_default(world_memory(), shape, one_server=one_server)
    assert broken is not None, f"nobody noticed that {bug}"
    assert broken.story.lines
    print(broken.what)


def test_a_run_whose_starter_died_hangs_without_a_janitor(world_memory: Callable[[], Memory]) -> None:
    flow, arguments, _ = SHAPES["chain"]
    memory = world_memory()
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


@pytest.mark.parametrize("one_server", [True, False], ids=["one-server", "slot-by-slot"])
def test_without_a_bug_nothing_is_found(world_memory: Callable[[], Memory], *, one_server: bool) -> None:
    assert found_by_default(world_memory(), "chain", one_server=one_server) is None
