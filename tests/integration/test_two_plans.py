"""A flow has changed while runs of it are in flight: new code leaves the jobs of older runs to workers that have theirs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from omniq_flow import Flow, Limit, Run, Session, flow, step, worker

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


def jobs(session: Session, run: Run[Any]) -> set[bytes]:
    return set(session.client.redis.scan_iter(match=f"*:job:{run.id}/*"))


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
