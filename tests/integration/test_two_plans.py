"""A flow has changed while runs of it are in flight: new code leaves the jobs of older runs to workers that have theirs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from omniq_flow import Flow, Limit, Run, Session, flow, step, worker
from omniq_flow.runtime.operations import create, start
from omniq_flow.runtime.starting import list_run

broken = threading.Event()


@step
def twice(x: int) -> int:
    return 2 * x


@step(limit=Limit("x", 1))
def limited(x: int) -> int:
    if broken.is_set():
        raise ValueError("broken")
    return 3 * x


@step(queue="other")
def elsewhere(x: int) -> int:
    return 4 * x


@flow(name="app.changing")
def old(x: int) -> list[int]:
    return [twice(x), limited(x)]


@flow(name="app.changing")
def longer(x: int) -> list[int]:
    return [twice(x), limited(x), elsewhere(x)]


@flow(name="app.changing")
def shorter(x: int) -> list[int]:
    return [twice(x)]


@flow(name="app.changing")
def other(x: int) -> list[int]:
    return [twice(x), elsewhere(x)]


NEW = [longer, shorter, other]
IDS = ["longer", "shorter", "other"]


@pytest.fixture(autouse=True)
def _mended() -> Iterator[None]:
    yield
    broken.clear()


def left_due(session: Session, key: str) -> Run[list[int]]:
    """Start a run of the old plan as a starter does that dies before it has delivered what is due."""
    run = old.opts(key=key)._new_run((1,), {})
    session.client.run(list_run(run.id, "live"))
    session.client.run(start(run) if session.one_server else create(run))
    return old.handle(run.id, session)


def jobs(session: Session, run: Run[Any]) -> set[bytes]:
    return set(session.client.redis.scan_iter(match=f"*:job:{run.id}/*"))


def due(session: Session, run: Run[Any]) -> Mapping[Any, Any]:
    return session.client.redis.hgetall(f"{{run:{run.id}}}:due")


@pytest.mark.parametrize("new", NEW, ids=IDS)
@pytest.mark.parametrize("how", ["retry", "aretry"])
def test_a_run_of_an_older_plan_is_retried_and_a_worker_issues_its_jobs(session: Session, new: Flow[[int], list[int]], how: str) -> None:
    broken.set()
    with worker(old, janitor=0.05):
        run = old.opts(key="k").start(1)
        assert run.wait(timeout=20) == "failed"
    broken.clear()
    before = jobs(session, run)
    again = new.opts(key="k").start(1)
    assert again.id == run.id
    assert again.retry() if how == "retry" else asyncio.run(again.aretry())
    assert again.status() == "running"
    assert jobs(session, run) == before
    with worker(old, janitor=0.05):
        assert again.result(timeout=20) == [2, 3]


@pytest.mark.parametrize("new", [*NEW, old.opts(queue="night")], ids=[*IDS, "by night"])
async def test_what_a_run_of_another_plan_or_queue_has_due_is_left_to_a_worker(session: Session, new: Flow[[int], list[int]]) -> None:
    run = left_due(session, "k")
    before = due(session, run), jobs(session, run)
    assert before[0]
    arguments, keys = [{"x": 2}, {"x": 1}, {"x": 3}], ["before", "k", "after"]
    started = [
        new.opts(key="k").start(1),
        await new.opts(key="k").astart(1),
        new.start_many(arguments, keys=keys)[1],
        (await new.astart_many(arguments, keys=keys))[1],
    ]
    assert {each.id for each in started} == {run.id}
    assert (due(session, run), jobs(session, run)) == before
    with worker(old, janitor=0.05):
        assert await run.aresult(timeout=20) == [2, 3]
    await session.aclose()


def test_what_a_run_of_the_same_plan_has_due_is_delivered(session: Session) -> None:
    one, two = left_due(session, "one"), left_due(session, "two")
    old.opts(key="one").start(1)
    old.start_many([{"x": 1}], keys=["two"])
    for run in (one, two):
        assert due(session, run) == {}
        assert len(jobs(session, run)) == 2
