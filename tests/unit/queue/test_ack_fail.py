from __future__ import annotations

from typing import Any

import pytest
import redis
from keyspace import keyspace
from queue_seed import Seed

from omniq_flow.errors import JobNotActive, TokenMismatch
from omniq_flow.queue import AckFail, OmniqClient
from omniq_flow.queue.operations import ack_fail

FINISHED = {"last_activity_ms": "2000", "last_finish_ms": "2000"}


def test_a_failed_attempt_is_tried_again_after_the_backoff(effect: Any, seed: Seed) -> None:
    seed.job("a", "active", token="t")
    result, changed = effect(ack_fail("q", "a", "t", error="boom", now_ms=2000))
    assert result == AckFail("RETRY", 7000) == ("RETRY", 7000)
    assert changed == {
        "{q}:active": None,
        "{q}:idx:active": None,
        "{q}:delayed": {"a": 7000},
        "{q}:idx:delayed": {"a": 2000},
        "{q}:job:a": {
            "state": "delayed", "due_ms": "7000", "updated_ms": "2000", "lock_until_ms": "", "lease_token": "",
            "last_error": "boom", "last_error_ms": "2000", "spent": "t RETRY 7000",
        },
        "{q}:stats": FINISHED | {"active": "0", "delayed": "1"},
    }  # fmt: skip


def test_the_last_attempt_fails_the_job(effect: Any, seed: Seed) -> None:
    seed.job("a", "active", token="t", attempt=3)
    seed.job("before", "failed")
    result, changed = effect(ack_fail("q", "a", "t", now_ms=2000))
    assert result == ("FAILED", None)
    assert changed == {
        "{q}:active": None,
        "{q}:idx:active": None,
        "{q}:failed": ["a", "before"],
        "{q}:idx:failed": {"a": 2000},
        "{q}:job:a": {
            "state": "failed", "failed_ms": "2000", "updated_ms": "2000", "lock_until_ms": "", "lease_token": "", "spent": "t FAILED",
        },
        "{q}:stats": FINISHED | {"active": "0", "failed": "2"},
    }  # fmt: skip


@pytest.mark.parametrize("attempt", [1, 3])
def test_its_group_gets_the_place_back(effect: Any, seed: Seed, attempt: int) -> None:
    seed.job("a", "active", gid="g", token="t", attempt=attempt)
    seed.job("b", "wait", gid="g")
    seed.group("g", inflight=1)
    _, changed = effect(ack_fail("q", "a", "t", now_ms=2000))
    assert changed["{q}:g:g:inflight"] is None
    assert changed["{q}:groups:ready"] == {"g": 2000}


@pytest.mark.parametrize(
    "error, kept",
    [
        ("x" * 5000, "x" * 4096),
        ("é" * 5000, "é" * 2048),
        ("x" + "€" * 2000, "x" + "€" * 1365),
        ("x" * 4095 + "😀", "x" * 4095),
        ("a\ud800b", "a?b"),
    ],
)
def test_the_error_is_cut_at_the_border_of_a_character(effect: Any, seed: Seed, error: str, kept: str) -> None:
    seed.job("a", "active", token="t")
    _, changed = effect(ack_fail("q", "a", "t", error=error, now_ms=2000))
    assert changed["{q}:job:a"]["last_error"] == kept


def test_without_an_error_the_last_one_stays(effect: Any, seed: Seed) -> None:
    seed.job("a", "active", token="t", last_error="old", last_error_ms=1)
    _, changed = effect(ack_fail("q", "a", "t", now_ms=2000))
    assert not {"last_error", "last_error_ms"} & changed["{q}:job:a"].keys()


def test_a_late_repeat_changes_nothing_while_another_worker_holds_the_job(
    omniq: OmniqClient, seed: Seed, redis_client: redis.Redis
) -> None:
    seed.job("a", "active", token="t")
    first = omniq.ack_fail(queue="q", job_id="a", lease_token="t", now_ms_override=2000)
    omniq.promote_delayed(queue="q", now_ms_override=9000)
    omniq.reserve(queue="q", now_ms_override=9000)
    before = keyspace(redis_client)
    assert omniq.ack_fail(queue="q", job_id="a", lease_token="t") == first
    with pytest.raises(TokenMismatch):
        omniq.ack_fail(queue="q", job_id="a", lease_token="never")
    assert keyspace(redis_client) == before


def test_a_lost_lease_is_refused(omniq: OmniqClient, seed: Seed) -> None:
    seed.job("a", "delayed")
    with pytest.raises(JobNotActive, match="job a of queue q: no lease is held"):
        omniq.ack_fail(queue="q", job_id="a", lease_token="t")
