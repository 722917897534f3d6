"""What a monitor shows. Times are milliseconds since the epoch, 0 where something has not happened; texts are "" where there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Lane: TypeAlias = Literal["wait", "active", "delayed", "failed", "completed"]


@dataclass(frozen=True, slots=True)
class QueueStats:
    """How many jobs are in each lane of a queue, and when something last happened.

    `waiting` counts ungrouped jobs, `group_waiting` those in groups, `waiting_total` both; `completed_kept` is at most 100. The numbers are
    counted from the lanes at this moment; the times are those that clients have noted.
    """

    queue: str
    paused: bool
    waiting: int
    group_waiting: int
    waiting_total: int
    active: int
    delayed: int
    failed: int
    completed_kept: int
    groups_ready: int
    last_activity_ms: int
    last_enqueue_ms: int
    last_reserve_ms: int
    last_finish_ms: int


@dataclass(frozen=True, slots=True)
class LaneJob:
    """A job in a lane, which it entered at `idx_score_ms`. `state` is "" when the lane still lists a job that is gone."""

    lane: Lane
    job_id: str
    idx_score_ms: int
    state: str
    gid: str
    attempt: int
    max_attempts: int
    due_ms: int
    lock_until_ms: int
    queued_ms: int
    first_started_ms: int
    last_started_ms: int
    completed_ms: int
    failed_ms: int
    updated_ms: int
    last_error: str


@dataclass(frozen=True, slots=True)
class JobInfo:
    """All that is known of a job; `payload` is its JSON text."""

    job_id: str
    state: str
    gid: str
    attempt: int
    max_attempts: int
    timeout_ms: int
    backoff_ms: int
    lease_token: str
    lock_until_ms: int
    due_ms: int
    payload: str
    last_error: str
    last_error_ms: int
    created_ms: int
    updated_ms: int
    queued_ms: int
    first_started_ms: int
    last_started_ms: int
    completed_ms: int
    failed_ms: int


@dataclass(frozen=True, slots=True)
class GroupReady:
    """A group that has a waiting job and a free place; the lowest `score` is served next, clients of this make write milliseconds."""

    gid: str
    score: float


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """How a group stands: `inflight` leases of at most `limit`, `waiting_count` jobs in line, and whether it is in line for a lease."""

    gid: str
    inflight: int
    limit: int
    ready: bool
    waiting_count: int


@dataclass(frozen=True, slots=True)
class QueueOverview:
    """A queue at a glance: its stats, and some jobs of each lane: those that came first, of `failed` and `completed` the last ones."""

    stats: QueueStats
    ready_groups: list[GroupReady]
    wait: list[LaneJob]
    active: list[LaneJob]
    delayed: list[LaneJob]
    failed: list[LaneJob]
    completed: list[LaneJob]
