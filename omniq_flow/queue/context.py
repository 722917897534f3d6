"""What a handler is given: the job, and what it may do."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from omniq_flow.queue.execution import AsyncExecution, Execution
from omniq_flow.queue.results import ReserveJob

E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class _Context(Generic[E]):
    queue: str
    job_id: str
    payload_raw: str
    payload: Any
    attempt: int
    max_attempts: int
    lock_until_ms: int
    lease_token: str = field(repr=False)
    gid: str
    exec: E = field(repr=False)


class JobContext(_Context[Execution]):
    """A leased job and `exec`, through which its handler acts on queues.

    `payload` is the decoded JSON, or the text itself when a client of another make published something else; `payload_raw` is the text.
    `attempt` counts from 1 to `max_attempts`, gid is "" when the job has no group, `lock_until_ms` is when the lease would have run out
    as it was given: it is extended while the handler runs.
    """

    __slots__ = ()


class AsyncJobContext(_Context[AsyncExecution]):
    """What an async handler is given: a JobContext whose `exec` is to be awaited."""

    __slots__ = ()


def context(queue: str, job: ReserveJob, execution: Execution) -> JobContext:
    """Return what the handler of a job is given."""
    return JobContext(*_facts(queue, job), execution)


def async_context(queue: str, job: ReserveJob, execution: AsyncExecution) -> AsyncJobContext:
    """Return what the async handler of a job is given."""
    return AsyncJobContext(*_facts(queue, job), execution)


def _facts(queue: str, job: ReserveJob) -> tuple[str, str, str, Any, int, int, int, str, str]:
    payload = _decoded(job.payload)
    return queue, job.job_id, job.payload, payload, job.attempt, job.max_attempts, job.lock_until_ms, job.lease_token, job.gid


def _decoded(payload: str) -> Any:
    """Decode leniently: what other clients let through (NaN, huge integers) must not keep their jobs from being handled."""
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return payload
