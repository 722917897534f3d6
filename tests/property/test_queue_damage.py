"""Job hashes vanish at random, in any lane, while work goes on: what is left is served, no group overruns its limit, none is stuck."""

from __future__ import annotations

import os
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keyspace import keyspace

from omniq_flow.errors import QueueError
from omniq_flow.queue import OmniqClient, ReserveJob

EXAMPLES = int(os.environ.get("OMNIQ_MODEL_EXAMPLES", "150"))
LIMITS = {"g1": 1, "g2": 2}

job_ids = st.sampled_from([f"j{number}" for number in range(6)])
picks = st.integers(0, 9)
actions = st.one_of(
    st.tuples(st.just("publish"), job_ids, st.sampled_from([None, "g1", "g2"]), st.sampled_from([0, 50])),
    st.tuples(st.just("publish"), job_ids, st.sampled_from(["g1", "g2"]), st.just(0)),
    st.tuples(st.just("reserve"), st.integers(1, 3)),
    st.tuples(st.just("reserve"), st.integers(1, 3)),
    st.tuples(st.just("finish"), picks, st.sampled_from(["ack_success", "ack_fail", "release"])),
    st.tuples(st.just("lose"), job_ids),
    st.tuples(st.just("lose"), job_ids),
    st.tuples(st.just("tidy"), st.sampled_from([0, 60, 1000])),
)


class DamagedQueue:
    """One queue whose jobs may lose their hashes."""

    def __init__(self, client: redis.Redis) -> None:
        client.flushdb()
        self.client, self.omniq, self.now = client, OmniqClient(redis=client), 1_000_000
        self.leases: list[ReserveJob] = []

    def publish(self, job_id: str, gid: str | None, delay: int) -> None:
        due = self.now + delay if delay else 0
        limit = LIMITS[gid] if gid else 0
        self.omniq.publish(
            queue="q", payload={}, job_id=job_id, gid=gid, group_limit=limit, due_ms=due, timeout_ms=500, now_ms_override=self.now
        )

    def reserve(self, count: int) -> None:
        held = {lease.job_id for lease in self.leases if self.field(lease.job_id, "lease_token") == lease.lease_token}
        found = self.omniq.reserve_many(queue="q", count=count, now_ms_override=self.now)
        assert isinstance(found, list)
        names = {lease.job_id for lease in found}
        assert len(names) == len(found), "a job was handed out twice"
        assert not held & names, "a leased job was handed out"
        assert [self.field(lease.job_id, "gid") or "" for lease in found] == [lease.gid for lease in found]
        self.leases += found
        self.check_limits()

    def field(self, job_id: str, name: str) -> str | None:
        value = self.client.hget(f"{{q}}:job:{job_id}", name)
        return value.decode() if isinstance(value, bytes) else None

    def finish(self, pick: int, how: str) -> None:
        if self.leases:
            lease = self.leases.pop(pick % len(self.leases))
            held: dict[str, Any] = {"queue": "q", "job_id": lease.job_id, "lease_token": lease.lease_token, "now_ms_override": self.now}
            try:
                getattr(self.omniq, how)(**held)
            except QueueError:
                assert self.client.hget(f"{{q}}:job:{lease.job_id}", "lease_token") != lease.lease_token.encode(), (
                    "a held lease was refused"
                )

    def lose(self, job_id: str) -> None:
        self.client.delete(f"{{q}}:job:{job_id}")

    def tidy(self, later: int) -> None:
        self.now += later
        self.omniq.promote_delayed(queue="q", now_ms_override=self.now)
        self.omniq.reap_expired(queue="q", now_ms_override=self.now)

    def drain(self) -> None:
        """Work until everything is done; every lease not finished runs out."""
        for _ in range(40):
            self.tidy(10_000)
            self.reserve(10)
            while self.leases:
                self.finish(0, "ack_success")
            if not self.client.exists("{q}:active", "{q}:delayed", "{q}:idx:wait"):
                break

    def check_limits(self) -> None:
        """Count the leases whose jobs are there; the places of the others come free only once they ran out."""
        for gid, limit in LIMITS.items():
            jobs = [self.client.hmget(key, "state", "gid") for key in self.client.keys("{q}:job:*")]
            assert sum(job == [b"active", gid.encode()] for job in jobs) <= limit, f"group {gid} overruns its limit"


@pytest.mark.timeout(600)  # when it fails, Hypothesis takes its time to find the smallest story
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(actions, min_size=5, max_size=40))
def test_a_damaged_queue_serves_what_is_left(redis_client: redis.Redis, actions: list[tuple[Any, ...]]) -> None:
    queue = DamagedQueue(redis_client)
    for name, *arguments in actions:
        getattr(queue, name)(*arguments)
    queue.drain()
    for gid in LIMITS:
        queue.publish(f"after {gid}", gid, 0)
    queue.drain()
    left = keyspace(redis_client)
    assert {job["state"] for key, job in left.items() if ":job:" in key} == {"completed"}
    assert left["{q}:stats"]["completed_kept"] == str(len(left["{q}:completed"]))
    for key in left:
        assert not key.endswith((":wait", ":active", ":delayed", ":ready", ":idx:wait", ":idx:active", ":idx:delayed")), f"{key} is left"
