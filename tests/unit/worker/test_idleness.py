"""A worker that has nothing to do: what it asks for, what wakes it, and what it leaves to others."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import redis
from eventually import eventually_async
from full_memory import SCRIPTS

from omniq_flow import Session, flow, step
from omniq_flow.queue.keys import wake_key
from omniq_flow.queue.scripts import script
from omniq_flow.queue.wake_up import LONGEST_S, AsyncSleeper
from omniq_flow.runtime.operations import start
from omniq_flow.worker import sleeper as module
from omniq_flow.worker.options import WorkerOptions
from omniq_flow.worker.sleeper import POLL_S, Sleeper
from omniq_flow.worker.turns import OneServerTurns, Turned
from omniq_flow.worker.worker import Worker

pytestmark = pytest.mark.keeps_keys

MANY = 25
FOREVER = 1000.0


@step
async def twice(x: int) -> int:
    return 2 * x


@flow
def twice_flow(x: int) -> int:
    return twice(x)


@pytest.fixture(autouse=True)
async def _loop_closed(lone_session: Session) -> AsyncIterator[None]:
    yield
    await lone_session.aclose()


@asynccontextmanager
async def at_work(session: Session) -> AsyncGenerator[Worker]:
    made = Worker(session, [twice_flow], WorkerOptions())
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        made.stop()
        await task


def asleep(client: redis.Redis) -> int:
    return int(client.info("clients")["blocked_clients"])


async def test_it_asks_for_less_than_one_thing_a_second(lone_session: Session, redis_client: redis.Redis) -> None:
    """Each duty says after a round how long it pauses: what it asked for, over that, is its share."""
    client = lone_session.aclient()
    await client.check()
    for name in SCRIPTS:
        redis_client.script_load(script(name).text)
    worker = Worker(lone_session, [twice_flow], WorkerOptions())
    worker.janitor.one_server = await lone_session.aone_server()
    asked, send = 0, client.redis.execute_command

    async def counted(*words: Any, **options: Any) -> Any:
        nonlocal asked
        asked += 1
        return await send(*words, **options)

    client.redis.execute_command = counted  # type: ignore[method-assign]
    rates = {"a turn when it looks by itself": 1 / POLL_S, "a pop": 1 / LONGEST_S}
    for duty in worker._duties:
        if not isinstance(duty, Sleeper):
            asked = 0
            while not (pause := await duty.round()):
                pass
            rates[duty.name] = asked / pause
    assert sum(rates.values()) < 1, rates
    assert rates["janitor"] > 0
    await worker._leave()


async def test_one_job_wakes_one_of_many(lone_session: Session, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_S", FOREVER)
    turns: Counter[int] = Counter()
    real = OneServerTurns.take

    async def counted(self: OneServerTurns, *given: Any) -> Turned:
        turns[id(self)] += 1
        return await real(self, *given)

    monkeypatch.setattr(OneServerTurns, "take", counted)
    async with AsyncExitStack() as stack:
        for _ in range(MANY):
            await stack.enter_async_context(at_work(lone_session))
        for x in range(3):
            await eventually_async(lambda: asleep(redis_client) == MANY, "all of them sleep")
            turns.clear()
            run = await twice_flow.astart(x)
            assert await run.aresult(timeout=20) == 2 * x
            await eventually_async(lambda: asleep(redis_client) == MANY, "all of them sleep again")
            assert len(turns) == 1, f"{len(turns)} workers took turns for one job"


async def test_a_job_that_nobody_announced_is_found(lone_session: Session, redis_client: redis.Redis) -> None:
    """Its token was lost, with a worker that died for instance, or its client leaves none."""
    assert POLL_S < 2
    async with at_work(lone_session):
        await eventually_async(lambda: asleep(redis_client) == 1, "it sleeps")
        new = twice_flow._new_run((7,), {})
        with redis_client.pipeline(transaction=True) as whole:
            # In one transaction, so that the token is gone before anybody who sleeps is served.
            whole.execute_command(*start(new).by_text())  # type: ignore[no-untyped-call]
            whole.delete(wake_key("default"))
            whole.execute()
        assert await twice_flow.handle(new.id, lone_session).aresult(timeout=20) == 14


class Slept:
    """Counts how often a sleeper wakes its worker, which is idle again at once."""

    def __init__(self, session: Session, queues: Sequence[str] = ("default",)) -> None:
        self.woken = 0
        self.sleeper = Sleeper(session.aclient(), queues, self._wake)

    def _wake(self) -> None:
        self.woken += 1
        self.sleeper.idle.set()


async def test_a_pop_goes_on_while_the_worker_looks_by_itself(
    lone_session: Session, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.02)
    pops = 0
    real = AsyncSleeper.pop

    async def counted(self: AsyncSleeper, seconds: float) -> bool:
        nonlocal pops
        pops += 1
        return await real(self, seconds)

    monkeypatch.setattr(AsyncSleeper, "pop", counted)
    slept = Slept(lone_session)
    await lone_session.aclient().check()
    slept.sleeper.start()
    slept.sleeper.idle.set()
    await eventually_async(lambda: slept.woken >= 10, "ten looks")
    assert pops == 1
    await slept.sleeper.stop()
    await eventually_async(lambda: asleep(redis_client) == 0, "nothing sleeps for it any more")


async def test_a_worker_without_room_takes_nobodys_wake_up(
    lone_session: Session, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "POLL_S", FOREVER)
    slept = Slept(lone_session)
    await lone_session.aclient().check()
    slept.sleeper.start()
    slept.sleeper.idle.set()
    await eventually_async(lambda: asleep(redis_client) == 1, "it sleeps")
    slept.sleeper.cut()
    await eventually_async(lambda: asleep(redis_client) == 0, "it sleeps no more")
    redis_client.rpush(wake_key("default"), "1")
    assert slept.woken == 0
    slept.sleeper.idle.set()
    await eventually_async(lambda: slept.woken == 1, "it is idle again, and woken")
    assert redis_client.llen(wake_key("default")) == 0
    await slept.sleeper.stop()
