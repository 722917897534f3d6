from __future__ import annotations

from typing import Any

import pytest
import redis
from keyspace import Expiring, keyspace
from queue_seed import Seed

from omniq_flow.errors import BatchTooLarge, JobNotFailed, JobNotFound
from omniq_flow.queue import BatchItem, OmniqClient
from omniq_flow.queue.calls import Call
from omniq_flow.queue.operations import retry_failed, retry_failed_batch


def test_a_failed_job_waits_again_with_all_its_attempts(effect: Any, seed: Seed) -> None:
    seed.job("a", "failed", attempt=3, due_ms=900, last_error="boom")
    seed.job("w", "wait")
    _, changed = effect(retry_failed("q", "a", call=Call("me", 1), now_ms=2000))
    assert changed == {
        "{q}:failed": None,
        "{q}:idx:failed": None,
        "{q}:wait": ["w", "a"],
        "{q}:idx:wait": {"a": 2000},
        "{q}:job:a": {"state": "wait", "attempt": "0", "due_ms": "", "failed_ms": "", "updated_ms": "2000"},
        "{q}:stats": {
            "last_activity_ms": "2000", "waiting": "2", "group_waiting": "0", "waiting_total": "2", "groups_ready": "0", "failed": "0",
        },
        "{q}:wake": Expiring(["1"]),
        "{q}:sent:me": [1, ["OK"]],
    }  # fmt: skip


def test_a_grouped_job_waits_in_its_group(effect: Any, seed: Seed) -> None:
    seed.job("a", "failed", gid="g")
    _, changed = effect(retry_failed("q", "a", call=Call("me", 1), now_ms=2000))
    assert changed["{q}:g:g:wait"] == ["a"]
    assert changed["{q}:groups:ready"] == {"g": 2000}


def test_a_job_that_names_an_empty_group_waits_in_none(effect: Any, seed: Seed, redis_client: redis.Redis) -> None:
    """As foreign clients write it."""
    seed.job("a", "failed")
    redis_client.hset("{q}:job:a", "gid", "")
    _, changed = effect(retry_failed("q", "a", call=Call("me", 1), now_ms=2000))
    assert changed["{q}:wait"] == ["a"]


def test_only_failed_jobs_can_be_retried(omniq: OmniqClient, seed: Seed, redis_client: redis.Redis) -> None:
    for lane in ("wait", "active", "delayed", "completed"):
        seed.job(lane, lane)
    before = keyspace(redis_client)
    for lane in ("wait", "active", "delayed", "completed"):
        with pytest.raises(JobNotFailed, match=f"job {lane} of queue q"):
            omniq.retry_failed(queue="q", job_id=lane)
    with pytest.raises(JobNotFound):
        omniq.retry_failed(queue="q", job_id="nobody")
    assert keyspace(redis_client) == before


def test_a_batch_says_what_became_of_each(effect: Any, seed: Seed) -> None:
    seed.job("a", "failed")
    seed.job("b", "wait")
    seed.job("c", "failed", gid="g")
    result, changed = effect(retry_failed_batch("q", ["a", "b", "nobody", "c", "a"], call=Call("me", 1), now_ms=2000))
    assert result == [
        ("a", "OK", None),
        ("b", "ERR", "NOT_FAILED"),
        ("nobody", "ERR", "NO_JOB"),
        ("c", "OK", None),
        ("a", "ERR", "NOT_FAILED"),
    ]
    assert changed["{q}:wait"] == ["b", "a"]
    assert changed["{q}:g:g:wait"] == ["c"]
    assert changed["{q}:failed"] is None


def test_a_batch_that_ends_in_a_refusal_has_retried_the_others(effect: Any, seed: Seed) -> None:
    seed.job("a", "failed")
    _, changed = effect(retry_failed_batch("q", ["a", "nobody"], call=Call("me", 1), now_ms=2000))
    assert changed == {
        "{q}:failed": None,
        "{q}:idx:failed": None,
        "{q}:wait": ["a"],
        "{q}:idx:wait": {"a": 2000},
        "{q}:job:a": {"state": "wait", "due_ms": "", "failed_ms": "", "updated_ms": "2000"},
        "{q}:stats": {
            "last_activity_ms": "2000", "waiting": "1", "group_waiting": "0", "waiting_total": "1", "groups_ready": "0", "failed": "0",
        },
        "{q}:wake": Expiring(["1"]),
        "{q}:sent:me": [1, ["a", "OK", "", "nobody", "ERR", "NO_JOB"]],
    }  # fmt: skip


def test_a_batch_that_retries_nothing_changes_nothing(effect: Any) -> None:
    result, changed = effect(retry_failed_batch("q", ["nobody"], call=Call("me", 1)))
    assert result == [BatchItem("nobody", "ERR", "NO_JOB")]
    assert changed == {}
    assert effect(retry_failed_batch("q", [], call=Call("me", 1))) == ([], {})


@pytest.mark.parametrize("job_id", ["ERR", "STALE"])
def test_a_batch_may_begin_with_a_job_named_as_a_refusal(omniq: OmniqClient, seed: Seed, job_id: str) -> None:
    seed.job(job_id, "failed")
    assert omniq.retry_failed_batch(queue="q", job_ids=[job_id, "nobody"]) == [(job_id, "OK", None), ("nobody", "ERR", "NO_JOB")]


def test_a_batch_takes_a_hundred_jobs(omniq: OmniqClient) -> None:
    ids = [f"j{number}" for number in range(101)]
    assert len(omniq.retry_failed_batch(queue="q", job_ids=ids[:100])) == 100
    with pytest.raises(BatchTooLarge, match="101 jobs"):
        omniq.retry_failed_batch(queue="q", job_ids=ids)
