from __future__ import annotations

from typing import Any

import pytest
import redis
from keyspace import Expiring, keyspace
from queue_seed import Seed

from omniq_flow.queue import OmniqClient
from omniq_flow.queue.calls import Call
from omniq_flow.queue.operations import enqueue

HASH = {
    "id": "a", "payload": '{"x":1}', "attempt": "0", "max_attempts": "3", "timeout_ms": "30000", "backoff_ms": "5000",
    "created_ms": "1000", "updated_ms": "1000", "queued_ms": "1000",
}  # fmt: skip
ENQUEUED = {"last_activity_ms": "1000", "last_enqueue_ms": "1000"}


def job(**options: Any) -> Any:
    given: dict[str, Any] = {"now_ms_override": 1000} | options
    return enqueue("q", "a", b'{"x":1}', call=Call("me", 7), **given)


def test_a_job_waits_at_the_end_of_the_line_and_wakes_a_sleeper(effect: Any, seed: Seed) -> None:
    seed.job("before", "wait")
    result, changed = effect(job())
    assert result == "a"
    assert changed == {
        "{q}:job:a": HASH | {"state": "wait"},
        "{q}:wait": ["before", "a"],
        "{q}:idx:wait": {"a": 1000},
        "{q}:stats": ENQUEUED | {"waiting": "2", "group_waiting": "0", "waiting_total": "2", "groups_ready": "0"},
        "{q}:wake": Expiring(["1"]),
        "{q}:calls:me:0": [7],
    }


def test_the_stats_count_no_fewer_than_none_in_groups(effect: Any, redis_client: redis.Redis) -> None:
    """The line holds ids that the index of waiting jobs has lost."""
    redis_client.rpush("{q}:wait", "x", "y")
    _, changed = effect(job())
    assert changed["{q}:stats"] == ENQUEUED | {"waiting": "3", "group_waiting": "0", "waiting_total": "1", "groups_ready": "0"}


def test_a_due_time_ahead_delays_the_job(effect: Any) -> None:
    _, changed = effect(job(due_ms=1001))
    assert changed == {
        "{q}:job:a": HASH | {"state": "delayed", "due_ms": "1001"},
        "{q}:delayed": {"a": 1001},
        "{q}:idx:delayed": {"a": 1000},
        "{q}:stats": ENQUEUED | {"delayed": "1"},
        "{q}:calls:me:0": [7],
    }


def test_a_due_time_that_has_come_does_not(effect: Any) -> None:
    _, changed = effect(job(due_ms=1000))
    assert changed["{q}:wait"] == ["a"]
    assert "due_ms" not in changed["{q}:job:a"]


def test_a_grouped_job_makes_its_group_ready(effect: Any) -> None:
    _, changed = effect(job(gid="company:acme", group_limit=2))
    assert changed == {
        "{q}:job:a": HASH | {"state": "wait", "gid": "company:acme"},
        "{q}:g:company:acme:wait": ["a"],
        "{q}:g:company:acme:limit": "2",
        "{q}:groups:ready": {"company:acme": 1000},
        "{q}:has_groups": "1",
        "{q}:idx:wait": {"a": 1000},
        "{q}:stats": ENQUEUED | {"waiting": "0", "group_waiting": "1", "waiting_total": "1", "groups_ready": "1"},
        "{q}:wake": Expiring(["1"]),
        "{q}:calls:me:0": [7],
    }


def test_the_first_limit_of_a_group_stays(effect: Any, seed: Seed) -> None:
    seed.group("g", limit=5)
    _, changed = effect(job(gid="g", group_limit=2))
    assert "{q}:g:g:limit" not in changed


def test_a_full_group_is_not_ready_and_wakes_nobody(effect: Any, seed: Seed) -> None:
    seed.job("leased", "active", gid="g")
    seed.group("g", inflight=1)
    _, changed = effect(job(gid="g"))
    assert changed["{q}:g:g:wait"] == ["a"]
    assert not {"{q}:groups:ready", "{q}:wake"} & changed.keys()


