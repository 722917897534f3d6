"""The parts of a worker on a cluster of which one primary is in trouble: what is on the others is looked after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from leased_jobs import ends_of, leased
from redis.crc import key_slot

from omniq_flow.errors import ServerUnreachable
from omniq_flow.queue import AsyncOmniqClient
from omniq_flow.testing.clusters import RunningCluster, start_cluster
from omniq_flow.testing.servers import RunningServer
from omniq_flow.worker.leases import Leases

LEASE_MS = 3000


@pytest.fixture
def cluster() -> Iterator[RunningCluster]:
    """A cluster that goes on serving what it can."""
    with start_cluster("valkey", "--cluster-require-full-coverage", "no") as running:
        yield running


@pytest.fixture
async def omniq(cluster: RunningCluster) -> AsyncIterator[AsyncOmniqClient]:
    async with AsyncOmniqClient(cluster.url) as client:
        yield client


@pytest.mark.parametrize("fall", [RunningServer.pause, RunningServer.kill], ids=["mute", "down"])
async def test_leases_on_other_primaries_are_renewed(
    cluster: RunningCluster, omniq: AsyncOmniqClient, fall: Callable[[RunningServer], None]
) -> None:
    held = await leased(omniq, *(f"q{number}" for number in range(12)), lease_ms=10 * LEASE_MS)
    owners = {each.queue: cluster.owner(key_slot(each.queue.encode())) for each in held}
    troubled = owners[held[0].queue]
    others = [each for each in held if owners[each.queue] is not troubled]
    before = await ends_of(omniq, others)
    leases = Leases(omniq, lambda: held, LEASE_MS)
    fall(troubled)
    async with asyncio.timeout(10):
        with pytest.raises(ServerUnreachable):
            await leases.round()
    after = await ends_of(omniq, others)
    assert all(after[each.queue] != before[each.queue] for each in others)
