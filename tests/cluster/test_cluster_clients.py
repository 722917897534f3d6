"""Queue clients on a cluster: found out by themselves, slot by slot, with nothing lost between nodes."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
import redis.asyncio as aio
from consuming import QUICK, consuming
from eventually import eventually, eventually_async
from flow_fixtures import crossed

from omniq_flow.errors import ServerUnreachable, SetupError, UnsafeEviction
from omniq_flow.queue import AsyncOmniqClient, JobContext, OmniqClient
from omniq_flow.queue import operations as ops
from omniq_flow.queue.fitness import check_server
from omniq_flow.queue.monitor import AsyncQueueMonitor, QueueMonitor
from omniq_flow.testing.clusters import RunningCluster, start_cluster

QUEUES = [f"q{number}" for number in range(12)]


@pytest.fixture
def omniq(omniq_cluster: RunningCluster) -> Iterator[OmniqClient]:
    with OmniqClient(omniq_cluster.url) as client:
        yield client
    assert not crossed(omniq_cluster)


def test_a_url_of_one_node_finds_all_of_them(omniq: OmniqClient, omniq_cluster: RunningCluster) -> None:
    assert not any("omniq-flow" in str(node.ask("CLIENT", "LIST")) for node in omniq_cluster.nodes), "nothing is sent before it is needed"
    for queue in QUEUES:
        omniq.publish(queue=queue, payload={"in": queue})
    assert omniq.is_cluster()
    assert isinstance(omniq.redis, redis.RedisCluster)
    assert all(node.ask("DBSIZE") for node in omniq_cluster.primaries), "every primary has some of the queues"
    for queue in QUEUES:
        job = omniq.reserve(queue=queue)
        assert job is not None
        assert job.status == "JOB"
        assert job.payload == f'{{"in":"{queue}"}}'
        omniq.ack_success(queue=queue, job_id=job.job_id, lease_token=job.lease_token)


def test_operations_on_many_slots_go_in_one_call(omniq: OmniqClient, omniq_cluster: RunningCluster) -> None:
    for queue in QUEUES:
        omniq.pause(queue=queue)
    for node in omniq_cluster.nodes:
        node.ask("SCRIPT", "FLUSH")
    assert omniq.run_many([ops.is_paused(queue) for queue in QUEUES]) == [True] * len(QUEUES)
    assert omniq.run_many([ops.resume(queue) for queue in QUEUES]) == [1] * len(QUEUES)


async def test_an_async_client_does_the_same(omniq_cluster: RunningCluster) -> None:
    async with AsyncOmniqClient(omniq_cluster.url) as omniq:
        await asyncio.gather(*(omniq.publish(queue=queue, payload={}) for queue in QUEUES * 20))
        assert await omniq.is_cluster()
        assert await AsyncQueueMonitor(omniq).queues() == sorted(QUEUES)
        stats = await AsyncQueueMonitor(omniq).stats_many()
        assert [each.waiting_total for each in stats] == [20] * len(QUEUES)
        for node in omniq_cluster.nodes:
            node.ask("SCRIPT", "FLUSH")
        assert await omniq.run_many([ops.is_paused(queue) for queue in QUEUES]) == [False] * len(QUEUES)
    assert not crossed(omniq_cluster)


def test_a_monitor_sees_the_queues_of_all_primaries(omniq: OmniqClient) -> None:
    for queue in QUEUES:
        omniq.publish(queue=queue, payload={}, gid="g", group_limit=2)
    monitor = QueueMonitor(omniq)
    assert monitor.queues() == sorted(QUEUES)
    assert [stats.waiting_total for stats in monitor.stats_many()] == [1] * len(QUEUES)
    assert monitor.groups_ready("q3") == ["g"]
    assert len(omniq.anchors()) == 3


def test_consumers_sleep_and_are_woken_in_any_slot(omniq: OmniqClient, omniq_cluster: RunningCluster) -> None:
    handled: dict[str, threading.Event] = {queue: threading.Event() for queue in QUEUES[:4]}

    def handle(ctx: JobContext) -> None:
        handled[ctx.queue].set()

    def asleep() -> bool:
        return bool(sum(node.ask("INFO", "clients")["blocked_clients"] for node in omniq_cluster.nodes) == len(handled))

    slow = {"poll_interval_s": 2, "promote_interval_s": 600, "reap_interval_s": 600}
    with (
        consuming(omniq, handle, "q0", **slow),
        consuming(omniq, handle, "q1", **slow),
        consuming(omniq, handle, "q2", **slow),
        consuming(omniq, handle, "q3", **slow),
    ):
        eventually(asleep, "all of them sleep")
        for queue in handled:
            omniq.publish(queue=queue, payload={})
        eventually(lambda: all(done.is_set() for done in handled.values()), "all of them were woken, none by its poll", timeout=1.5)


def test_groups_retries_and_batches_are_as_on_one_server(omniq: OmniqClient) -> None:
    tried: list[str] = []

    def handle(ctx: JobContext) -> None:
        tried.append(ctx.job_id)
        raise ValueError("no")

    for number in range(3):
        omniq.publish(queue="q5", payload={}, job_id=f"j{number}", gid="g", group_limit=1, max_attempts=1)
    with consuming(omniq, handle, "q5", **QUICK):
        eventually(lambda: QueueMonitor(omniq).stats("q5").failed == 3, "all have failed")
    assert tried == ["j0", "j1", "j2"]
    assert [item[1] for item in omniq.retry_failed_batch(queue="q5", job_ids=["j0", "j1", "x"])] == ["OK", "OK", "ERR"]
    omniq.child_init(key="parent", expected=2)
    assert [omniq.child_ack(key="parent", child_id=child) for child in ("a", "b", "b")] == [1, 0, 0]


def test_threads_and_forks_share_a_client(omniq: OmniqClient) -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: omniq.publish(queue=QUEUES[number % 12], payload={}), range(240)))
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        try:
            omniq.publish(queue="q0", payload={})
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert sum(stats.waiting_total for stats in QueueMonitor(omniq).stats_many()) == 241


def test_a_ready_cluster_client_is_taken_as_it_is(omniq_cluster: RunningCluster) -> None:
    with omniq_cluster.client() as ready, OmniqClient(redis=ready) as omniq:
        omniq.publish(queue="q1", payload={})
        assert omniq.redis is ready
        assert omniq.is_cluster()
        assert QueueMonitor(omniq).queues() == ["q1"]


async def test_a_ready_async_cluster_client_too(omniq_cluster: RunningCluster) -> None:
    node = omniq_cluster.primaries[0]
    async with aio.RedisCluster(host=node.host, port=node.port, protocol=2) as ready, AsyncOmniqClient(redis=ready) as omniq:
        await omniq.publish(queue="q1", payload={})
        assert omniq.redis is ready


def test_what_cannot_follow_a_cluster_is_refused(omniq_cluster: RunningCluster) -> None:
    node = omniq_cluster.primaries[0]
    with (
        redis.Redis(host=node.host, port=node.port, protocol=2) as plain,
        OmniqClient(redis=plain) as omniq,
        pytest.raises(SetupError, match="give a RedisCluster"),
    ):
        omniq.check()
    with OmniqClient(node.url) as omniq, pytest.raises(SetupError, match="by host and port"):
        omniq.check()
    with OmniqClient(f"{node.tcp_url}/3") as omniq, pytest.raises(SetupError, match=r"no databases|DB index"):
        omniq.check()
    with (
        redis.RedisCluster(host=node.host, port=node.port, decode_responses=True) as decoding,
        pytest.raises(SetupError, match="decode_responses=False"),
    ):
        OmniqClient(redis=decoding)


def test_every_primary_must_be_fit(omniq_cluster: RunningCluster) -> None:
    unfit = omniq_cluster.primaries[2]
    unfit.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    try:
        with OmniqClient(omniq_cluster.primaries[0].tcp_url) as omniq, pytest.raises(UnsafeEviction, match=str(unfit.port)):
            omniq.check()
    finally:
        unfit.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")
    with omniq_cluster.client() as client:
        facts = check_server(client)
    assert (facts.kind, facts.cluster, facts.eviction) == ("valkey", True, "noeviction")


async def test_many_tasks_meet_the_cluster_at_once_and_leave_no_connection(omniq_cluster: RunningCluster) -> None:
    async with AsyncOmniqClient(omniq_cluster.url) as omniq:
        await asyncio.gather(*(omniq.publish(queue=queue, payload={}) for queue in QUEUES * 30))
        assert all(int(node.ask("INFO", "clients")["connected_clients"]) <= 64 + 8 for node in omniq_cluster.nodes)


async def test_calls_may_be_cancelled_at_any_time(omniq_cluster: RunningCluster) -> None:
    async with AsyncOmniqClient(omniq_cluster.url) as omniq:
        await omniq.check()
        for turn in range(60):
            calls = [asyncio.ensure_future(omniq.publish(queue=queue, payload={"n": turn}, job_id=f"{turn}-{queue}")) for queue in QUEUES]
            for _ in range(turn % 7):
                await asyncio.sleep(0)
            for call in calls[::2]:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            # An answer that was left on its connection would be taken for that of another call.
            assert await omniq.is_paused(queue="q0") is False
            assert await omniq.publish(queue="q1", payload={}, job_id=f"check-{turn}") == f"check-{turn}"


async def test_a_paused_node_holds_up_its_slots_only(omniq_cluster: RunningCluster) -> None:
    async with AsyncOmniqClient(omniq_cluster.url) as omniq:
        await omniq.run_many([ops.is_paused(queue) for queue in QUEUES])
        slow = omniq_cluster.primaries[1]
        slow.pause()
        calls = {queue: asyncio.ensure_future(omniq.is_paused(queue=queue)) for queue in QUEUES}
        await eventually_async(lambda: any(call.done() for call in calls.values()), "the other primaries answer")
        slow.resume()
        assert not any(await asyncio.gather(*calls.values()))


def test_a_cluster_that_is_gone_is_told_and_found_again() -> None:
    with start_cluster() as cluster, OmniqClient(cluster.url) as omniq:
        omniq.check()
        for node in cluster.nodes:
            node.kill()
        with pytest.raises(ServerUnreachable, match="cluster at redis://"):
            omniq.publish(queue="q0", payload={})
        with pytest.raises(ServerUnreachable):
            omniq.run_many([ops.is_paused(queue) for queue in QUEUES])
        cluster.empty()
        omniq.publish(queue="q0", payload={})
        assert omniq.run_many([ops.is_paused(queue) for queue in QUEUES]) == [False] * len(QUEUES)