def test_a_limit_first_given_by_a_delayed_job_makes_a_waiting_group_ready(effect: Any, seed: Seed) -> None:
    seed.job("waiting", "wait", gid="g")
    seed.job("leased", "active", gid="g")
    seed.group("g", inflight=1)
    _, changed = effect(job(gid="g", group_limit=2, due_ms=9000))
    assert changed["{q}:groups:ready"] == {"g": 1000}
    assert changed["{q}:wake"] == Expiring(["1"])


@pytest.mark.parametrize("lane", ["wait", "delayed", "active"])
def test_a_live_id_is_left_alone(effect: Any, seed: Seed, lane: str) -> None:
    seed.job("a", lane)
    result, changed = effect(job())
    assert result == "a"
    assert changed == {"{q}:calls:me:0": [7]}


@pytest.mark.parametrize("lane", ["completed", "failed"])
def test_an_ended_id_leaves_its_lane_and_is_queued_anew(effect: Any, seed: Seed, lane: str) -> None:
    seed.job("a", lane, attempt=3, last_error="old", spent="tok:1 FAILED")
    seed.job("b", lane)
    _, changed = effect(job())
    assert changed["{q}:wait"] == ["a"]
    assert changed[f"{{q}}:{lane}"] == ["b"]
    assert changed[f"{{q}}:idx:{lane}"] == {"a": None}
    assert changed["{q}:stats"][{"completed": "completed_kept"}.get(lane, lane)] == "1"


@pytest.mark.parametrize("lane", ["completed", "failed"])
def test_an_id_queued_anew_is_a_new_job(effect: Any, seed: Seed, redis_client: redis.Redis, lane: str) -> None:
    seed.job("a", lane, attempt=3, last_error="old", spent="tok:1 FAILED")
    effect(job(due_ms=2000))
    assert keyspace(redis_client)["{q}:job:a"] == HASH | {"state": "delayed", "due_ms": "2000"}


def test_an_id_queued_anew_with_a_delay_survives_the_trimming_of_completed(
    omniq: OmniqClient, seed: Seed, redis_client: redis.Redis
) -> None:
    seed.job("a", "completed")
    omniq.publish(queue="q", payload={}, job_id="a", due_ms=10**13)
    for number in range(101):
        seed.job(f"x{number}", "active", token="t")
        omniq.ack_success(queue="q", job_id=f"x{number}", lease_token="t")
    assert redis_client.hget("{q}:job:a", "state") == b"delayed"
    assert redis_client.llen("{q}:completed") == 100
    assert redis_client.exists("{q}:job:x0") == 0


@pytest.mark.parametrize("fate", ["completed and trimmed", "failed", "removed"])
def test_a_call_sent_again_is_known_whatever_became_of_its_job(
    omniq: OmniqClient, redis_client: redis.Redis, seed: Seed, fate: str
) -> None:
    assert omniq.run(job()) == "a"
    redis_client.delete("{q}:job:a", "{q}:wait", "{q}:idx:wait")
    if fate == "failed":
        seed.job("a", "failed")
    before = keyspace(redis_client)
    assert omniq.run(job()) == "a"
    assert keyspace(redis_client) == before


def test_call_bits_go_by_4096(effect: Any) -> None:
    _, changed = effect(enqueue("q", "a", b"{}", call=Call("me", 2 * 4096 + 5)))
    assert changed["{q}:calls:me:2"] == [5]


def test_without_a_time_the_server_says_what_time_it_is(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    omniq.publish(queue="q", payload={}, job_id="a")
    seconds, _ = redis_client.time()
    stored = redis_client.hget("{q}:job:a", "created_ms")
    assert isinstance(stored, bytes)
    assert 0 <= seconds - int(stored) // 1000 < 60
    assert len(stored) == 13
