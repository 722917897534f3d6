from __future__ import annotations

from typing import Any

import pytest
import redis
from keyspace import keyspace
from queue_seed import Seed

from omniq_flow.errors import BatchTooLarge, JobActive, JobNotFound, LaneMismatch, NotInLane, QueueError, UnknownLane
from omniq_flow.queue import OmniqClient
from omniq_flow.queue.calls import Call
from omniq_flow.queue.operations import remove_job, remove_jobs_batch

ACTIVITY = {"last_activity_ms": "2000"}
WAITING = {"waiting": "1", "group_waiting": "0", "waiting_total": "1"}


@pytest.mark.parametrize(
    "lane, stats",
    [("wait", WAITING), ("delayed", {"delayed": "1"}), ("failed", {"failed": "1"}), ("completed", {"completed_kept": "1"})],
)
def test_a_job_leaves_with_all_that_belongs_to_it(effect: Any, seed: Seed, lane: str, stats: dict[str, str]) -> None:
    seed.job("a", lane)
    seed.job("b", lane)
    _, changed = effect(remove_job("q", "a", lane, call=Call("me", 1), now_ms=2000))
    rest = {"a": None} if lane == "delayed" else ["b"]
    assert changed == {
        "{q}:job:a": None,
        f"{{q}}:{lane}": rest,
        f"{{q}}:idx:{lane}": {"a": None},
        "{q}:stats": ACTIVITY | stats,
        "{q}:sent:me": [1, ["OK"]],
    }


def test_the_last_waiting_job_of_a_group_takes_the_group_out_of_the_line(effect: Any, seed: Seed) -> None:
    seed.job("a", "wait", gid="g")
    seed.group("g", score=1)
    _, changed = effect(remove_job("q", "a", "gwait", call=Call("me", 1), now_ms=2000))
    assert changed == {
        "{q}:job:a": None,
        "{q}:g:g:wait": None,
        "{q}:groups:ready": None,
        "{q}:idx:wait": None,
        "{q}:stats": ACTIVITY | {"waiting": "0", "group_waiting": "0", "waiting_total": "0", "groups_ready": "0"},
        "{q}:sent:me": [1, ["OK"]],
    }


REFUSED = [
    ("nobody", "wait", JobNotFound), ("leased", "wait", JobActive), ("leased", "failed", JobActive), ("plain", "gwait", LaneMismatch),
    ("plain", "failed", LaneMismatch), ("done", "failed", LaneMismatch), ("grouped", "wait", NotInLane), ("stray", "wait", NotInLane),
    ("stray", "delayed", LaneMismatch),
]  # fmt: skip


@pytest.fixture
def mixed(seed: Seed, redis_client: redis.Redis) -> None:
    """One job of each kind; `stray` says that it waits but stands in no lane."""
    seed.job("leased", "active")
    seed.job("stray", "wait")
    redis_client.delete("{q}:wait")
    seed.job("plain", "wait")
    seed.job("grouped", "wait", gid="g")
    seed.job("done", "completed")


@pytest.mark.keeps_keys("{q}:job:*")  # the damage is the point
@pytest.mark.usefixtures("mixed")
@pytest.mark.parametrize("job_id, lane, error", REFUSED)
def test_what_cannot_be_removed_is_left_alone(
    omniq: OmniqClient, redis_client: redis.Redis, job_id: str, lane: str, error: type[QueueError]
) -> None:
    before = keyspace(redis_client)
    with pytest.raises(error):
        omniq.remove_job(queue="q", job_id=job_id, lane=lane)
    assert omniq.remove_jobs_batch(queue="q", lane=lane, job_ids=[job_id]) == [(job_id, "ERR", error.code)]
    assert keyspace(redis_client) == before


@pytest.mark.keeps_keys("{q}:job:*")  # the damage is the point
@pytest.mark.usefixtures("mixed")
def test_a_batch_says_what_became_of_each(omniq: OmniqClient, redis_client: redis.Redis) -> None:
    found = omniq.remove_jobs_batch(queue="q", lane="wait", job_ids=["plain", "leased", "nobody", "plain"])
    assert found == [("plain", "OK", None), ("leased", "ERR", "ACTIVE"), ("nobody", "ERR", "NO_JOB"), ("plain", "ERR", "NO_JOB")]
    assert redis_client.exists("{q}:job:plain", "{q}:wait") == 0


def test_a_job_that_names_an_empty_group_waits_in_none(omniq: OmniqClient, seed: Seed, redis_client: redis.Redis) -> None:
    """As foreign clients write it."""
    seed.job("a", "wait")
    redis_client.hset("{q}:job:a", "gid", "")
    with pytest.raises(LaneMismatch):
        omniq.remove_job(queue="q", job_id="a", lane="gwait")
    omniq.remove_job(queue="q", job_id="a", lane="wait")


def test_a_batch_that_ends_in_a_refusal_has_removed_the_others(effect: Any, seed: Seed) -> None:
    seed.job("a", "completed")
    seed.job("b", "completed")
    result, changed = effect(remove_jobs_batch("q", "completed", ["a", "nobody"], call=Call("me", 1), now_ms=2000))
    assert result == [("a", "OK", None), ("nobody", "ERR", "NO_JOB")]
    assert changed == {
        "{q}:job:a": None,
        "{q}:completed": ["b"],
        "{q}:idx:completed": {"a": None},
        "{q}:stats": ACTIVITY | {"completed_kept": "1"},
        "{q}:sent:me": [1, ["a", "OK", "", "nobody", "ERR", "NO_JOB"]],
    }


@pytest.mark.parametrize("job_id", ["ERR", "STALE"])
def test_a_batch_may_begin_with_a_job_named_as_a_refusal(omniq: OmniqClient, seed: Seed, job_id: str) -> None:
    seed.job(job_id, "failed")
    assert omniq.remove_jobs_batch(queue="q", lane="failed", job_ids=[job_id]) == [(job_id, "OK", None)]


def test_lanes_and_sizes_are_checked_before_anything_is_sent() -> None:
    call = Call("me", 1)
    for lane in ("active", "groups", "", None):
        with pytest.raises(UnknownLane, match="use wait, gwait, delayed, failed, completed"):
            remove_job("q", "a", lane, call=call)  # type: ignore[arg-type]
    with pytest.raises(UnknownLane):
        remove_jobs_batch("q", "active", [], call=call)
    with pytest.raises(BatchTooLarge):
        remove_jobs_batch("q", "wait", [f"j{number}" for number in range(101)], call=call)
