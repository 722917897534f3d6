"""Connections that break, stall or are refused, at any moment: whoever consumes carries on when it is over, and never stops silently.

Each run of the suite shares the faults among the kinds of consumers; ``OMNIQ_TEST_FAULTS=all`` tries every fault on each.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from itertools import chain, repeat
from typing import Any, TypeAlias

import pytest
import redis
from consuming import consuming
from eventually import eventually, eventually_async
from real_server import RealServer

from omniq_flow import Session, flow, step, worker
from omniq_flow.errors import SetupError
from omniq_flow.queue import AsyncJobContext, AsyncOmniqClient, JobContext, OmniqClient, ReserveJob, async_client, wake_up
from omniq_flow.queue.connect import connect, connect_async
from omniq_flow.runtime import session as sessions
from omniq_flow.testing.faults import REFUSALS, Answer, Cut, Decision, Fault, LoseReply, Stall, always, in_order, nothing, only_scripts
from omniq_flow.testing.proxy import Proxy

pytestmark = pytest.mark.keeps_keys

Handled: TypeAlias = Callable[[str], bool]
Consumes: TypeAlias = Callable[[Proxy], AbstractContextManager[None]]

QUICK_S = 3.0
"""How long the clients here wait for an answer: longer than an idle worker sleeps."""
EVERYTHING = os.environ.get("OMNIQ_TEST_FAULTS") == "all"
PASSING: list[Fault] = [*map(Answer, REFUSALS), Cut(), LoseReply()]

done: set[str] = set()
"""What was handled; each consumer of these tests notes it here."""


@step
def note(name: str) -> str:
    done.add(name)
    return name


@flow
def noted(name: str) -> str:
    return note(name)


@contextmanager
def a_worker(proxy: Proxy) -> Generator[None]:
    session = Session(proxy.url)
    with worker(noted, session=session, lease=2, janitor=0.5):
        yield
    session.close()


@contextmanager
def a_consumer(proxy: Proxy) -> Generator[None]:
    def handler(ctx: JobContext) -> None:
        done.add(ctx.job_id)

    with OmniqClient(redis=connect(proxy.url, read_timeout=0.5)) as client, consuming(client, handler):
        yield
    client.redis.close()


@contextmanager
def an_async_consumer(proxy: Proxy) -> Generator[None]:
    stop = threading.Event()

    async def handler(ctx: AsyncJobContext) -> None:
        done.add(ctx.job_id)

    async def consume() -> None:
        flag = asyncio.Event()
        async with AsyncOmniqClient(redis=connect_async(proxy.url, read_timeout=0.5)) as client:
            consuming = asyncio.ensure_future(
                client.consume(queue="q", handler=handler, stop=flag, poll_interval_s=0.05, logger=lambda _line: None)
            )
            await eventually_async(stop.is_set, "the test is over", timeout=600)
            flag.set()
            await consuming
            await client.redis.aclose()

    thread = threading.Thread(target=lambda: asyncio.run(consume()), name="consuming")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.fixture(autouse=True)
def quick_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let sessions wait for an answer no longer than QUICK_S, and idle consumers not for long."""
    monkeypatch.setattr(wake_up, "LONGEST_S", 0.3)
    monkeypatch.setattr(wake_up, "_SLACK_S", 0.3)

    def quick(url: str) -> AsyncOmniqClient:
        client = AsyncOmniqClient(redis=connect_async(url, read_timeout=QUICK_S))
        client._ours = True
        return client

    monkeypatch.setattr(async_client, "AsyncOmniqClient", quick)
    done.clear()


@pytest.fixture
def give(server: RealServer, redis_client: redis.Redis) -> Generator[Callable[[str], Any]]:
    """Give work to whoever consumes, without the proxy."""
    session = sessions.connect(server.url)

    def give_both(name: str) -> None:
        noted.opts(key=name).start(name)
        session.client.publish(queue="q", payload={}, job_id=name)

    yield give_both
    sessions.disconnect()


every_consumer = pytest.mark.parametrize("consumes", [a_worker, a_consumer, an_async_consumer])
# What redis-py takes for a lost connection (LOADING) and what it does not are tried on each.
SHARES: dict[Consumes, list[Fault]] = {
    a_worker: [Answer("LOADING"), Answer("READONLY"), Cut()],
    a_consumer: [Answer("LOADING"), Answer("MASTERDOWN"), Answer("BUSY")],
    an_async_consumer: [Answer("LOADING"), Answer("CLUSTERDOWN"), Answer("TRYAGAIN"), LoseReply()],
}


def is_done(name: str) -> None:
    eventually(lambda: name in done, f"{name} is handled", timeout=20)


