"""The leases that a worker holds: renewed in time, whatever becomes of other queues, and before it reaps those of others."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable

import pytest
import redis
from eventually import eventually_async
from leased_jobs import ends_of, leased
from msgspec.structs import replace
from real_server import RealServer

from omniq_flow import Session
from omniq_flow.errors import ServerUnreachable
from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.queue.keys import queue_base
from omniq_flow.queue.results import ReserveJob
from omniq_flow.worker.attempt import Claimed, read_attempt
from omniq_flow.worker.leases import Leases
from omniq_flow.worker.reaper import Reaper

pytestmark = pytest.mark.keeps_keys

LEASE_MS = 30_000


def unheard(_job: str) -> None:
    """Take no note of a lost lease."""


@pytest.fixture
async def client(lone_session: Session) -> AsyncIterator[AsyncOmniqClient]:
    yield lone_session.aclient()
    await lone_session.aclose()


async def test_a_damaged_queue_keeps_no_other_from_being_renewed(
    client: AsyncOmniqClient, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    held = await leased(client, "one", "two", "three", lease_ms=10 * LEASE_MS)
    before = await ends_of(client, held)
    redis_client.set(f"{queue_base('one')}:job:{held[0].job}", "damaged")
    with caplog.at_level(logging.ERROR, "omniq_flow.worker"):
        assert await Leases(client, lambda: held, LEASE_MS, unheard).round() == LEASE_MS / 3000
    after = await ends_of(client, held)
    assert [queue for queue in before if after[queue] != before[queue]] == ["two", "three"]
    assert "leases leaves out one" in caplog.text


async def test_a_lost_lease_is_told_once_whatever_becomes_of_another_queue(
    client: AsyncOmniqClient, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    held = await leased(client, "one", "two", lease_ms=LEASE_MS)
    redis_client.set(f"{queue_base('one')}:job:{held[0].job}", "damaged")
    await client.release(queue="two", job_id=held[1].job, lease_token=held[1].attempt.token)
    lost: list[str] = []
    leases = Leases(client, lambda: held, LEASE_MS, lost.append)
    with caplog.at_level(logging.WARNING, "omniq_flow.worker"):
        await leases.round()
        assert lost == [], "it may just have been acked"
        for _ in range(3):
            await leases.round()
    assert lost == [held[1].job]
    assert caplog.text.count(f"{held[1].job}: its lease ran out") == 1


async def test_a_job_that_was_claimed_again_is_lost_only_with_its_last_lease(client: AsyncOmniqClient) -> None:
    """Its first attempt still runs here, in a thread for instance, and its lease went to the second one."""
    (first,) = await leased(client, "one", lease_ms=LEASE_MS)
    await client.release(queue="one", job_id=first.job, lease_token=first.attempt.token)
    lease = await client.reserve(queue="one")
    assert isinstance(lease, ReserveJob)
    second = replace(first, attempt=read_attempt(lease.job_id, lease.lease_token))
    lost: list[str] = []
    leases = Leases(client, lambda: [first, second], LEASE_MS, lost.append)
    for _ in range(2):
        await leases.round()
    assert lost == []
    await client.release(queue="one", job_id=second.job, lease_token=second.attempt.token)
    for _ in range(2):
        await leases.round()
    assert lost == [first.job]


async def run_out(client: redis.Redis, *held: Claimed) -> None:
    def over() -> bool:
        seconds, micros = client.time()
        ends = [client.zscore(f"{queue_base(each.queue)}:active", each.job) for each in held]
        return all(end is not None and end < seconds * 1000 + micros / 1000 for end in ends)

    await eventually_async(over, "the leases are over")


async def test_a_worker_that_reaps_renews_its_own_leases_first(client: AsyncOmniqClient, redis_client: redis.Redis) -> None:
    """As after an outage, or when its process was stopped: the leases of all workers have run out, its own too."""
    mine, of_another = await leased(client, "one", "two", lease_ms=1)
    await run_out(redis_client, mine, of_another)
    leases = Leases(client, lambda: [mine], LEASE_MS, unheard)
    reaped: list[None] = []
    await Reaper(client, ["one", "two"], LEASE_MS, lambda: reaped.append(None), leases.catch_up).round()
    assert reaped
    ends = await ends_of(client, [mine, of_another])
    assert ends["one"] is not None
    assert ends["two"] is None


async def test_what_cannot_be_renewed_is_not_reaped(client: AsyncOmniqClient, redis_client: redis.Redis) -> None:
    (mine,) = await leased(client, "one", lease_ms=1)
    await run_out(redis_client, mine)

    async def in_vain(queue: str) -> None:
        raise ServerUnreachable("gone")

    with pytest.raises(ServerUnreachable):
        await Reaper(client, ["one"], LEASE_MS, lambda: None, in_vain).round()
    assert (await ends_of(client, [mine]))["one"] is not None


@pytest.mark.parametrize("hours, again", [(0, False), (1, True), (-1, True)])
async def test_only_what_is_overdue_by_the_clock_is_renewed_again(
    client: AsyncOmniqClient, monkeypatch: pytest.MonkeyPatch, hours: float, again: bool
) -> None:
    (mine,) = await leased(client, "one", lease_ms=LEASE_MS)
    leases = Leases(client, lambda: [mine], LEASE_MS, unheard)
    await leases.round()
    end = await client.heartbeat(queue="one", job_id=mine.job, lease_token=mine.attempt.token, lease_ms=10 * LEASE_MS)
    now = time.time() + 3600 * hours
    monkeypatch.setattr(time, "time", lambda: now)
    await leases.catch_up("one")
    assert ((await ends_of(client, [mine]))["one"] != end) == again


async def test_during_an_outage_a_renewal_is_tried_several_times_within_a_lease(
    spare_server: Callable[..., RealServer], caplog: pytest.LogCaptureFixture
) -> None:
    spare = spare_server()
    async with AsyncOmniqClient(spare.url) as client:
        held = await leased(client, "one", lease_ms=1000)
        spare.kill()
        leases = Leases(client, lambda: held, 1200, unheard)
        leases.start()
        await eventually_async(lambda: caplog.text.count("leases pauses 0.2 s") == 3, "three attempts")
        await leases.stop()
