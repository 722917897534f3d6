"""Queue keys written by hand, so that a test of one operation rests on no other."""

from __future__ import annotations

from typing import Any

import redis

LANES = ("wait", "active", "delayed", "failed", "completed")


class Seed:
    """Writes jobs of the queue `q` straight into the keyspace, as the contract lays it out; stats are left out."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client

    def job(
        self,
        job_id: str,
        lane: str,
        *,
        at: int = 1000,
        gid: str = "",
        token: str = "tok:1",
        lock: int = 31_000,
        due: int = 5000,
        **fields: Any,
    ) -> None:
        """Put one job into a lane, as if it had entered it at `at`; in a group, inflight and groups:ready are the test's."""
        values: dict[Any, Any] = {
            "id": job_id, "payload": "{}", "state": lane, "attempt": 0, "max_attempts": 3, "timeout_ms": 30_000, "backoff_ms": 5000,
            "created_ms": at, "updated_ms": at, "queued_ms": at,
        }  # fmt: skip
        if gid:
            values["gid"] = gid
            self.client.set("{q}:has_groups", "1")
        if lane == "active":
            values |= {"attempt": 1, "lease_token": token, "lock_until_ms": lock, "first_started_ms": at, "last_started_ms": at}
        if lane == "delayed":
            values["due_ms"] = due
        if lane in {"failed", "completed"}:
            values[f"{lane}_ms"] = at
        self.client.hset(f"{{q}}:job:{job_id}", mapping=values | fields)
        self.client.zadd(f"{{q}}:idx:{lane}", {job_id: at})
        match lane:
            case "wait":
                self.client.rpush(f"{{q}}:g:{gid}:wait" if gid else "{q}:wait", job_id)
            case "active":
                self.client.zadd("{q}:active", {job_id: lock})
            case "delayed":
                self.client.zadd("{q}:delayed", {job_id: due})
            case _:
                self.client.lpush(f"{{q}}:{lane}", job_id)

    def group(self, gid: str, *, inflight: int = 0, limit: int = 0, score: float | None = None) -> None:
        """Say how many leases a group has, its limit and its place in line."""
        if inflight:
            self.client.set(f"{{q}}:g:{gid}:inflight", inflight)
        if limit:
            self.client.set(f"{{q}}:g:{gid}:limit", limit)
        if score is not None:
            self.client.zadd("{q}:groups:ready", {gid: score})
