"""Waiting for the ends of runs: by many at once, over one connection, also when the word gets lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import redis
from eventually import eventually, eventually_async
from gate import Gate

from omniq_flow import Run, Session, flow, step, worker
from omniq_flow.errors import ResultTimeout
from omniq_flow.queue import Operation
from omniq_flow.runtime.keys import ended_channel
from omniq_flow.runtime.operations import View, view

MANY = 100
gate = Gate()


@step
async def passed(x: int) -> int:
    await gate.passed()
    return x


@flow
def gated(x: int) -> int:
    return passed(x)


@flow
def pair(x: int) -> tuple[int, list[int]]:
    return passed(x), passed.map([x, x])


@pytest.fixture(autouse=True)
def _closed_gate() -> Iterator[None]:
    gate.clear()
    yield
    gate.set()


def listening(client: redis.Redis) -> int:
    return sum(1 for each in client.client_list() if each["name"] == "omniq-flow" and int(each["sub"]))


def channels(client: redis.Redis) -> int:
    return len(client.pubsub_channels("{run:*}:ended"))


def test_many_threads_wait_over_one_connection(lone_session: Session, redis_client: redis.Redis) -> None:
    with worker(gated, concurrency=MANY), ThreadPoolExecutor(MANY) as threads:
        runs = [gated.start(x) for x in range(MANY)]
        results = [threads.submit(run.result, 30) for run in runs]
        eventually(lambda: channels(redis_client) == MANY, "all of them listen")
        assert listening(redis_client) == 1
        gate.set()
        assert [result.result() for result in results] == list(range(MANY))
    eventually(lambda: channels(redis_client) == 0, "nobody listens")


async def test_many_tasks_wait_over_one_connection(lone_session: Session, redis_client: redis.Redis) -> None:
    with worker(gated, concurrency=MANY):
        runs = [await gated.astart(x) for x in range(MANY)]
        results = asyncio.gather(*(run.aresult(30) for run in runs))
        await eventually_async(lambda: channels(redis_client) == MANY, "all of them listen")
        assert listening(redis_client) == 1
        gate.set()
        assert await results == list(range(MANY))
        await eventually_async(lambda: channels(redis_client) == 0, "nobody listens")
        await lone_session.aclose()


def test_many_may_wait_for_the_same_run(lone_session: Session) -> None:
    with worker(gated), ThreadPoolExecutor(8) as threads:
        run = gated.start(7)
        results = [threads.submit(run.result, 30) for _ in range(8)]
        gate.set()
        assert {result.result() for result in results} == {7}


def test_who_gives_up_leaves_the_reading_to_another(lone_session: Session, redis_client: redis.Redis) -> None:
    listener, told = lone_session.listener, threading.Event()
    with listener.ear("one") as one, listener.ear("other") as other:

        def wait() -> None:
            assert listener.wait(other, 30), "the subscription"
            if listener.wait(other, 30):
                told.set()

        assert listener.wait(one, 30), "the subscription"
        waiting = threading.Thread(target=wait)
        reading = threading.Thread(target=listener.wait, args=(one, 0.5))
        reading.start()
        waiting.start()
        eventually(lambda: redis_client.pubsub_numsub("other")[0][1], "both listen")
        reading.join()
        redis_client.publish("other", "now")
        waiting.join()
    assert told.is_set()


async def test_a_task_that_is_cancelled_leaves_the_reading_to_another(lone_session: Session, redis_client: redis.Redis) -> None:
    listener = lone_session.alistener()
    async with listener.ear("one") as one, listener.ear("other") as other:
        assert await listener.wait(one, 30), "the subscription"
        reading = asyncio.ensure_future(listener.wait(one, 30))
        await asyncio.sleep(0)
        waiting = asyncio.ensure_future(listener.wait(other, 30))
        assert await waiting, "the subscription, read by the other one"
        waiting = asyncio.ensure_future(listener.wait(other, 30))
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        redis_client.publish("other", "now")
        assert await waiting
    await lone_session.aclose()


def test_a_connection_may_be_closed_under_the_one_who_reads(lone_session: Session, redis_client: redis.Redis) -> None:
    """As redis-py does when another thread's send fails."""
    listener = lone_session.listener
    with listener.ear("one") as one, ThreadPoolExecutor(1) as threads:
        for _ in range(20):
            assert listener.wait(one, 30), "the subscription"
            reading = threads.submit(listener.wait, one, 30)
            eventually(lambda: listener._reading, "it reads")
            listener._connection.disconnect()
            assert reading.result(), "a reason to look"
        assert listener.wait(one, 30), "the subscription, anew"
        redis_client.publish("one", "now")
        assert listener.wait(one, 30)


