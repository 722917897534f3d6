"""Smaller parts of the worker: options, batches, inputs, timers, janitors' turns, and who may be acked away."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from eventually import eventually_async
from world_flows import SHAPES, chain

from omniq_flow import Session
from omniq_flow.errors import InvalidName, OutOfRange
from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.runtime.index import take_janitor_turn
from omniq_flow.runtime.operations import Attempt, Ending
from omniq_flow.runtime.outcomes import PackedList
from omniq_flow.runtime.outline import Outline
from omniq_flow.worker import untold as untold_module
from omniq_flow.worker.appetite import ENOUGH, Appetite
from omniq_flow.worker.attempt import Claimed, Finished, read_attempt
from omniq_flow.worker.inputs import Inputs
from omniq_flow.worker.janitor import Janitor
from omniq_flow.worker.options import WorkerOptions
from omniq_flow.worker.quarantine import Quarantine
from omniq_flow.worker.served import Served
from omniq_flow.worker.timers import Timers
from omniq_flow.worker.untold import BATCH, BATCH_BYTES, Untold


@pytest.mark.parametrize(
    "options",
    [
        {"concurrency": 0},
        {"concurrency": True},
        {"lease": 0.01},
        {"lease": 1e9},
        {"janitor": 0},
        {"drain": -1},
        {"drain": 1e9},
    ],
)
def test_absurd_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(OutOfRange):
        WorkerOptions(**options)


def test_a_queue_that_cannot_be_one_is_refused() -> None:
    with pytest.raises(InvalidName):
        WorkerOptions(queues=["a b"])


def claimed(run: str = "r") -> Claimed:
    return Claimed("q", f"{run}/1/0/0", Attempt(run, 1, 0, 0, "t"), "p", "q", 1, 0, 0, Inputs(), None)


def test_a_jobs_id_names_its_attempt() -> None:
    assert read_attempt("k/x/1/2/3", "token") == Attempt("k/x", 1, 2, 3, "token")


def untold(*jobs: Finished) -> Untold:
    found = Untold(lambda: None)
    for job in jobs:
        found.add(job)
    return found


def test_a_batch_carries_no_more_than_one_call_may() -> None:
    small = Finished(claimed(), Ending("ok", b"1"))
    large = Finished(claimed(), Ending("ok", b"x" * (BATCH_BYTES // 3)))
    listed = Finished(claimed(), Ending("ok", b"L2", (PackedList("1", (), [b"x" * 1000, b"y"]), PackedList("2", (), [b"z" * 300_000]))))
    assert (small.size, listed.size, Finished(claimed(), None).size) == (1, 1003, 0)
    assert len(untold(*[small] * 600).take()) == BATCH
    assert len(untold(*[large] * 5).take()) == 3
    assert len(untold(*[Finished(claimed(), Ending("ok", b"x" * (BATCH_BYTES + 1)))] * 2).take()) == 1, "at least one"


async def test_what_is_owed_is_told_first_and_what_met_trouble_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(untold_module, "TROUBLE_S", 0.01)
    first, second, third = (Finished(claimed(run), None) for run in ("r1", "r2", "r3"))
    found = untold(third)
    found.owe([first])
    found.put_off([second])
    assert [*found.all] == [first, third, second], "all leases are kept"
    assert found.take() == [first, third]
    assert not found
    await eventually_async(lambda: found.take() == [second], "it is tried again")


def test_a_first_turn_is_for_anything_and_another_beside_it_for_enough() -> None:
    appetite = Appetite(100)
    assert appetite.hands == 2
    assert Appetite(2 * ENOUGH - 1).hands == 1
    assert appetite.worth_a_turn(room=1, untold=0)
    assert not appetite.worth_a_turn(room=0, untold=0)
    appetite.fed(0, room=100, news=appetite.news, told=0)
    assert not appetite.worth_a_turn(room=100, untold=0), "there is nothing to claim"
    assert appetite.worth_a_turn(room=100, untold=1)
    assert not appetite.worth_another(room=99, untold=ENOUGH - 1)
    assert appetite.worth_another(room=0, untold=ENOUGH)


def test_where_more_is_waiting_than_there_are_places_each_hand_takes_its_share() -> None:
    appetite = Appetite(BATCH)
    assert appetite.room(taken=0, untold=0) == BATCH
    appetite.fed(BATCH, room=BATCH, news=appetite.news, told=0)
    assert appetite.worth_another(room=BATCH // 2, untold=0)
    assert appetite.room(taken=0, untold=0) == BATCH // 2
    assert appetite.room(taken=BATCH - 20, untold=0) == 20
    appetite.fed(7, room=20, news=appetite.news, told=0)
    assert appetite.room(taken=0, untold=0) == BATCH
    assert not appetite.worth_another(room=BATCH // 2, untold=0)


def test_results_that_cannot_be_told_yet_keep_their_places() -> None:
    appetite = Appetite(1000)
    assert appetite.room(taken=0, untold=BATCH) == BATCH
    assert appetite.room(taken=0, untold=BATCH + 990) == 10
    assert appetite.room(taken=0, untold=BATCH + 2000) == 0


def test_what_came_up_during_a_turn_is_not_forgotten_because_it_found_nothing() -> None:
    appetite = Appetite(10)
    news = appetite.news
    appetite.crave()
    appetite.fed(0, room=10, news=news, told=0)
    assert appetite.worth_a_turn(room=10, untold=0)
    appetite.fed(0, room=10, news=appetite.news, told=0)
    assert not appetite.worth_a_turn(room=10, untold=0)
    appetite.fed(0, room=0, news=appetite.news, told=1)
    assert appetite.worth_a_turn(room=1, untold=0), "what was told may have brought new jobs, for which there was no room"


async def test_far_inputs_are_fetched_once_for_all_siblings() -> None:
    inputs, fetched = Inputs(), 0
    inputs.add([[b"v0", b"value", b"1"], [b"m2", b"items", [b"1", b"2"]], [b"v9", b"far"]])

    async def fetch() -> bytes:
        nonlocal fetched
        fetched += 1
        await asyncio.sleep(0)
        return b"far away"

    assert await inputs.get("v0", fetch) == b"1"
    assert await inputs.get("m2", fetch) == b"[1,2]"
    assert await asyncio.gather(*(inputs.get("v9", fetch) for _ in range(5))) == [b"far away"] * 5
    assert fetched == 1


async def test_a_sibling_that_is_cancelled_while_it_fetches_takes_nobody_along() -> None:
    inputs, gate = Inputs(), asyncio.Event()

    async def fetch() -> bytes:
        await gate.wait()
        return b"1"

    first, second = (asyncio.create_task(inputs.get("v1", fetch)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    gate.set()
    assert await second == b"1"
    await asyncio.gather(first, return_exceptions=True)


class Promoting:
    """Stands for a client: notes each look at delayed jobs."""

    redis = None  # no cluster

    def __init__(self) -> None:
        self.looks: list[float] = []

    async def promote_delayed(self, *, queue: str, max_promote: int) -> int:
        self.looks.append(time.monotonic())
        return 0


async def test_timers_look_when_the_earliest_job_is_due_whatever_the_clock_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)
    client = Promoting()
    timers = Timers(client, ["q"], lambda: None)  # type: ignore[arg-type]
    timers.start()
    await eventually_async(lambda: len(client.looks) == 1, "the look at the beginning")
    noted = time.monotonic()
    timers.note(60)
    timers.note(30)
    timers.note(60)
    await eventually_async(lambda: len(client.looks) == 2, "the look when it is due")
    assert 0.055 <= client.looks[1] - noted < 1
    timers.note(-1)
    await timers.stop()


async def test_janitors_of_different_flows_all_have_their_turn(lone_session: Session) -> None:
    """Whoever had the turn waits longer than those that wait for it."""
    client = lone_session.aclient()
    shapes = {name: Served([SHAPES[name].flow], 1000) for name in ("chain", "fan")}
    janitors = {name: Janitor(client, served, Quarantine(client, served), 0.1, name) for name, served in shapes.items()}
    had: list[str] = []

    def noting(name: str, look: Any) -> Any:
        async def round_() -> float:
            pause: float = await look()
            if pause >= 0.11:
                had.append(name)
            return pause

        return round_

    for name, janitor in janitors.items():
        janitor.round = noting(name, janitor.round)  # type: ignore[method-assign]
        janitor.start()
    await eventually_async(lambda: {"chain", "fan"} <= set(had) and len(had) >= 6, "both had turns")
    for janitor in janitors.values():
        await janitor.stop()
    await lone_session.aclose()


async def test_a_plan_that_is_not_served_has_no_outline(lone_session: Session) -> None:
    served = Served([chain], 1000)
    assert served.outline(chain.compiled.fingerprint) == Outline.of(chain.compiled.plan)
    assert served.outline("unknown") is None
    assert served.queues() == {"default"}
    assert Served([], 1000).queues() == {"default"}


async def test_the_turn_is_told_with_its_rest(lone_session: Session) -> None:
    client: AsyncOmniqClient = lone_session.aclient()
    assert await client.run(take_janitor_turn("a", 1000)) == 0
    assert 0 < await client.run(take_janitor_turn("b", 1000)) <= 1000
    await lone_session.aclose()
