"""Third transition by itself: jobs of a run enter a queue, and those whose lane has lost them are put back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis
from keyspace import Expiring, changes, keyspace
from lua_parts import commands_within
from queue_seed import Seed

from omniq_flow.queue import OmniqClient
from omniq_flow.runtime.operations import enqueue_jobs

NOW = 2000
RUN = ("r", "p1")
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
            "id": "r/1/0/0", "payload": "{}", "state": "wait", "attempt": "0", "max_attempts": "1000000000",
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


def test_each_child_is_looked_at_once(effect: Effect, redis_client: redis.Redis) -> None:
    redis_client.config_resetstat()
    effect(0, 1, front=True)
    assert commands_within(redis_client)["hget"] == 2


@pytest.mark.parametrize("front", [False, True])
def test_in_a_group_they_stand_in_order_behind_the_others(effect: Effect, seed: Seed, front: bool) -> None:
    seed.job("before", "wait", gid="g")
    _, changed = effect((0, "g"), 1, (2, "g"), 3, limit=2, front=front)
    assert changed["{q}:g:g:wait"] == ["before", "r/1/0/0", "r/1/2/0"]
    assert changed["{q}:wait"] == ["r/1/1/0", "r/1/3/0"]
    assert changed["{q}:g:g:limit"] == "2"


JOB = "r/1/0/0"


@pytest.mark.parametrize("lane", ["active", "delayed", "wait"])
def test_a_job_that_is_in_its_lane_is_left_there(effect: Effect, seed: Seed, lane: str) -> None:
    seed.job(JOB, lane)
    assert effect(0, look=True) == (0, {})


@pytest.mark.parametrize("field, until", [({}, 31_000), ({"lock_until_ms": ""}, NOW)])
def test_a_lease_that_is_nowhere_is_held_again(effect: Effect, seed: Seed, field: dict[str, Any], until: int) -> None:
    seed.job(JOB, "active", **field)
    seed.client.delete("{q}:active", "{q}:idx:active")
    assert effect(0) == (0, {}), "unless it is looked for"
    assert effect(0, look=True) == (
        1,
        {"{q}:active": {JOB: until}, "{q}:idx:active": {JOB: NOW}, "{q}:stats": {"last_activity_ms": "2000", "active": "1"}},
    )


@pytest.mark.parametrize("field, until", [({}, 5000), ({"due_ms": ""}, NOW)])
def test_a_delayed_job_that_is_nowhere_is_delayed_again(effect: Effect, seed: Seed, field: dict[str, Any], until: int) -> None:
    seed.job(JOB, "delayed", **field)
    seed.client.delete("{q}:delayed", "{q}:idx:delayed")
    assert effect(0, look=True) == (
        1,
        {"{q}:delayed": {JOB: until}, "{q}:idx:delayed": {JOB: NOW}, "{q}:stats": {"last_activity_ms": "2000", "delayed": "1"}},
    )


def test_a_job_in_a_state_of_which_nothing_is_known_is_left_alone(effect: Effect, seed: Seed) -> None:
    seed.job(JOB, "wait", state="odd")
    seed.client.delete("{q}:wait", "{q}:idx:wait")
    assert effect(0, look=True) == (0, {})


WAITING = {"last_activity_ms": "2000", "waiting": "1", "group_waiting": "0", "waiting_total": "1", "groups_ready": "0"}


def test_a_waiting_job_that_its_line_has_lost_waits_again(effect: Effect, seed: Seed) -> None:
    seed.job(JOB, "wait")
    seed.client.delete("{q}:wait")
    assert effect(0, look=True) == (
        1,
        {"{q}:wait": [JOB], "{q}:idx:wait": {JOB: NOW}, "{q}:stats": WAITING, "{q}:wake": Expiring(["1"])},
    )


def test_a_waiting_job_is_searched_for_only_where_the_counts_leave_doubt(effect: Effect, seed: Seed, redis_client: redis.Redis) -> None:
    seed.job("another", "wait")
    seed.job(JOB, "wait")
    redis_client.lset("{q}:wait", 1, "a stranger")
    assert effect(0, look=True) == (0, {}), "there are as many in line as wait, it is one of them, and there are no groups"
    redis_client.set("{q}:has_groups", "1")
    assert effect(0, look=True)[1]["{q}:wait"] == ["another", "a stranger", JOB]


def test_a_waiting_job_that_only_the_index_has_lost_is_left_in_its_line(effect: Effect, seed: Seed, redis_client: redis.Redis) -> None:
    seed.job(JOB, "wait")
    redis_client.zrem("{q}:idx:wait", JOB)
    redis_client.zadd("{q}:idx:wait", {"another": 1})
    assert effect(0, look=True) == (0, {})


def test_a_waiting_job_that_both_have_lost_waits_again_though_the_counts_agree(
    effect: Effect, seed: Seed, redis_client: redis.Redis
) -> None:
    seed.job(JOB, "wait")
    redis_client.delete("{q}:wait", "{q}:idx:wait")
    seed.job("another", "wait")
    assert effect(0, look=True)[1]["{q}:wait"] == ["another", JOB]


@pytest.mark.parametrize("others, missing", [(10_000, 1), (10_001, 0)])
@pytest.mark.parametrize("gid", ["", "g"])
def test_a_line_is_searched_up_to_ten_thousand(effect: Effect, seed: Seed, gid: str, others: int, missing: int) -> None:
    """One that stands behind those is not overdue."""
    redis_client = seed.client
    line = "{q}:g:g:wait" if gid else "{q}:wait"
    seed.job(JOB, "wait", gid=gid)
    redis_client.set("{q}:has_groups", "1")
    redis_client.delete(line)
    redis_client.rpush(line, *range(others))
    if gid:
        seed.group("g", score=1)
    assert effect((0, gid), look=True)[0] == missing
    redis_client.delete(line)


@pytest.mark.parametrize("inflight, score", [(0, 1000.0), (1, None)], ids=["in line", "full"])
def test_a_job_that_waits_in_a_group_that_is_served_is_left_there(effect: Effect, seed: Seed, inflight: int, score: float | None) -> None:
    seed.job("leased", "active", gid="g")
    seed.job(JOB, "wait", gid="g")
    seed.group("g", inflight=inflight, score=score)
    assert effect((0, "g"), look=True) == (0, {})


def test_a_group_that_has_lost_its_place_in_line_gets_one(effect: Effect, seed: Seed) -> None:
    seed.job(JOB, "wait", gid="g")
    assert effect((0, "g"), look=True) == (
        1,
        {
            "{q}:groups:ready": {"g": NOW},
            "{q}:stats": WAITING | {"waiting": "0", "group_waiting": "1", "groups_ready": "1"},
            "{q}:wake": Expiring(["1"]),
        },
    )


def test_a_job_that_its_group_has_lost_waits_there_again(effect: Effect, seed: Seed) -> None:
    seed.job("first", "wait", gid="g")
    seed.job(JOB, "wait", gid="g")
    seed.client.lrem("{q}:g:g:wait", 0, JOB)
    seed.group("g", score=1000)
    missing, changed = effect((0, "g"), look=True)
    assert missing == 1
    assert changed["{q}:g:g:wait"] == ["first", JOB]
    assert "{q}:groups:ready" not in changed
    seed.client.hset(f"{{q}}:job:{JOB}", "gid", "")
    assert effect(0, look=True)[1]["{q}:wait"] == [JOB], "an empty group is none"