async def test_a_connection_may_be_closed_under_the_task_that_sends(lone_session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the task that reads does when its read fails."""
    listener = lone_session.alistener()
    async with listener.ear("one") as one, listener.ear("two") as two:
        assert await listener.wait(one, 30), "the subscription"
        connection = listener._connection

        async def closed_first(command: Any) -> None:
            await connection.disconnect(nowait=True)
            connection._writer.writelines(command)

        monkeypatch.setattr(connection, "_send_packed_command", closed_first)
        assert await listener.wait(two, 30), "a reason to look"
        assert await listener.wait(two, 30), "the subscription, anew"
        assert listener._connection is not connection
    await lone_session.aclose()


def test_a_connection_may_be_closed_under_the_thread_that_sends(lone_session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    listener = lone_session.listener
    with listener.ear("one") as one, listener.ear("two") as two:
        assert listener.wait(one, 30), "the subscription"
        connection = listener._connection

        def closed_first(*_words: Any, **_options: Any) -> None:
            connection.disconnect()
            connection._sock.sendall(b"")

        monkeypatch.setattr(connection, "send_command", closed_first)
        assert listener.wait(two, 30), "a reason to look"
        assert listener.wait(two, 30), "the subscription, anew"
        assert listener._connection is not connection


def test_an_end_that_nobody_told_is_found(lone_session: Session, redis_client: redis.Redis) -> None:
    """The word was published while nobody could hear it; the connection that missed it is not trusted any longer."""
    with worker(gated), ThreadPoolExecutor(1) as threads:
        run = gated.start(3)
        waiting = threads.submit(run.result, 30)
        eventually(lambda: channels(redis_client), "it listens")
        [ours] = [each for each in redis_client.client_list() if int(each["sub"])]
        lone_session.listener._connection.send_command("UNSUBSCRIBE", ended_channel(run.id), check_health=False)
        eventually(lambda: not channels(redis_client), "the subscription is gone and nobody knows")
        gate.set()
        assert waiting.result() == 3
        eventually(lambda: ours["id"] not in {each["id"] for each in redis_client.client_list()}, "the connection is given up")
        assert gated.start(4).result(timeout=30) == 4


def test_a_thread_doubts_only_a_connection_over_which_it_listened(lone_session: Session) -> None:
    listener = lone_session.listener
    with listener.ear("one") as one, listener.ear("not yet") as other:
        assert listener.wait(one, 30), "the subscription"
        listener.doubt(other)
        assert listener._connection
        listener.doubt(one)
        assert not listener._connection


async def test_a_task_doubts_only_a_connection_over_which_it_listened(lone_session: Session) -> None:
    listener = lone_session.alistener()
    async with listener.ear("one") as one, listener.ear("not yet") as other:
        assert await listener.wait(one, 30), "the subscription"
        await listener.doubt(other)
        assert listener._connection
        await listener.doubt(one)
        assert not listener._connection
    await lone_session.aclose()


def test_a_result_of_many_parts_comes_whole(lone_session: Session) -> None:
    gate.set()
    with worker(pair):
        run: Run[tuple[int, list[int]]] = pair.start(5)
        assert run.result(timeout=30) == (5, [5, 5])
        assert asyncio.run(run.aresult()) == (5, [5, 5])


def test_a_timeout_leaves_no_subscription(lone_session: Session, redis_client: redis.Redis) -> None:
    run = gated.start(1)
    with pytest.raises(ResultTimeout):
        run.result(timeout=0.05)
    eventually(lambda: channels(redis_client) == 0, "nobody listens")


def test_a_fork_listens_over_a_connection_of_its_own(lone_session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = lone_session.listener
    assert lone_session.listener is ours
    monkeypatch.setattr("omniq_flow.runtime.session.os.getpid", lambda: 1)
    assert lone_session.listener is not ours


@pytest.fixture
def retried_behind(lone_session: Session, monkeypatch: pytest.MonkeyPatch) -> Run[int]:
    """Return a run that was cancelled; it is retried once a wait has seen that, and can succeed once it was seen to run again."""
    run = gated.start(3)
    run.cancel()

    def retried_first(run_id: str) -> Operation[View]:
        monkeypatch.setattr(where, view)
        assert gated.handle(run_id, lone_session).retry()
        look = view(run_id)

        def seen(reply: Any) -> View:
            gate.set()
            return look.decode(reply)

        return replace(look, decode=seen)

    where = "omniq_flow.runtime.run.view"
    monkeypatch.setattr(where, retried_first)
    return run


def test_a_run_that_was_retried_after_its_end_was_seen_is_waited_for_on(retried_behind: Run[int]) -> None:
    with worker(gated):
        assert retried_behind.result(timeout=30) == 3


async def test_asyncio_code_waits_on_for_a_retried_run_too(retried_behind: Run[int], lone_session: Session) -> None:
    with worker(gated):
        assert await retried_behind.aresult(timeout=30) == 3
    await lone_session.aclose()


def test_waiting_on_for_a_retried_run_ends_with_the_time_that_was_given(retried_behind: Run[int]) -> None:
    with pytest.raises(ResultTimeout, match=r"did not end within 0\.3 s"):
        retried_behind.result(timeout=0.3)
    assert retried_behind.status() == "running"
