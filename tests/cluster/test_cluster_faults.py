"""Faults at the points of a run whose slots are on different primaries; ``guarantees/enumerate.py`` tries all points of all shapes."""

from __future__ import annotations

import pytest
import redis
from world_flows import SHAPES, executed

from omniq_flow.testing import Memory, WholeCluster, enumerate_faults
from omniq_flow.testing.clusters import RunningCluster
from omniq_flow.testing.servers import HOST

pytestmark = pytest.mark.keeps_keys  # the last world's run


def test_any_fault_ends_right(omniq_cluster: RunningCluster) -> None:
    flow, arguments, _ = SHAPES["diamond"]
    with redis.RedisCluster(host=HOST, port=omniq_cluster.primaries[0].port, protocol=2) as client:
        memory = Memory(WholeCluster(client))
        report = enumerate_faults(flow, arguments, memory=memory, one_server=False, every=4, before=executed.clear)
    assert report.passed, str(report)
    assert report.tried > 200
