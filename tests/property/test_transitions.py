"""Runs under faults: every call may be the last of its actor, come twice, or come again later. On both ways of taking turns.

Each run of the suite tries a fixed share of all places, spread over the whole course of each shape. ``OMNIQ_TEST_FAULTS=all`` tries every
place of every shape, and ``OMNIQ_TEST_SCHEDULES=5000`` that many random schedules; both take minutes.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keyspace import changes, keyspace
from run_world import World, executed, in_a_loop
from world_flows import SHAPES

from omniq_flow.compiler.plan import ParamNode
from omniq_flow.errors import RunFailed

both_paths = pytest.mark.parametrize("one_server", [True, False], ids=["one-server", "slot-by-slot"])
every_shape = pytest.mark.parametrize("shape", SHAPES)

pytestmark = pytest.mark.keeps_keys  # the last example's run

EVERYTHING = os.environ.get("OMNIQ_TEST_FAULTS") == "all"
EXAMPLES = int(os.environ.get("OMNIQ_TEST_SCHEDULES", "40"))
SHARE, FEW = 5, 16


def share(places: int) -> list[int]:
    """Return the places at which faults are tried: all of a short course, or some that are spread over it, the ends among them."""
    if EVERYTHING or places <= FEW:
        return list(range(places))
    return sorted({round(k * (places - 1) / (SHARE - 1)) for k in range(SHARE)})


def world_of(client: redis.Redis, shape: str, *, one_server: bool, room: int = 3) -> World:
    flow, arguments, _ = SHAPES[shape]
    return World(client, flow, arguments, one_server, room)


def right_end(world: World, shape: str) -> None:
    """The run has the right result, and user code ran at most once for each attempt that was noted."""
    expected = SHAPES[shape].result
    if expected is None:
        assert world.status() == "failed"
        with pytest.raises(RunFailed, match="ValueError: never"):
            world.result()
    else:
        assert world.status() == "succeeded"
        assert world.result() == expected
    nodes = world.view().nodes
    begun: Counter[str] = Counter()
    for node in world.shapes.compiled.plan.nodes:
        if not isinstance(node, ParamNode):
            begun[node.step.rpartition(".")[2]] += int(nodes.get(f"{node.id}:tries", 0))
    ran: Counter[str] = Counter()
    for (name, _), times in executed.items():
        ran[name] += times
    assert ran <= begun, f"steps ran {ran}, attempts were {begun}"


async def begin(world: World, calls: int = 0) -> int:
    """Start a run, then let one worker do it: so many calls; returns how many there were."""
    world.new_starter()
    await world.settle()
    done = 0
    while done < calls or not calls:
        if world.pending:
            world.go(world.pending[0])
            done += 1
        elif world.status() in {"", "running"} and world.jobs():
            world.new_worker()
        else:
            break
        await world.settle()
    if not world.pending:
        world.new_worker()
        await world.settle()
    return done


@both_paths
@every_shape
def test_without_faults_every_child_runs_once(redis_client: redis.Redis, shape: str, one_server: bool) -> None:
    async def scenario() -> None:
        world = world_of(redis_client, shape, one_server=one_server)
        await begin(world)
        assert world.status() != "running", "it needs no janitor"
        await world.finish()
        right_end(world, shape)
        tried = 2 if shape == "fan with retries" else 1
        assert all(times <= tried for (name, _), times in executed.items() if name != "left")

    in_a_loop(scenario)


async def begin_until(world: World, place: int) -> None:
    """Let so many calls go, and stop before the next."""
    if place:
        await begin(world, place)
    else:
        world.new_starter()
        await world.settle()


def normal(client: redis.Redis, run_id: str) -> dict[str, Any]:
    """All of a run but times, and the names of leases."""
    found = {key: value for key, value in keyspace(client).items() if key.startswith(f"{{run:{run_id}}}:")}
    for key, value in found.items():
        inner = value[0] if isinstance(value, tuple) else value
        if key.endswith(":meta"):
            found[key] = {name: text for name, text in inner.items() if not name.endswith("_ms")}
        elif key.endswith(":nodes"):
            found[key] = {name: text for name, text in inner.items() if not name.endswith((":began", ":ended"))}
        elif key.endswith(":tries"):
            found[key] = {name: [part for k, part in enumerate(text.split("|")) if k not in {4, 5, 6}] for name, text in inner.items()}
        elif key.endswith(":fails"):
            found[key] = sorted(inner)
        else:
            found[key] = inner
    return found


@every_shape
def test_both_paths_end_in_the_same_state(redis_client: redis.Redis, shape: str) -> None:
    """One place, so that begins and records come in the same order."""
    ends = []

    async def scenario() -> None:
        for one_server in (True, False):
            world = world_of(redis_client, shape, one_server=one_server, room=1)
            await begin(world)
            await world.finish()
            ends.append(normal(redis_client, world.run.id))

    in_a_loop(scenario)
    assert changes(ends[0], ends[1]) == {}


def calls_without_faults(client: redis.Redis, shape: str, *, one_server: bool) -> int:
    counted = 0

    async def scenario() -> None:
        nonlocal counted
        world = world_of(client, shape, one_server=one_server)
        counted = await begin(world)
        await world.end_all()

    in_a_loop(scenario)
    return counted


@both_paths
@every_shape
def test_an_actor_may_die_at_any_call(redis_client: redis.Redis, shape: str, one_server: bool) -> None:
    """Before the call is sent, and after it ran but before its answer; at every call of the whole run.

    What a worker leaves behind its lease brings back: only a starter that dies needs a janitor.
    """
    places = share(calls_without_faults(redis_client, shape, one_server=one_server))
    assert len(places) >= 3
    for place in places:
        for sent in (False, True):
            in_a_loop(lambda place=place, sent=sent: death(redis_client, shape, place, one_server=one_server, sent=sent))  # type: ignore[misc]


async def death(client: redis.Redis, shape: str, place: int, *, one_server: bool, sent: bool) -> None:
    world = world_of(client, shape, one_server=one_server)
    await begin_until(world, place)
    call = world.pending[0]
    if sent:
        world.go(call, answered=False)
    await world.kill(call.actor)
    await world.finish(janitor=call.actor.startswith("starter"))
    right_end(world, shape)
    await world.end_all()


@both_paths
@every_shape
def test_a_worker_may_sleep_through_its_lease_at_any_call(redis_client: redis.Redis, shape: str, one_server: bool) -> None:
    """It wakes up when others have done all of its work, and sends what it was about to send."""
    for place in share(calls_without_faults(redis_client, shape, one_server=one_server)):

        async def scenario(place: int = place) -> None:
            world = world_of(redis_client, shape, one_server=one_server)
            await begin_until(world, place)
            late = world.pending.pop(0)
            await world.finish()
            world.pending.append(late)
            await world.finish()
            right_end(world, shape)
            await world.end_all()

        in_a_loop(scenario)


@both_paths
@every_shape
def test_any_call_may_be_sent_twice(redis_client: redis.Redis, shape: str, one_server: bool) -> None:
    """As the client library does after a lost reply: the actor gets the second answer."""
    for place in share(calls_without_faults(redis_client, shape, one_server=one_server)):

        async def scenario(place: int = place) -> None:
            world = world_of(redis_client, shape, one_server=one_server)
            await begin_until(world, place)
            call = world.pending[0]
            world.go(call)
            before = keyspace(redis_client)
            world._execute(call.words, call.options, "the library")
            changed = {key for key in changes(before, keyspace(redis_client)) if not expected_to_change(key)}
            assert not changed, f"{call.name} changed {changed} when it came twice"
            await world.settle()
            await world.finish()
            right_end(world, shape)

        in_a_loop(scenario)


def expected_to_change(key: str) -> bool:
    """What a repeat may change: the time at which a run was listed, and a chunk that was staged and committed since."""
    return key.startswith("{runs:")


@both_paths
@every_shape
@pytest.mark.parametrize("order", [list, reversed], ids=["in order", "backwards"])
def test_everything_may_come_again_after_the_end(
    redis_client: redis.Redis, shape: str, one_server: bool, order: Callable[[Any], Any]
) -> None:
    async def scenario() -> None:
        world = world_of(redis_client, shape, one_server=one_server)
        await begin(world)
        await world.finish()
        before = run_keys(redis_client, world)
        ran = executed.copy()
        for words in list(order([words for words in world.sent if words[0] == "EVALSHA"])):
            world._execute(words, {}, "late")
        assert changes(before, run_keys(redis_client, world)) == {}
        world.new_worker()
        await world.finish()
        assert changes(before, run_keys(redis_client, world)) == {}
        assert executed == ran
        right_end(world, shape)

    in_a_loop(scenario)


def run_keys(client: redis.Redis, world: World) -> dict[str, Any]:
    """All of the run but chunks that were staged in vain, which expire."""
    return {key: value for key, value in keyspace(client).items() if key.startswith(f"{{run:{world.run.id}}}:") and ":stage:" not in key}


schedules = st.lists(st.integers(0, 1023), max_size=120)


@both_paths
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])  # each world empties the server by itself
@given(shape=st.sampled_from(sorted(SHAPES)), schedule=schedules)
def test_any_schedule_of_two_workers_and_any_faults_ends_right(
    redis_client: redis.Redis, one_server: bool, shape: str, schedule: list[int]
) -> None:
    async def scenario() -> None:
        world = world_of(redis_client, shape, one_server=one_server, room=2)
        world.new_starter()
        world.new_worker()
        world.new_worker()
        await world.settle()
        for number in schedule:
            await fault(world, number % 16, number // 16)
        await world.finish()
        right_end(world, shape)
        await world.end_all()

    in_a_loop(scenario)


async def fault(world: World, kind: int, which: int) -> None:
    """Do one thing: mostly, let one of the waiting calls go."""
    call = world.pending[which % len(world.pending)] if world.pending else None
    if call is None or kind == 15:
        if kind % 2:
            world.let_time_pass()
        if not world.status():
            world.new_starter()
        world.new_worker()
    elif kind == 14:
        world.again(which)
    elif kind == 13:
        world.go(call, times=2)
    elif kind == 12:
        world.go(call, answered=False)
        await world.kill(call.actor)
    elif kind == 11:
        await world.kill(call.actor)
    elif kind == 10:
        world.new_janitor()
    elif kind == 9 and which % 4 == 0:
        world.new_canceller()
    else:
        world.go(call)
    await world.settle()
