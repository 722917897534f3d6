"""What a run's handle tells, asked by threads and from asyncio code."""

from __future__ import annotations

import asyncio
import math

import pytest

from omniq_flow import Run, Session, flow, step, worker
from omniq_flow.errors import OutOfRange, RunNotFound


@step
def twice(number: int) -> int:
    return 2 * number


@flow
def twice_all(numbers: list[int]) -> list[int]:
    return twice.map(numbers)


def test_asyncio_code_is_told_the_same_as_a_thread(lone_session: Session) -> None:
    with worker(twice_all):
        run = twice_all.start([1, 2])
        assert run.result(timeout=10) == [2, 4]
        [node] = run.nodes()
        assert (node.name, node.state, node.done) == ("twice", "succeeded", 2)

        async def told(handle: Run[list[int]]) -> None:
            assert await handle.anodes() == run.nodes()
            assert await handle.ahead() == run.head()
            assert (await handle.agraph()).text() == run.graph().text()
            assert await handle.astatus() == run.status() == "succeeded"

        asyncio.run(told(run))
        asyncio.run(told(twice_all.handle(run.id, lone_session)))


def test_a_run_that_is_not_kept_has_neither_head_nor_nodes_nor_graph(lone_session: Session) -> None:
    gone = twice_all.handle("gone", lone_session)
    for ask in (gone.head, gone.nodes, gone.graph):
        with pytest.raises(RunNotFound, match="gone"):
            ask()
    for aask in (gone.ahead, gone.anodes, gone.agraph):
        with pytest.raises(RunNotFound, match="gone"):
            asyncio.run(aask())


def test_a_wait_without_a_usable_end_is_refused_at_once(lone_session: Session) -> None:
    run = twice_all.start([1])
    with pytest.raises(OutOfRange, match="timeout must be seconds, 0 or more, or None to wait without end, not nan"):
        run.result(timeout=math.nan)
    with pytest.raises(OutOfRange, match="timeout must be seconds"):
        asyncio.run(run.aresult(timeout=-1))
