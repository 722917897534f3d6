"""What a run's handle tells, asked by threads and from asyncio code."""

from __future__ import annotations

import asyncio
import math

import pytest

from omniq_flow import Run, Session, flow, step, worker
from omniq_flow.errors import OutOfRange, RunError, RunFailed, RunNotFound


@step
def twice(number: int) -> int:
    return 2 * number


@flow
def twice_all(numbers: list[int]) -> list[int]:
    return twice.map(numbers)


@step
def refuse(number: int) -> int:
    raise ValueError(number)


@flow
def refused(number: int) -> int:
    return refuse(number)


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


DAMAGED: list[tuple[str, str, str | bytes]] = [
    ("nodes", "1:left", "few"),
    ("nodes", "1:tries", b"\xff"),
    ("tries", "1/0", "0|1|0"),
    ("tries", "1/0", "0|1|0|0|t|7|"),
    ("tries", "first/0", "0|1|0|0|t|7||"),
    ("fails", "1", "{}"),
    ("fails", "1/0", "no JSON"),
]


@pytest.mark.parametrize("key, field, text", DAMAGED)
def test_nodes_that_cannot_be_read_are_told_as_damage(lone_session: Session, key: str, field: str, text: str | bytes) -> None:
    run = twice_all.start([1])
    lone_session.client.redis.hset(f"{{run:{run.id}}}:{key}", field, text)
    for ask in (run.nodes, run.graph):
        with pytest.raises(RunError, match=f"run {run.id}: the state of its nodes on the server is damaged"):
            ask()
    for aask in (run.anodes, run.agraph):
        with pytest.raises(RunError, match=f"run {run.id}: the state of its nodes on the server is damaged"):
            asyncio.run(aask())


@pytest.mark.parametrize("keep_ms", ["", "long"])
def test_a_run_that_has_lost_its_term_is_told_as_damaged_when_it_is_cancelled(lone_session: Session, keep_ms: str) -> None:
    run = twice_all.start([1])
    assert run.cancel() == "cancelled"
    head = f"{{run:{run.id}}}:meta"
    lone_session.client.redis.hdel(head, "keep_ms")
    if keep_ms:
        lone_session.client.redis.hset(head, "keep_ms", keep_ms)
    with pytest.raises(RunError, match=f"run {run.id}: its term on the server is damaged"):
        run.cancel()
    with pytest.raises(RunError, match=f"run {run.id}: its term on the server is damaged"):
        asyncio.run(run.acancel())


def test_a_head_with_foreign_bytes_is_shown_as_far_as_it_can_be_read(lone_session: Session) -> None:
    run = twice_all.start([1])
    lone_session.client.redis.hset(f"{{run:{run.id}}}:meta", "queue", b"\xffq")
    assert run.head().queue == "\ufffdq"


@pytest.mark.parametrize("failed, failure", [("1/0", "no JSON"), ("7/0", '{"step":"s","type":"E","message":"m"}')])
def test_a_failure_that_cannot_be_read_is_lost(lone_session: Session, failed: str, failure: str) -> None:
    with worker(refused):
        run = refused.start(1)
        assert run.wait(timeout=10) == "failed"
    redis, base = lone_session.client.redis, f"{{run:{run.id}}}"
    redis.hset(f"{base}:meta", "failed", failed)
    redis.hset(f"{base}:fails", failed, failure)
    with pytest.raises(RunFailed, match="the server has lost why"):
        run.result(timeout=10)


def test_a_wait_without_a_usable_end_is_refused_at_once(lone_session: Session) -> None:
    run = twice_all.start([1])
    with pytest.raises(OutOfRange, match="timeout must be seconds, 0 or more, or None to wait without end, not nan"):
        run.result(timeout=math.nan)
    with pytest.raises(OutOfRange, match="timeout must be seconds"):
        asyncio.run(run.aresult(timeout=-1))
