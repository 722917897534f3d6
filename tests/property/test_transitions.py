"""Runs under faults, on both ways of taking turns: every call may be the last of its actor, come twice, late, or for the wrong time.

Each run of the suite tries every fault at every point of each shape in one script a turn, and slot by slot at a share of them, spread over
the whole course. ``OMNIQ_TEST_FAULTS=all`` tries every point, ``OMNIQ_TEST_SCHEDULES=5000`` that many random schedules; both take minutes.
``guarantees/enumerate.py`` tries all of it, and pairs.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from world_flows import SHAPES, executed

from omniq_flow.testing.enumeration import enumerate_faults
from omniq_flow.testing.exploration import explore, trouble
from omniq_flow.testing.memory import Memory
from omniq_flow.testing.schedule import Schedule
from omniq_flow.testing.stage import changes
from omniq_flow.testing.strategies import faults, flows, schedules
from omniq_flow.testing.world import World

both_paths = pytest.mark.parametrize("one_server", [True, False], ids=["one-server", "slot-by-slot"])
every_shape = pytest.mark.parametrize("shape", SHAPES)

EVERYTHING = os.environ.get("OMNIQ_TEST_FAULTS") == "all"
EXAMPLES = int(os.environ.get("OMNIQ_TEST_SCHEDULES", "40"))
SHARE = 9


def world_of(memory: Memory, shape: str, *, one_server: bool, concurrency: int = 3) -> World:
    executed.clear()
    flow, arguments, _ = SHAPES[shape]
    return World(memory, flow, arguments, one_server=one_server, concurrency=concurrency, janitor=False)


@both_paths
@every_shape
def test_without_faults_every_child_runs_once_and_no_janitor_is_needed(world_memory: Memory, shape: str, one_server: bool) -> None:
    world = world_of(world_memory, shape, one_server=one_server)
    end = world.finish()
    if SHAPES[shape].result is None:
        assert (end.status, json.loads(end.result + "}")["type"]) == ("failed", "ValueError")
    else:
        assert (end.status, json.loads(end.result)) == ("succeeded", SHAPES[shape].result)
    nodes = world.stage.state.texts[f"{{run:{world.stage.run.id}}}:nodes"]
    assert len(world.ran) == sum(int(count) for name, count in nodes.items() if name.endswith(":tries"))
    assert all(each.attempt == 1 for each in world.ran) or shape == "fan with retries"
    assert world.begun["janitor"] == 0


@every_shape
def test_both_paths_end_in_the_same_state(world_memory: Memory, shape: str) -> None:
    """One place, so that begins and records come in the same order."""
    ends = []
    for one_server in (True, False):
        world = world_of(world_memory, shape, one_server=one_server, concurrency=1)
        world.finish()
        ends.append(normal(world))
    assert ends[0] == ends[1]


def normal(world: World) -> dict[str, Any]:
    """All of a run but the names of leases."""
    base = f"{{run:{world.stage.run.id}}}:"
    found = {name: value for name, value in world.stage.state.texts.items() if name.startswith(base)}
    found[f"{base}tries"] = {
        place: [part for k, part in enumerate(text.split("|")) if k not in {4, 6}] for place, text in found.get(f"{base}tries", {}).items()
    }
    return found


@both_paths
@every_shape
@pytest.mark.timeout(180)
def test_any_fault_at_any_point_ends_right(world_memory: Memory, shape: str, one_server: bool) -> None:
    flow, arguments, _ = SHAPES[shape]
    every = 1 if one_server or EVERYTHING else SHARE
    report = enumerate_faults(
        flow, arguments, memory=world_memory, one_server=one_server, every=every, before=executed.clear, counted=shape == "fan with retries"
    )
    assert report.passed, str(report)
    assert report.tried > report.points * 10 / every


@both_paths
@pytest.mark.parametrize("shape", SHAPES if EVERYTHING else ["diamond", "fan of arguments", "grouped"])
@pytest.mark.timeout(180)
def test_any_fault_while_many_are_started_ends_right(world_memory: Memory, shape: str, one_server: bool) -> None:
    flow, arguments, _ = SHAPES[shape]
    every = 1 if one_server or EVERYTHING else SHARE
    report = enumerate_faults(flow, arguments, memory=world_memory, one_server=one_server, every=every, before=executed.clear, bulk=True)
    assert report.passed, str(report)
    assert report.tried > report.points * 10 / every


@both_paths
@every_shape
@pytest.mark.parametrize("order", [list, reversed], ids=["in order", "backwards"])
def test_everything_may_come_again_after_the_end(world_memory: Memory, shape: str, one_server: bool, order: Callable[[Any], Any]) -> None:
    world = world_of(world_memory, shape, one_server=one_server)
    end = world.finish()
    before, ran = world.stage.state, len(world.ran)
    for words in list(order(world.stage.sent)):
        world.stage.execute("late", words)
    assert [name for name in changes(before, world.stage.state) if name.startswith("{run:") and ":stage:" not in name] == []
    world.begin("worker")
    assert world.finish() == end
    assert len(world.ran) == ran


@both_paths
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shape=st.sampled_from(sorted(SHAPES)), schedule=schedules())
@pytest.mark.timeout(180)
def test_any_schedule_and_any_faults_end_right(world_memory: Memory, one_server: bool, shape: str, schedule: Schedule) -> None:
    flow, arguments, _ = SHAPES[shape]

    def new_world() -> World:
        executed.clear()
        return World(world_memory, flow, arguments, one_server=one_server, concurrency=2)

    broken = trouble(new_world, schedule, new_world().finish())
    assert broken is None, broken


@both_paths
@settings(max_examples=EXAMPLES // 4, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flow=flows(), x=st.integers(0, 7), schedule=faults())
def test_any_flow_ends_right_whatever_goes_wrong_once(
    world_memory: Memory, one_server: bool, flow: Any, x: int, schedule: Schedule
) -> None:
    def new_world() -> World:
        return World(world_memory, flow, (x,), one_server=one_server)

    end = new_world().finish()
    assert json.loads(end.result) == flow(x)
    broken = trouble(new_world, schedule, end)
    assert broken is None, broken


@pytest.mark.parametrize("shape,preemptions", [("chain", 1), ("empty fan", 1), ("diamond", 1)])
def test_every_interleaving_of_two_workers_and_a_janitor_ends_right(world_memory: Memory, shape: str, preemptions: int) -> None:
    flow, arguments, _ = SHAPES[shape]
    explored = explore(flow, arguments, memory=world_memory, preemptions=preemptions, before=executed.clear)
    assert explored.passed, explored
    assert explored.interleavings >= 20
