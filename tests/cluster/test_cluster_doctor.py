"""The doctor and explain on a cluster: they see all primaries, and mend what is on any of them."""

from __future__ import annotations

import pytest
import redis

from omniq_flow import connect, disconnect, flow, step, worker
from omniq_flow.doctor import examine, explain, treat
from omniq_flow.testing.clusters import RunningCluster

pytestmark = pytest.mark.keeps_keys

QUEUES = [f"q{number}" for number in range(12)]


@step
def add_one(x: int) -> int:
    return x + 1


@flow
def count_on(xs: list[int]) -> list[int]:
    return add_one.map(xs)


def test_the_doctor_looks_over_all_primaries_and_mends_each(omniq_cluster: RunningCluster) -> None:
    session = connect(omniq_cluster.url)
    try:
        runs = [count_on.opts(queue=queue).start([1, 2, 3]) for queue in QUEUES]
        cluster = session.client.redis
        assert isinstance(cluster, redis.RedisCluster)
        slots: list[int] = [cluster.keyslot(f"{{{name}}}:wait") for name in QUEUES]  # type: ignore[no-untyped-call]
        assert {omniq_cluster.owner(slot).port for slot in slots} == {node.port for node in omniq_cluster.primaries}
        healthy = examine(session.client)
        assert (healthy.queues, healthy.runs, healthy.grave) == (len(QUEUES), len(QUEUES), ())
        assert "no worker" in str(explain(runs[0].id))

        for queue in QUEUES:
            cluster.delete(f"{{{queue}}}:idx:wait")
        assert len(examine(session.client).grave) >= len(QUEUES)
        treat(session.client)
        assert examine(session.client).grave == ()

        with worker(count_on, queues=QUEUES):
            assert [run.result(timeout=30) for run in runs] == [[2, 3, 4]] * len(runs)
        assert examine(session.client).grave == ()
    finally:
        disconnect()
