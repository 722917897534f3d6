"""What the operations on queues return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple


@dataclass(frozen=True, slots=True)
class ReserveJob:
    """A leased job. `payload` is its JSON text; gid is "" when the job has no group; times are milliseconds since the epoch."""

    job_id: str
    payload: str
    lock_until_ms: int
    attempt: int
    max_attempts: int
    gid: str
    lease_token: str
    timeout_ms: int
    status: Literal["JOB"] = "JOB"


@dataclass(frozen=True, slots=True)
class ReservePaused:
    """The queue is paused: nothing was reserved."""

    status: Literal["PAUSED"] = "PAUSED"


class AckFail(NamedTuple):
    """What became of a job whose attempt failed: ("RETRY", when it is due again) or ("FAILED", None)."""

    status: Literal["RETRY", "FAILED"]
    due_ms: int | None


class BatchItem(NamedTuple):
    """What became of one job of a batch: (job_id, "OK", None) or (job_id, "ERR", code)."""

    job_id: str
    status: Literal["OK", "ERR"]
    reason: str | None
