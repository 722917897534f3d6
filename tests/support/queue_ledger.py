"""A ledger of what must have become of each job of a queue, and an audit that holds the keyspace against it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

import redis

Lane = Literal["wait", "active", "delayed", "failed", "completed"]
LANES: tuple[Lane, ...] = ("wait", "active", "delayed", "failed", "completed")
GIDS = ("company:acme", "g2")


@dataclass
class Job:
    """What the ledger knows of a job."""

    job_id: str
    gid: str
    max_attempts: int
    timeout_ms: int
    backoff_ms: int
    lane: Lane
    attempt: int = 0
    due: int = 0
    lock: int = 0
    token: str = ""


@dataclass
class Ledger:
    """All jobs, in the order in which they entered their lanes, and what follows from that."""

    jobs: dict[str, Job] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    paused: bool = False
    grouped_first: bool = True

    def enter(self, job: Job, lane: Lane, *, front: bool = False) -> None:
        """Move a job into a lane, at its end or its front."""
        job.lane = lane
        self.jobs.pop(job.job_id, None)
        self.jobs = {job.job_id: job} | self.jobs if front else self.jobs | {job.job_id: job}

    def in_lane(self, lane: Lane) -> list[Job]:
        """Return the jobs of a lane in the order in which they came."""
        return [job for job in self.jobs.values() if job.lane == lane]

    def waiting(self, gid: str) -> list[Job]:
        """Return the waiting jobs of a group, or without one ("")."""
        return [job for job in self.in_lane("wait") if job.gid == gid]

    def has_room(self, gid: str) -> bool:
        """Tell whether the group has a free place."""
        return sum(job.gid == gid for job in self.in_lane("active")) < self.limits.get(gid, 1)

    def candidates(self) -> list[Job]:
        """Return the jobs of which the next reserve must lease one: heads of lines, grouped and ungrouped in turn."""
        if self.paused:
            return []
        grouped = [self.waiting(gid)[0] for gid in GIDS if self.waiting(gid) and self.has_room(gid)]
        ungrouped = self.waiting("")[:1]
        return (grouped or ungrouped) if self.grouped_first else (ungrouped or grouped)

    def due(self, now: int) -> list[Job]:
        """Return the delayed jobs that are due."""
        return sorted((job for job in self.in_lane("delayed") if job.due <= now), key=lambda job: (job.due, job.job_id))

    def expired(self, now: int) -> list[Job]:
        """Return the leased jobs whose lease has run out."""
        return [job for job in self.in_lane("active") if job.lock <= now]


def audit(client: redis.Redis, ledger: Ledger) -> None:
    """Hold the keyspace of queue `q` against the ledger, and its parts against each other."""
    found = _read(client, ledger)
    lanes: dict[Lane, list[str]] = {
        "wait": [*found["{q}:wait"], *(job_id for gid in GIDS for job_id in found[f"{{q}}:g:{gid}:wait"])],
        "active": found["{q}:active"], "delayed": found["{q}:delayed"], "failed": found["{q}:failed"], "completed": found["{q}:completed"],
    }  # fmt: skip
    places = Counter(job_id for lane in lanes.values() for job_id in lane)
    assert places == Counter(list(ledger.jobs)), "every job is in one place, and nothing else is"
    for lane in LANES:
        assert sorted(lanes[lane]) == sorted(job.job_id for job in ledger.in_lane(lane)), f"lane {lane}"
        assert sorted(found[f"{{q}}:idx:{lane}"]) == sorted(lanes[lane]), f"idx:{lane} lists the lane"
    for job in ledger.jobs.values():
        state, attempt, token, gid = found[f"{{q}}:job:{job.job_id}"]
        assert (state, attempt, token or "", gid or "") == (job.lane, str(job.attempt), job.token, job.gid)
    for gid in ("", *GIDS):
        line = found[f"{{q}}:g:{gid}:wait"] if gid else found["{q}:wait"]
        assert line == [job.job_id for job in ledger.waiting(gid)], f"the line of group {gid!r} is in order"
    for gid in GIDS:
        assert int(found[f"{{q}}:g:{gid}:inflight"] or 0) == sum(job.gid == gid for job in ledger.in_lane("active")), f"leases of {gid}"
    ready = {gid for gid in GIDS if ledger.waiting(gid) and ledger.has_room(gid)}
    assert set(found["{q}:groups:ready"]) == ready, "a group with work and room is in line, no other is"
    assert bool(found["{q}:paused"]) == ledger.paused


def _read(client: redis.Redis, ledger: Ledger) -> dict[str, Any]:
    with client.pipeline(transaction=False) as pipeline:
        names: list[str] = []

        def ask(name: str, command: str, *arguments: Any) -> None:
            names.append(name)
            pipeline.execute_command(command, name, *arguments)  # type: ignore[no-untyped-call]

        for name in ("wait", "failed", "completed", *(f"g:{gid}:wait" for gid in GIDS)):
            ask(f"{{q}}:{name}", "LRANGE", 0, -1)
        for name in ("active", "delayed", "groups:ready", *(f"idx:{lane}" for lane in LANES)):
            ask(f"{{q}}:{name}", "ZRANGE", 0, -1)
        for name in ("paused", *(f"g:{gid}:inflight" for gid in GIDS)):
            ask(f"{{q}}:{name}", "GET")
        for job_id in ledger.jobs:
            ask(f"{{q}}:job:{job_id}", "HMGET", "state", "attempt", "lease_token", "gid")
        return dict(zip(names, pipeline.execute(), strict=True))
