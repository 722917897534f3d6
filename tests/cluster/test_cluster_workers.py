"""The parts of a worker on a cluster of which one primary is in trouble: what is on the others is looked after."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from leased_jobs import ends_of, leased
from redis.crc import key_slot
from world_flows import chain

from omniq_flow import Run, connect, disconnect
from omniq_flow.errors import ServerUnreachable
from omniq_flow.queue import AsyncOmniqClient
from omniq_flow.runtime.keys import keyed_run_id, shard_of
from omniq_flow.runtime.operations import Ending
from omniq_flow.testing.clusters import RunningCluster, start_cluster
from omniq_flow.testing.servers import RunningServer
from omniq_flow.worker.attempt import Finished
from omniq_flow.worker.janitor import Janitor
from omniq_flow.worker.leases import Leases
from omniq_flow.worker.quarantine import Quarantine
from omniq_flow.worker.served import Served
from omniq_flow.worker.slots import SlotTurns

LEASE_MS = 3000


@pytest.fixture
def cluster() -> Iterator[RunningCluster]:
    """A cluster that goes on serving what it can."""
    with start_cluster("valkey", "--cluster-require-full-coverage", "no") as running:
        yield running


@pytest.fixture
async def omniq(cluster: RunningCluster) -> AsyncIterator[AsyncOmniqClient]:
    session = connect(cluster.url)
    yield session.aclient()
    await session.aclose()
    disconnect()


def owner(cluster: RunningCluster, tag: str) -> RunningServer:
    return cluster.owner(key_slot(tag.encode()))


async def started(cluster: RunningCluster, *, listed_on: RunningServer, kept_on: RunningServer) -> Run[int]:
    """Start a run whose index is on one primary and which is itself on another."""

    def fits(key: str) -> bool:
        run_id = keyed_run_id(chain.name, key)
        return owner(cluster, f"runs:{shard_of(run_id)}") is listed_on and owner(cluster, f"run:{run_id}") is kept_on

    key = next(filter(fits, map(str, itertools.count())))
    return await chain.opts(key=key).astart(1)


@pytest.mark.parametrize("fall", [RunningServer.pause, RunningServer.kill], ids=["mute", "down"])
async def test_leases_on_other_primaries_are_renewed(
    cluster: RunningCluster, omniq: AsyncOmniqClient, fall: Callable[[RunningServer], None]
) -> None:
    held = await leased(omniq, *(f"q{number}" for number in range(12)), lease_ms=10 * LEASE_MS)
    owners = {each.queue: owner(cluster, each.queue) for each in held}
    troubled = owners[held[0].queue]
    others = [each for each in held if owners[each.queue] is not troubled]
    before = await ends_of(omniq, others)
    leases = Leases(omniq, lambda: held, LEASE_MS, lambda _job: None)
    fall(troubled)
    async with asyncio.timeout(10):
        with pytest.raises(ServerUnreachable):
            await leases.round()
    after = await ends_of(omniq, others)
    assert all(after[each.queue] != before[each.queue] for each in others)


async def test_the_end_of_a_run_is_told_where_its_index_is_away(
    cluster: RunningCluster, omniq: AsyncOmniqClient, caplog: pytest.LogCaptureFixture
) -> None:
    served = Served([chain], LEASE_MS)
    slots = SlotTurns(omniq, served, LEASE_MS, Quarantine(omniq, served))
    home, away = owner(cluster, "default"), owner(cluster, "runs:1")
    run = await started(cluster, listed_on=away, kept_on=home)
    (job,) = (await slots.take([], ["default"], 1)).jobs
    away.kill()
    turned = await slots.take([Finished(job, Ending("fail", b'{"type":"E","message":"m"}'))], ["default"], 1)
    assert [outcome.word for outcome in turned.finished] == ["RECORDED"]
    assert turned.troubled == []
    assert await omniq.redis.zcard("{default}:active") == 0
    assert await run.astatus() == "failed"
    assert f"run {run.id} has ended and is not listed so" in caplog.text


async def test_runs_of_other_indexes_are_looked_after(
    cluster: RunningCluster, omniq: AsyncOmniqClient, caplog: pytest.LogCaptureFixture
) -> None:
    served = Served([chain], LEASE_MS)
    janitor = Janitor(omniq, served, Quarantine(omniq, served), 0.05, "a worker")
    home, away = owner(cluster, "default"), owner(cluster, "runs:1")
    run = await started(cluster, listed_on=home, kept_on=home)
    await omniq.redis.hincrby(f"{{run:{run.id}}}:meta", "updated_ms", -60_000)
    await omniq.redis.delete("{default}:wait")
    away.kill()
    janitor._shard = 1
    await janitor.round()
    assert janitor.repaired["job issued"] == 1
    assert "janitor leaves out shard 1 of the index of runs" in caplog.text
