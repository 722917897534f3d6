"""The task that an async step runs in is its own: what it does to it stays there."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest

from omniq_flow import Session, flow, step, worker
from omniq_flow.runtime.outcomes import CHUNK_ITEMS

seen: ContextVar[int] = ContextVar("seen", default=0)
tasks: list[asyncio.Task[object]] = []


def own_task() -> asyncio.Task[object]:
    task = asyncio.current_task()
    assert task is not None
    return task


@pytest.fixture(autouse=True)
def no_tasks() -> None:
    tasks.clear()


@step
async def leaves_a_cancel_behind(items: int) -> list[int]:
    own_task().cancel()
    return list(range(items))


@step
async def takes_its_cancel_back(items: int) -> list[int]:
    own_task().cancel()
    own_task().uncancel()
    return list(range(items))


@step
async def one_more(x: int) -> int:
    return x + 1


@step
async def total(numbers: list[int]) -> int:
    return sum(numbers)


@flow
def cancelled_behind(items: int) -> int:
    return total(one_more.map(leaves_a_cancel_behind(items)))


@flow
def cancelled_for_nothing(items: int) -> int:
    return total(one_more.map(takes_its_cancel_back(items)))


@pytest.mark.parametrize("items", [2, CHUNK_ITEMS + 1], ids=["short", "long"])
def test_a_cancel_that_a_step_leaves_behind_meets_nobody(session: Session, items: int) -> None:
    """A long list is stored before the outcome is recorded: that is waited for after the step, and not in its task."""
    with worker(cancelled_behind, cancelled_for_nothing):
        assert cancelled_behind.start(items).result(timeout=20) == items * (items + 1) // 2
        assert cancelled_for_nothing.start(items).result(timeout=20) == items * (items + 1) // 2


@step
async def sets_a_variable(x: int) -> int:
    found = seen.get()
    seen.set(x)
    return found


@flow
def setting(xs: list[int]) -> list[int]:
    return sets_a_variable.map(xs)


def test_a_variable_that_a_step_sets_is_not_seen_by_the_next(session: Session) -> None:
    with worker(setting):
        assert setting.start([1, 2, 3, 4]).result(timeout=10) == [0, 0, 0, 0]


@step
async def notes_its_task(x: int) -> None:
    tasks.append(own_task())
    if x % 2:
        await asyncio.sleep(0)


@flow
def noting(xs: list[int]) -> list[None]:
    return notes_its_task.map(xs)


def test_no_two_steps_share_a_task(session: Session) -> None:
    """Libraries keep what belongs together by task: sessions of a database, scopes, what is done when it ends."""
    with worker(noting):
        run = noting.start(list(range(6)))
        run.result(timeout=10)
    assert len({id(task) for task in tasks}) == 6
    assert {task.get_name() for task in tasks} == {f"{run.id}/1/{index}/0" for index in range(6)}
