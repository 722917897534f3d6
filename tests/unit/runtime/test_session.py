from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis
import uvloop
from eventually import eventually, eventually_async

from omniq_flow import connect, disconnect
from omniq_flow.errors import BadUrl
from omniq_flow.runtime.session import Session, current_session


@pytest.fixture(autouse=True)
def _no_session_left() -> Iterator[None]:
    yield
    disconnect()


@pytest.mark.parametrize("url", ["nonsense", "http://h", "", " ", 5, b"redis://h", object()])
def test_a_wrong_url_is_refused_at_once_and_changes_nothing(url: str) -> None:
    before = connect("redis://localhost:1")
    client = before.client
    with pytest.raises(BadUrl):
        connect(url)
    assert current_session() is before
    assert before.client is client, "the session before was not closed"
    with pytest.raises(BadUrl):
        Session(url)


def test_an_empty_variable_names_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIQ_FLOW_URL", "")
    monkeypatch.setattr("omniq_flow.embedded.embedded_url", lambda: "unix:///embedded")
    assert connect().url == "unix:///embedded"


def test_the_variable_is_read_when_no_url_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIQ_FLOW_URL", "redis://named:1")
    assert connect().url == "redis://named:1"
    assert connect("redis://given:1").url == "redis://given:1"
    monkeypatch.setenv("OMNIQ_FLOW_URL", "nonsense")
    with pytest.raises(BadUrl):
        connect()


async def use(session: Session) -> None:
    """Open a connection for calls, and one for listening."""
    await session.aclient().check()
    async with session.alistener().ear("one") as one:
        assert await session.alistener().wait(one, 30), "the subscription"


def connections(client: redis.Redis) -> int:
    return sum(1 for each in client.client_list() if each["name"] == "omniq-flow")


# uvloop closes its sockets itself, and warns of each.
UVLOOP = pytest.param(uvloop.new_event_loop, marks=pytest.mark.filterwarnings("ignore::ResourceWarning"), id="uvloop")


@pytest.mark.parametrize("loop_of", [pytest.param(asyncio.new_event_loop, id="asyncio"), UVLOOP])
def test_loops_that_are_closed_without_further_ado_leave_no_connection(
    lone_session: Session, redis_client: redis.Redis, loop_of: Callable[[], asyncio.AbstractEventLoop], caplog: pytest.LogCaptureFixture
) -> None:
    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []
    for _ in range(3):
        loop = loop_of()
        loops.append(weakref.ref(loop))
        loop.run_until_complete(use(lone_session))
        eventually(lambda: connections(redis_client) == 2, "those of the loops before are closed")
        loop.close()
        del loop
    lone_session.close()
    eventually(lambda: connections(redis_client) == 0, "those of the last loop are closed with the session")
    gc.collect()
    assert [loop for loop in loops if loop()] == []
    assert caplog.messages == []


def test_a_loop_that_is_closed_leaves_nothing_in_a_cluster_either(session: Session, caplog: pytest.LogCaptureFixture) -> None:
    """What it left is closed by the next loop's first use: the test would leave it behind."""
    loop = asyncio.new_event_loop()
    loop.run_until_complete(use(session))
    loop.close()
    del loop
    asyncio.run(use(session))
    gc.collect()
    assert caplog.messages == []


def test_a_connection_is_closed_also_when_a_task_was_reading_from_it(lone_session: Session, redis_client: redis.Redis) -> None:
    async def listen() -> None:
        async with lone_session.alistener().ear("one") as one:
            while True:
                await lone_session.alistener().wait(one, 30)

    async def until_it_reads() -> None:
        await eventually_async(lambda: lone_session.alistener()._reading, "it reads")

    loop = asyncio.new_event_loop()
    listening: Any = loop.create_task(listen())
    loop.run_until_complete(until_it_reads())
    loop.close()
    asyncio.run(use(lone_session))
    eventually(lambda: connections(redis_client) == 0, "all are closed")
    listening._log_destroy_pending = False
    listening.get_coro().close()


def test_a_loop_that_ends_as_it_should_is_not_kept(lone_session: Session) -> None:
    async def used() -> weakref.ref[asyncio.AbstractEventLoop]:
        await use(lone_session)
        return weakref.ref(asyncio.get_running_loop())

    loop = asyncio.run(used())
    gc.collect()
    assert loop() is None


def test_threads_that_come_first_share_one_default_session(project: Path) -> None:
    many = 8
    together = threading.Barrier(many)

    def first() -> Session:
        together.wait(timeout=10)
        session = current_session()
        session.client.check()
        return session

    with ThreadPoolExecutor(many) as threads:
        used = [each.result() for each in [threads.submit(first) for _ in range(many)]]
    assert len(set(used)) == 1


def test_a_default_that_cannot_be_made_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIQ_FLOW_URL", "nonsense")
    with pytest.raises(BadUrl):
        current_session()
    monkeypatch.setenv("OMNIQ_FLOW_URL", "redis://named:1")
    assert current_session() is current_session()
    assert current_session().url == "redis://named:1"