@every_consumer
def test_it_carries_on_after_whatever_passes(proxy: Proxy, give: Callable[[str], Any], consumes: Consumes) -> None:
    """The server refuses everything, or every connection breaks, for a while; work is given before, meanwhile and after."""
    with consumes(proxy):
        give("first")
        is_done("first")
        for number, fault in enumerate(PASSING if EVERYTHING else SHARES[consumes]):
            give(f"before {number}")
            proxy.met = 0
            proxy.decide = always(fault)
            give(f"meanwhile {number}")
            eventually(lambda: proxy.met >= 2, f"it meets {fault}")
            proxy.decide = nothing
            for when in ("before", "meanwhile"):
                is_done(f"{when} {number}")
            give(f"after {number}")
            is_done(f"after {number}")
        assert proxy.connections <= 12, "none leaks"
    eventually(lambda: proxy.connections == 0, "all are closed")


@every_consumer
@pytest.mark.parametrize("fault", PASSING if EVERYTHING else [LoseReply(), Answer("READONLY")], ids=str)
def test_any_one_call_may_fail(proxy: Proxy, give: Callable[[str], Any], consumes: Consumes, fault: Fault) -> None:
    """The first, the second, ... of the calls that follow a new job."""
    with consumes(proxy):
        give("first")
        is_done("first")
        for place in range(10 if EVERYTHING else 4):
            proxy.decide = in_order([*[None] * place, fault])
            give(f"job {place}")
            is_done(f"job {place}")
        proxy.decide = nothing
        give("last")
        is_done("last")


def lost_and_then(fault: Fault) -> Decision:
    """The reply to a script gets lost, and its repeats meet a fault."""
    return only_scripts(in_order(chain([LoseReply()], repeat(fault))))


@pytest.mark.parametrize("word", REFUSALS if EVERYTHING else ["LOADING", "READONLY"])
def test_what_a_reserve_has_claimed_comes_with_the_next_one_though_its_repeats_were_refused(
    proxy: Proxy, give: Callable[[str], Any], word: str
) -> None:
    give("a job")
    with OmniqClient(proxy.url) as client:
        assert client.reserve(queue="empty") is None, "the server knows the script"
        proxy.decide = lost_and_then(Answer(word))
        with pytest.raises(SetupError, match=word):
            client.reserve(queue="q")
        proxy.decide = nothing
        job = client.reserve(queue="q")
    assert isinstance(job, ReserveJob)
    assert (job.job_id, job.attempt) == ("a job", 1)


async def test_what_a_reserve_has_claimed_comes_with_the_next_one_from_asyncio_code_too(proxy: Proxy, give: Callable[[str], Any]) -> None:
    give("a job")
    async with AsyncOmniqClient(proxy.url) as client:
        assert await client.reserve(queue="empty") is None, "the server knows the script"
        proxy.decide = lost_and_then(Answer("READONLY"))
        with pytest.raises(SetupError, match="READONLY"):
            await client.reserve(queue="q")
        proxy.decide = nothing
        job = await client.reserve(queue="q")
    assert isinstance(job, ReserveJob)
    assert (job.job_id, job.attempt) == ("a job", 1)


@every_consumer
def test_half_open_connections_are_given_up(proxy: Proxy, give: Callable[[str], Any], consumes: Consumes) -> None:
    with consumes(proxy):
        give("first")
        is_done("first")
        for number, fault in enumerate([Stall(), Stall(delivered=False)]):
            proxy.met = 0
            proxy.decide = in_order([fault])
            eventually(lambda: proxy.met, "a call meets silence")
            give(f"job {number}")
            is_done(f"job {number}")


@every_consumer
def test_what_was_stalled_goes_on(proxy: Proxy, give: Callable[[str], Any], consumes: Consumes) -> None:
    with consumes(proxy):
        give("first")
        is_done("first")
        proxy.stall()
        give("meanwhile")
        proxy.flow()
        is_done("meanwhile")
        proxy.refuse()
        give("refused")
        eventually(lambda: proxy.connections == 0, "all are cut off")
        proxy.flow()
        is_done("refused")


@pytest.mark.parametrize("word", REFUSALS if EVERYTHING else ["LOADING", "CLUSTERDOWN"])
def test_whoever_waits_for_a_result_is_told_or_waits_on(proxy: Proxy, give: Callable[[str], Any], word: str) -> None:
    """A subscription that is refused costs no more than that the wait looks by itself; a look that is refused is told in our own words."""
    session = Session(proxy.url)
    give("a run")
    run = noted.opts(key="a run").start("a run")
    here = noted.handle(run.id, session)

    def refuses_to_listen(command: tuple[bytes, ...]) -> Fault | None:
        return Answer(word) if command[0].upper() == b"SUBSCRIBE" else None

    proxy.decide = refuses_to_listen
    waiting = threading.Thread(target=lambda: done.add(here.result(timeout=20)))
    waiting.start()
    eventually(lambda: proxy.met, "it is refused")
    with worker(noted, session=sessions.current_session()):
        waiting.join()
    assert here.result(timeout=20) == "a run"
    assert asyncio.run(here.aresult(timeout=20)) == "a run"
    proxy.decide = always(Answer(word))
    with pytest.raises(SetupError, match=word):
        here.result(timeout=20)
    session.close()
