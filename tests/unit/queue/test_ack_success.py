from __future__ import annotations

from typing import Any

import pytest
import redis
from keyspace import Expiring, keyspace
from queue_seed import Seed

from omniq_flow.errors import JobNotActive, QueueError, TokenMismatch, TokenRequired
from omniq_flow.queue import OmniqClient
from omniq_flow.queue.operations import ack_success


def test_a_leased_job_is_done(effect: Any, seed: Seed) -> None:
    seed.job("a", "active", token="t")
    seed.job("before", "completed")
    _, changed = effect(ack_success("q", "a", "t", now_ms=2000))
    assert changed == {
        "{q}:active": None,
        "{q}:idx:active": None,
        "{q}:completed": ["a", "before"],
        "{q}:idx:completed": {"a": 2000},
        "{q}:job:a": {
            "state": "completed", "completed_ms": "2000", "updated_ms": "2000", "lock_until_ms": "", "lease_token": "", "spent": "t OK",
        },
        "{q}:stats": {"last_activity_ms": "2000", "last_finish_ms": "2000", "active": "0", "completed_kept": "2"},
    }  # fmt: skip


def test_its_group_gets_the_place_back_and_stands_in_line_again(effect: Any, seed: Seed) -> None:
    seed.job("a", "active", gid="g", token="t")
    seed.job("b", "wait", gid="g")
    seed.group("g", inflight=1)
    seed.group("other", score=5000)
    _, changed = effect(ack_success("q", "a", "t", now_ms=2000))
    assert changed["{q}:g:g:inflight"] is None
    assert changed["{q}:groups:ready"] == {"g": 5000 + 1 / 1024}, "behind the last one in line, whatever the clock says"
    assert changed["{q}:wake"] == Expiring(["1"])
    assert changed["{q}:stats"]["groups_ready"] == "2"


def test_one_of_several_places_comes_free(effect: Any, seed: Seed) -> None:
    seed.job("a", "active", gid="g", token="t")
    seed.group("g", inflight=3, limit=3)
    _, changed = effect(ack_success("q", "a", "t", now_ms=2000))
    assert changed["{q}:g:g:inflight"] == "2"
    assert "{q}:groups:ready" not in changed


def test_the_last_hundred_are_kept(effect: Any, seed: Seed) -> None:
    for number in range(100):
        seed.job(f"old{number}", "completed", at=number)
    seed.job("a", "active", token="t")
    _, changed = effect(ack_success("q", "a", "t", now_ms=2000))
    assert changed["{q}:completed"] == ["a", *[f"old{number}" for number in range(99, 0, -1)]]
    assert changed["{q}:idx:completed"] == {"a": 2000, "old0": None}
    assert changed["{q}:job:old0"] is None
    assert changed["{q}:stats"]["completed_kept"] == "100"


@pytest.mark.keeps_keys("{q}:job:*")  # the damage is the point
def test_at_most_a_thousand_are_trimmed_in_one_call(effect: Any, seed: Seed, redis_client: redis.Redis) -> None:
    redis_client.lpush("{q}:completed", *[f"old{number}" for number in range(1200)])
    seed.job("a", "active", token="t")
    _, changed = effect(ack_success("q", "a", "t", now_ms=2000))
    assert changed["{q}:completed"] == ["a", *[f"old{number}" for number in range(1199, 999, -1)]]


def test_a_job_that_names_an_empty_group_is_in_none(effect: Any, seed: Seed) -> None:
    """As foreign clients write it."""
    seed.job("a", "active", token="t")
    seed.client.hset("{q}:job:a", "gid", "")
    _, changed = effect(ack_success("q", "a", "t", now_ms=2000))
    assert "groups_ready" not in changed["{q}:stats"]


@pytest.mark.keeps_keys("{q}:job:*")  # the damage is the point
def test_trimming_spares_a_job_that_lives_again(effect: Any, seed: Seed, redis_client: redis.Redis) -> None:
    for number in range(100):
        seed.job(f"old{number}", "completed")
    redis_client.hset("{q}:job:old0", "state", "delayed")
    seed.job("a", "active", token="t")
    _, changed = effect(ack_success("q", "a", "t", now_ms=2000))
    assert "{q}:job:old0" not in changed
    assert "old0" not in changed["{q}:completed"]


@pytest.mark.parametrize(
    "lane, token, error",
    [("active", "other", TokenMismatch), ("wait", "t", JobNotActive), ("failed", "t", JobNotActive), (None, "t", JobNotActive)],
)
def test_a_lost_lease_is_refused(effect: Any, seed: Seed, lane: str | None, token: str, error: type[QueueError]) -> None:
    if lane:
        seed.job("a", lane, token="t")
    before = keyspace(seed.client)
    with pytest.raises(error):
        effect(ack_success("q", "a", token))
    assert keyspace(seed.client) == before


def test_a_token_is_required(omniq: OmniqClient) -> None:
    with pytest.raises(TokenRequired):
        omniq.ack_success(queue="q", job_id="a", lease_token="")


def test_a_token_that_begins_like_the_spent_one_is_another(omniq: OmniqClient, seed: Seed) -> None:
    seed.job("a", "active", token="t:11")
    omniq.ack_success(queue="q", job_id="a", lease_token="t:11")
    with pytest.raises(JobNotActive):
        omniq.ack_success(queue="q", job_id="a", lease_token="t:1")


def test_a_token_spent_on_one_thing_cannot_be_spent_on_another(omniq: OmniqClient, seed: Seed) -> None:
    for name, spend in (("done", omniq.ack_success), ("back", omniq.release), ("failed", omniq.ack_fail)):
        seed.job(name, "active", token="t")
        spend(queue="q", job_id=name, lease_token="t")
    for name, spend in (("done", omniq.release), ("done", omniq.ack_fail), ("back", omniq.ack_success), ("failed", omniq.ack_success)):
        with pytest.raises(JobNotActive):
            spend(queue="q", job_id=name, lease_token="t")
