"""The leases that a worker holds: those of each queue are renewed whatever becomes of the others."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import pytest
import redis
from leased_jobs import ends_of, leased

from omniq_flow import Session
from omniq_flow.queue.async_client import AsyncOmniqClient
from omniq_flow.queue.keys import queue_base
from omniq_flow.worker.leases import Leases

pytestmark = pytest.mark.keeps_keys

LEASE_MS = 30_000


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
        assert await Leases(client, lambda: held, LEASE_MS).round() == LEASE_MS / 3000
    after = await ends_of(client, held)
    assert [queue for queue in before if after[queue] != before[queue]] == ["two", "three"]
    assert "leases leaves out queue one" in caplog.text


async def test_a_lost_lease_is_told_once_whatever_becomes_of_another_queue(
    client: AsyncOmniqClient, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    held = await leased(client, "one", "two", lease_ms=LEASE_MS)
    redis_client.set(f"{queue_base('one')}:job:{held[0].job}", "damaged")
    await client.release(queue="two", job_id=held[1].job, lease_token=held[1].attempt.token)
    leases = Leases(client, lambda: held, LEASE_MS)
    with caplog.at_level(logging.WARNING, "omniq_flow.worker"):
        await leases.round()
        assert "ran out" not in caplog.text, "it may just have been acked"
        for _ in range(3):
            await leases.round()
    assert caplog.text.count(f"{held[1].job}: its lease ran out") == 1
