"""Third transition by itself: jobs of a run enter a queue, and those whose lane has lost them are put back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from keyspace import Expiring, changes, keyspace
from queue_seed import Seed

from omniq_flow.queue import OmniqClient
from omniq_flow.runtime.operations import enqueue_jobs

NOW = 2000
RUN = ("r", "shop", "p1")
Effect = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def seed(redis_client: redis.Redis) -> Seed:
    return Seed(redis_client)


@pytest.fixture
def effect(redis_client: redis.Redis) -> Effect:
    """Enqueue children of node 1 by their numbers, or (number, group) each; return the reply and what changed."""
    client = OmniqClient(redis=redis_client)

    def run(*children: Any, limit: int = 0, front: bool = False, look: bool = False) -> tuple[int, dict[str, Any]]:
        pairs = [child if isinstance(child, tuple) else (child, "") for child in children]
        jobs = [{"n": 1, "i": i, "epoch": 0, "gid": gid, "limit": limit} for i, gid in pairs]
        before = keyspace(redis_client)
        missing = client.run(enqueue_jobs("q", RUN, jobs, 30_000, front=front, look=look, now_ms=NOW))
        return missing, changes(before, keyspace(redis_client))

    return run


def test_a_job_carries_its_run_and_is_never_given_up_by_the_queue(effect: Effect) -> None:
    missing, changed = effect(0)
    assert missing == 1
    assert changed == {
        "{q}:job:r/1/0/0": {
            "id": "r/1/0/0", "payload": '{"flow":"shop"}', "state": "wait", "attempt": "0", "max_attempts": "1000000000",
            "timeout_ms": "30000", "backoff_ms": "0", "created_ms": "2000", "updated_ms": "2000", "queued_ms": "2000", "plan": "p1",
        },
        "{q}:wait": ["r/1/0/0"],
        "{q}:idx:wait": {"r/1/0/0": 2000},
        "{q}:stats": {
            "last_activity_ms": "2000", "last_enqueue_ms": "2000", "waiting": "1", "group_waiting": "0", "waiting_total": "1",
            "groups_ready": "0",
        },
        "{q}:wake": Expiring(["1"]),
    }  # fmt: skip
    assert effect(0) == (0, {})


@pytest.mark.parametrize("front, line", [(False, ["before", "r/1/0/0", "r/1/1/0"]), (True, ["r/1/0/0", "r/1/1/0", "before"])])
def test_children_stand_in_order_wherever_they_go(effect: Effect, seed: Seed, front: bool, line: list[str]) -> None:
    seed.job("before", "wait")
    assert effect(0, 1, front=front)[1]["{q}:wait"] == line


@pytest.mark.parametrize("front", [False, True])
def test_in_a_group_they_stand_in_order_behind_the_others(effect: Effect, seed: Seed, front: bool) -> None:
    seed.job("before", "wait", gid="g")
    _, changed = effect((0, "g"), 1, (2, "g"), 3, limit=2, front=front)
    assert changed["{q}:g:g:wait"] == ["before", "r/1/0/0", "r/1/2/0"]
    assert changed["{q}:wait"] == ["r/1/1/0", "r/1/3/0"]
    assert changed["{q}:g:g:limit"] == "2"
