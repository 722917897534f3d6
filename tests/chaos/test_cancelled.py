"""An asyncio task that is cancelled, at any of its awaits: no connection is left in a wrong state, none leaks, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count

import pytest
import redis
import redis.asyncio
from cancelling import cancelled_at
from eventually import eventually_async

from omniq_flow import Run, Session, flow, step
from omniq_flow.errors import RunCancelled
from omniq_flow.queue import AsyncJobContext, AsyncOmniqClient, ReserveJob
from omniq_flow.queue.operations import enqueue
from omniq_flow.testing.faults import Delay, Throttle, always
from omniq_flow.testing.proxy import Proxy
from omniq_flow.worker.quarantine import Quarantine
from omniq_flow.worker.served import Served
from omniq_flow.worker.slots import SlotTurns
from omniq_flow.worker.turns import OneServerTurns, Turns

pytestmark = pytest.mark.keeps_keys

LEASE_MS = 30_000


@step
def double(x: int) -> int:
    return 2 * x


@flow
def doubled(x: int) -> int:
    return double(x)


@flow
def many(xs: list[int]) -> list[int]:
    return double.map(xs)


@pytest.fixture
async def client(proxy: Proxy) -> AsyncIterator[AsyncOmniqClient]:
    """A client whose every reply takes a moment, so that each call really waits."""
    proxy.decide = always(Delay(0.001))
    async with AsyncOmniqClient(proxy.url) as made:
        await made.check()
        yield made


async def at_every_await(scenario: Callable[[int], Awaitable[bool]], least: int = 1) -> None:
    """Let a scenario run once for each of its awaits, until it comes to its end; it says whether it was cancelled."""
    for place in count(1):
        if not await scenario(place):
            assert place > least, "it waits at all"
            return


async def in_order(client: AsyncOmniqClient) -> None:
    """Each caller gets the reply to its own question, and every connection was given back."""
    texts = [f"text {number}".encode() for number in range(10)]
    assert await asyncio.gather(*(client.redis.echo(text) for text in texts)) == texts
    assert isinstance(client.redis, redis.asyncio.Redis)
    assert not client.redis.connection_pool._in_use_connections


async def test_first_contact(proxy: Proxy) -> None:
    async def scenario(place: int) -> bool:
        async with AsyncOmniqClient(proxy.url) as client:
            cancelled = await cancelled_at(client.check(), place)
            await in_order(client)
            await client.check()
        return cancelled

    await at_every_await(scenario, least=3)
    await eventually_async(lambda: proxy.connections == 0, "no connection is left")


async def test_publish(client: AsyncOmniqClient, redis_client: redis.Redis) -> None:
    async def scenario(place: int) -> bool:
        redis_client.flushall()
        cancelled = await cancelled_at(client.publish(queue="q", payload={}, job_id="a"), place)
        assert redis_client.llen("{q}:wait") in {0, 1}
        await client.publish(queue="q", payload={}, job_id="a")
        assert redis_client.llen("{q}:wait") == 1
        await in_order(client)
        return cancelled

    await at_every_await(scenario)


async def test_many_in_a_pipeline(client: AsyncOmniqClient, redis_client: redis.Redis) -> None:
    async def scenario(place: int) -> bool:
        redis_client.flushall()
        wanted = [enqueue("q", f"job {number}", b"{}", call=client._calls.next()) for number in range(3)]
        cancelled = await cancelled_at(client.run_many(wanted), place)
        assert await client.run_many(wanted) == ["job 0", "job 1", "job 2"]
        assert redis_client.llen("{q}:wait") == 3
        await in_order(client)
        return cancelled

    await at_every_await(scenario)


async def test_reserve(client: AsyncOmniqClient, redis_client: redis.Redis) -> None:
    """What a cancelled reserve had claimed comes with the next one."""

    async def scenario(place: int) -> bool:
        redis_client.flushall()
        await client.publish(queue="q", payload={}, job_id="a")
        cancelled = await cancelled_at(client.reserve(queue="q"), place)
        if cancelled:
            job = await client.reserve(queue="q")
            assert isinstance(job, ReserveJob)
            assert (job.job_id, job.attempt) == ("a", 1)
        await in_order(client)
        return cancelled

    await at_every_await(scenario)


@pytest.fixture(params=[True, False], ids=["one-server", "slot-by-slot"])
async def far_session(proxy: Proxy, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Session]:
    """A session through the proxy, whose every reply takes a moment."""
    proxy.decide = always(Delay(0.001))
    made = Session(proxy.url, one_server=request.param)
    monkeypatch.setattr("omniq_flow.runtime.flow.current_session", lambda: made)
    await made.aclient().check()
    yield made
    await made.aclose()


async def test_start(far_session: Session, redis_client: redis.Redis) -> None:
    """Whatever became of it, starting again with the key gives one run."""
    client = far_session.aclient()

    async def scenario(place: int) -> bool:
        redis_client.flushall()
        keyed = doubled.opts(key=f"key {place}")
        cancelled = await cancelled_at(keyed.astart(3), place)
        run = await keyed.astart(3)
        assert redis_client.lrange("{default}:wait", 0, -1) == [f"{run.id}/1/0/0".encode()]
        assert await run.astatus() == "running"
        await in_order(client)
        return cancelled

    await at_every_await(scenario)


async def test_result(far_session: Session, redis_client: redis.Redis) -> None:
    """While it listens, too: no subscription is left behind, and who asks again is told."""
    client = far_session.aclient()

    def listeners(run: Run[int]) -> int:
        return int(redis_client.pubsub_numsub(f"{{run:{run.id}}}:ended")[0][1])

    async def end_when_heard(run: Run[int]) -> None:
        await eventually_async(lambda: listeners(run), "it listens")
        await run.acancel()

    async def scenario(place: int) -> bool:
        run = await doubled.astart(3)
        ending = asyncio.ensure_future(end_when_heard(run))
        try:
            cancelled = await cancelled_at(run.aresult(), place)
        except RunCancelled:
            cancelled = False
        ending.cancel()
        await asyncio.wait([ending])
        await eventually_async(lambda: not listeners(run), "nobody listens any more")
        await run.acancel()
        assert await run.await_() == "cancelled"
        await in_order(client)
        return cancelled

    await at_every_await(scenario, least=5)


async def test_a_turn(far_session: Session, redis_client: redis.Redis) -> None:
    """Taken again, it claims what it had claimed; slot by slot what it had claimed may be left to its lease. Nothing is lost."""
    client, served = far_session.aclient(), Served([many], LEASE_MS)
    quarantine = Quarantine(client, served)
    slots = SlotTurns(client, served, LEASE_MS, quarantine, hold=True)

    async def scenario(place: int) -> bool:
        redis_client.flushall()
        turns: Turns = OneServerTurns(client, served, LEASE_MS, quarantine, slots, hold=True) if far_session.one_server else slots
        await many.astart([0, 1, 2])
        cancelled = await cancelled_at(turns.take([], ["default"], 10), place)
        if cancelled:
            claimed = {job.attempt.index for job in (await turns.take([], ["default"], 10)).jobs}
            leased = {int(str(job).split("/")[2]) for job in redis_client.zrange("{default}:active", 0, -1)}
            assert leased == {0, 1, 2}
            assert claimed == leased or not far_session.one_server
        await in_order(client)
        return cancelled

    await at_every_await(scenario)


async def test_consume(client: AsyncOmniqClient, proxy: Proxy, redis_client: redis.Redis) -> None:
    """The job is done, or it is given back at once and the next consumer does it."""

    async def consume(handled: list[str]) -> None:
        stop = asyncio.Event()

        async def handler(ctx: AsyncJobContext) -> None:
            handled.append(ctx.job_id)
            await asyncio.sleep(0.001)
            stop.set()

        await client.consume(queue="q", handler=handler, stop=stop, poll_interval_s=0.01, logger=lambda _line: None)

    async def scenario(place: int) -> bool:
        redis_client.flushall()
        await client.publish(queue="q", payload={}, job_id="a", backoff_ms=0)
        handled: list[str] = []
        cancelled = await cancelled_at(consume(handled), place)
        await in_order(client)
        if redis_client.hget("{q}:job:a", "state") != b"completed":
            assert redis_client.hget("{q}:job:a", "state") == b"wait", "it was given back"
            await consume(handled)
        assert redis_client.hget("{q}:job:a", "state") == b"completed"
        assert 1 <= len(handled) <= 2
        return cancelled

    await at_every_await(scenario, least=5)
    await eventually_async(lambda: proxy.connections <= 64, "sleepers leave no connection")


async def test_a_reply_that_is_half_read_is_nobody_elses(client: AsyncOmniqClient, proxy: Proxy, redis_client: redis.Redis) -> None:
    redis_client.set("long", b"x" * 50)
    proxy.decide = always(Throttle(2000))
    for milliseconds in range(1, 30, 3):
        asking = asyncio.ensure_future(client.redis.get("long"))
        await asyncio.wait([asking], timeout=milliseconds / 1000)
        asking.cancel()
        await asyncio.wait([asking])
        assert await asyncio.gather(*(client.redis.echo(b"%d" % number) for number in range(3))) == [b"0", b"1", b"2"]
