"""Clients of two makes, ours and the published `omniq`, producing and consuming on one queue: no job is lost, doubled or stuck.

After every step the keyspace is held against a ledger of what must have become of each job. What the foreign side is not made to do, since
the contract knows it for a fault of theirs that no other client can mend on the spot:

- publish an id again that is still known (it would be in two lanes, or lose its hash when `completed` is trimmed);
- set a group's limit first with a delayed publish (a waiting group with room would not be in line until its next ack);
- reap a lease whose job is gone (the group's place would be lost until one of ours counts);
- ack the child of a completion key that was settled already (it cannot tell who took the last one);
- go by its own clock: both sides are given the same one.

Its heartbeats add to the old end of a lease instead of to the present; that is taken as it is. The order in which groups are served is not
compared: theirs is by integer milliseconds. OMNIQ_MODEL_EXAMPLES=2000 runs it for longer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mixed_fleet import Fleet, Peer, compare_monitors
from queue_ledger import GIDS
from real_server import RealServer

omniq = pytest.importorskip("omniq")

EXAMPLES = int(os.environ.get("OMNIQ_MODEL_EXAMPLES", "100"))

sides = st.sampled_from(["ours", "theirs"])
picks = st.integers(0, 39)
several = st.lists(picks, min_size=1, max_size=3)
new_jobs = st.fixed_dictionaries(
    {
        "gid": st.sampled_from(["", *GIDS]),
        "limit": st.sampled_from([0, 0, 0, 0, 1, 2, 3]),
        "delay": st.sampled_from([0, 0, 0, 1, 30]),
        "max_attempts": st.integers(1, 3),
        "timeout_ms": st.sampled_from([40, 30_000]),
        "backoff_ms": st.sampled_from([0, 25]),
    }
)


def often(times: int, name: str, *arguments: st.SearchStrategy[Any]) -> list[st.SearchStrategy[Any]]:
    return [st.tuples(st.just(name), sides, *arguments) for _ in range(times)]


actions = st.one_of(
    *often(2, "time_passes", st.sampled_from([1, 30, 60, 60, 40_000])),
    *often(3, "the_next_falls_due"),
    *often(5, "publish", st.lists(new_jobs, min_size=1, max_size=4)),
    *often(1, "publish_again", picks),
    *often(5, "reserve", st.lists(sides, max_size=3)),
    *often(1, "heartbeat", picks),
    *often(3, "ack_success", picks),
    *often(3, "ack_fail", picks),
    *often(2, "release", picks, st.sampled_from([0, 30])),
    *often(2, "a_spent_token_changes_nothing", picks, st.sampled_from(["ack_success", "ack_fail", "heartbeat"])),
    *often(1, "promote_delayed"),
    *often(1, "reap_expired"),
    *often(2, "retry_failed", several, st.booleans()),
    *often(2, "remove", several, st.booleans()),
    *often(1, "a_leased_job_cannot_be_removed", picks),
    *often(1, "pause_or_resume", st.sampled_from([True, False, False])),
    *often(1, "child_init", st.integers(1, 3)),
    *often(2, "child_ack", picks, st.integers(0, 2)),
)


@pytest.fixture
def as_text(server: RealServer) -> Iterator[Any]:
    """A raw client of the kind that the published client takes."""
    with redis.Redis(unix_socket_path=str(server.socket_path), protocol=2, decode_responses=True) as client:
        yield client


def mixed(raw: redis.Redis, text: Any) -> Fleet:
    theirs = omniq.OmniqClient(redis=text)
    return Fleet(raw, text, Peer(theirs), omniq.QueueMonitor(theirs))


@given(schedule=st.lists(actions, min_size=25, max_size=75))
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
def test_two_makes_of_client_share_a_queue(redis_client: redis.Redis, as_text: redis.Redis, schedule: list[Any]) -> None:
    redis_client.flushdb()
    fleet = mixed(redis_client, as_text)
    for action in schedule:
        fleet.act(action)
    compare_monitors(*fleet.monitors, list(fleet.ledger.jobs))
    fleet.work_off()


def test_completed_keeps_a_hundred_jobs_whoever_finishes_them(redis_client: redis.Redis, as_text: redis.Redis) -> None:
    fleet = mixed(redis_client, as_text)
    clients = list(fleet.clients.values())
    requeued: list[str] = []
    for number in range(140):
        one, other = clients[number % 2], clients[number // 2 % 2]
        one.publish(queue="q", payload={}, job_id=f"j{number:03}")
        job = other.reserve(queue="q")
        one.ack_success(queue="q", job_id=job.job_id, lease_token=job.lease_token)
        if number % 10 == 0:
            clients[0].publish(queue="q", payload={}, job_id=job.job_id, due_ms=10**13)
            requeued.append(job.job_id)
    kept = as_text.lrange("{q}:completed", 0, -1)
    assert sorted(kept) == sorted(as_text.zrange("{q}:idx:completed", 0, -1))
    assert len(kept) == 100
    hashes = {key.partition(":job:")[2] for key in as_text.scan_iter("{q}:job:*")}
    assert hashes == {*kept, *requeued}, "what is queued anew keeps its hash, what is trimmed off loses it"
    compare_monitors(*fleet.monitors, requeued)
