"""A world is a value of its moves: the same ones give the same course; and all kinds of steps run in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from world_flows import SHAPES, executed

from omniq_flow import exponential, flow, step
from omniq_flow.doctor.snapshot import snapshot
from omniq_flow.testing import Broken, Memory, Move, Schedule, World, assert_invariants, play
from omniq_flow.testing.exploration import trouble
from omniq_flow.testing.shrinking import smallest
from omniq_flow.testing.verdict import End

both_paths = pytest.mark.parametrize("one_server", [True, False], ids=["one-server", "slot-by-slot"])
SOME = Schedule((Move("on", 4), Move("stall"), Move("expire"), Move("let", 1), Move("repeat", 3), Move("begin", 0), Move("die unheard")))


@both_paths
def test_the_same_moves_give_the_same_story(new_memory: Callable[[], Memory], *, one_server: bool) -> None:
    flow, arguments, _ = SHAPES["diamond"]
    told = []
    for _ in range(2):
        memory = new_memory()  # knows nothing of the first course
        for _ in range(2):
            executed.clear()
            world = World(memory, flow, arguments, one_server=one_server)
            play(world, SOME)
            world.finish()
            world.close()
            told.append(str(world.stage.story))
    assert len(set(told)) == 1
    assert "is stopped" in told[0]


def test_what_was_seen_once_is_not_asked_again(world_memory: Memory) -> None:
    flow, arguments, _ = SHAPES["chain"]
    World(world_memory, flow, arguments).finish()
    asked = world_memory.asked
    world = World(world_memory, flow, arguments)
    world.finish()
    assert world_memory.asked == asked
    assert world.stage.state.keys


@step
def plain(seconds: float) -> str:
    return f"{timedelta(seconds=seconds)}"


@step(executor="process")
def computed(text: str) -> int:
    return len(text)


@step(timeout=60)
async def patient(count: int) -> float:
    began = time.time()
    await asyncio.sleep(30)
    return count + time.time() - began


@step(timeout=1, retries=1, backoff=exponential(600, max_seconds=3600))
async def too_slow(count: float) -> float:
    executed["too_slow", 0] += 1
    await asyncio.sleep(30 if executed["too_slow", 0] == 1 else 0)
    return count


@flow
def every_kind(seconds: float) -> float:
    return too_slow(patient(computed(plain(seconds))))


@both_paths
def test_steps_of_all_kinds_run_and_nobody_waits(world_memory: Memory, *, one_server: bool) -> None:
    executed.clear()
    world = World(world_memory, every_kind, (90.0,), one_server=one_server)
    began = time.monotonic()
    assert world.finish() == End("succeeded", "7.0")
    assert time.monotonic() - began < 20, "the sleeps of its steps are the world's, a minute and ten"
    assert [each.name for each in world.ran] == ["plain", "computed", "patient", "too_slow", "too_slow"]


def test_a_story_is_made_as_small_as_it_can_be(world_memory: Memory) -> None:
    flow, arguments, _ = SHAPES["chain"]
    wrong = End("succeeded", "13")

    def breaks_when_a_worker_dies(schedule: Schedule) -> Broken | None:
        broken = trouble(lambda: World(world_memory, flow, arguments), schedule, wrong)
        return broken if broken and "worker 1 dies" in str(broken.story) else None

    long = Schedule((Move("tick", 5), Move("on", 4), Move("repeat", 3), Move("let"), Move("die"), Move("begin", 1), Move("on", 9)))
    assert smallest(breaks_when_a_worker_dies, long).schedule == Schedule((Move("on", 3), Move("die")))
    with pytest.raises(ValueError, match="nothing breaks"):
        smallest(lambda _schedule: None, SOME)


def test_a_store_that_holds_what_it_should_passes_and_another_does_not(world_memory: Memory, world_server: object) -> None:
    flow, arguments, _ = SHAPES["diamond"]
    world = World(world_memory, flow, arguments)
    world.on(4)
    with world_server.client() as client:  # type: ignore[attr-defined]  # a RealServer
        assert snapshot(client)
        assert_invariants(client, (flow, world.stage.run.id))
        client.hset(f"{{run:{world.stage.run.id}}}:meta", "open", 7)
        with pytest.raises(AssertionError, match="counts 7 open nodes, there are"):
            assert_invariants(client, (flow, world.stage.run.id))
    world.close()
