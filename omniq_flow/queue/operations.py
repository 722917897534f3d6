"""The operations on queues and completion counters, as values; all input is checked here, before anything is sent.

`now_ms` 0 means the server's own clock. `call` lets the scripts recognise an operation that is sent twice; see `omniq_flow.queue.calls`.
Errors named in a docstring are raised when the operation runs; wrong input (InvalidName, InvalidId, OutOfRange, UnknownLane,
BatchTooLarge) is raised at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypedDict

from omniq_flow.errors import BatchTooLarge, InputError, InvalidId, OutOfRange, TokenRequired, UnknownLane
from omniq_flow.queue import replies
from omniq_flow.queue.calls import Call
from omniq_flow.queue.keys import completion_anchor, queue_anchor
from omniq_flow.queue.operation import Argument, Operation
from omniq_flow.queue.results import AckFail, BatchItem, ReserveJob, ReservePaused
from omniq_flow.queue.scripts import script
from omniq_flow.wire.names import check_id, check_number, shown

MAX_ITEMS: Final = 1000
MAX_BATCH: Final = 100
MAX_TIME_MS: Final = 10**14
MAX_TIMEOUT_MS: Final = 7 * 24 * 3600 * 1000
MAX_DELAY_MS: Final = 366 * 24 * 3600 * 1000
MAX_ATTEMPTS: Final = 10**9
MAX_GROUP_LIMIT: Final = 10**6
MAX_CHILDREN: Final = 10**9
MAX_ERROR: Final = 4096
REMOVABLE_LANES: Final = ("wait", "gwait", "delayed", "failed", "completed")
KEEP_SETTLED_MS: Final = 24 * 3600 * 1000


class PublishOptions(TypedDict, total=False):
    """What may be said of a job: attempts in all (default 3), lease (30,000 ms), pause after a failure (5,000 ms), when, which group."""

    max_attempts: int
    timeout_ms: int
    backoff_ms: int
    due_ms: int
    gid: str | None
    group_limit: int
    now_ms_override: int


def enqueue(
    queue: str,
    job_id: str,
    payload: bytes,
    *,
    call: Call,
    max_attempts: int = 3,
    timeout_ms: int = 30_000,
    backoff_ms: int = 5_000,
    due_ms: int = 0,
    gid: str | None = None,
    group_limit: int = 0,
    now_ms_override: int = 0,
) -> Operation[str]:
    """Put a job into its ready lane, or into the delayed lane when due_ms lies ahead; returns its id. A live id is left alone."""
    limit = check_number(group_limit, "group_limit", 0, MAX_GROUP_LIMIT)
    if limit and gid is None:
        raise OutOfRange(f"group_limit={limit} limits nothing without a group: give gid= too, or leave group_limit out")
    args = (
        check_id(job_id),
        payload,
        check_number(max_attempts, "max_attempts", 1, MAX_ATTEMPTS),
        check_number(timeout_ms, "timeout_ms", 1, MAX_TIMEOUT_MS),
        check_number(backoff_ms, "backoff_ms", 0, MAX_DELAY_MS),
        _now(now_ms_override),
        check_number(due_ms, "due_ms", 0, MAX_TIME_MS),
        "" if gid is None else check_id(gid, "gid"),
        limit,
        *call,
    )
    return Operation(script("enqueue"), queue_anchor(queue), args, replies.checked(_job(queue, job_id), replies.second))


def reserve(queue: str, *, call: Call, now_ms: int = 0) -> Operation[ReserveJob | ReservePaused | None]:
    """Lease the next ready job, or None when there is none; sent again, it returns the same lease while that is held."""
    return Operation(script("reserve"), queue_anchor(queue), (_now(now_ms), 1, 0, *call), replies.reserved_one)


def reserve_many(queue: str, count: int, *, call: Call, lease_ms: int = 0, now_ms: int = 0) -> Operation[list[ReserveJob] | ReservePaused]:
    """Lease up to `count` ready jobs (1 to 1,000); lease_ms above 0 replaces each job's own timeout for this lease."""
    args = (_now(now_ms), check_number(count, "count", 1, MAX_ITEMS), _lease(lease_ms), *call)
    return Operation(script("reserve"), queue_anchor(queue), args, replies.reserved)


def heartbeat(queue: str, job_id: str, lease_token: str, *, lease_ms: int = 0, now_ms: int = 0) -> Operation[int]:
    """Extend a lease to now + its timeout (or lease_ms); returns its new end. Raises JobNotActive, TokenMismatch, TokenRequired."""
    args = (check_id(job_id), _now(now_ms), _token(lease_token, queue, job_id), _lease(lease_ms))
    return Operation(script("heartbeat"), queue_anchor(queue), args, replies.checked(_job(queue, job_id), replies.number))


def heartbeat_many(queue: str, leases: Iterable[tuple[str, str]], *, lease_ms: int = 0, now_ms: int = 0) -> Operation[list[str]]:
    """Extend up to 1,000 leases (job id, lease token); returns the ids whose lease is lost."""
    try:
        given = [(job_id, token) for job_id, token in leases]
    except (TypeError, ValueError):
        raise InputError(f"leases must be pairs of job id and lease token, not {shown(leases)}") from None
    pairs = [(check_id(job_id), _token(token, queue, job_id)) for job_id, token in given]
    if len(pairs) > MAX_ITEMS:
        raise BatchTooLarge(f"{len(pairs)} leases in one call; at most {MAX_ITEMS} are allowed, send the rest in another one")
    flat: list[Argument] = [part for pair in pairs for part in pair]
    args = (_now(now_ms), _lease(lease_ms), *flat)
    return Operation(script("renew"), queue_anchor(queue), args, replies.lost)


def ack_success(queue: str, job_id: str, lease_token: str, *, now_ms: int = 0) -> Operation[None]:
    """Finish a leased job as done. Raises JobNotActive, TokenMismatch, TokenRequired."""
    args = (check_id(job_id), _now(now_ms), _token(lease_token, queue, job_id))
    return Operation(script("ack_success"), queue_anchor(queue), args, replies.checked(_job(queue, job_id), replies.done))


def ack_fail(queue: str, job_id: str, lease_token: str, *, error: str | None = None, now_ms: int = 0) -> Operation[AckFail]:
    """Finish a leased job's attempt as failed. Raises JobNotActive, TokenMismatch, TokenRequired."""
    if error is not None and not isinstance(error, str):
        raise InputError(f"error must be a str or None, not {type(error).__name__}: {shown(error)}; give str(error)")
    told = (error or "")[:MAX_ERROR].encode("utf-8", "replace")
    args = (check_id(job_id), _now(now_ms), _token(lease_token, queue, job_id), told)
    return Operation(script("ack_fail"), queue_anchor(queue), args, replies.checked(_job(queue, job_id), replies.ack_fail))


def release(queue: str, job_id: str, lease_token: str, *, delay_ms: int = 0, now_ms: int = 0) -> Operation[None]:
    """Give a leased job back, its attempt not counted. Raises JobNotActive, TokenMismatch, TokenRequired."""
    delay = check_number(delay_ms, "delay_ms", 0, MAX_DELAY_MS)
    args = (check_id(job_id), _now(now_ms), _token(lease_token, queue, job_id), delay)
    return Operation(script("release"), queue_anchor(queue), args, replies.checked(_job(queue, job_id), replies.done))


def promote_delayed(queue: str, *, call: Call, max_promote: int = MAX_ITEMS, now_ms: int = 0) -> Operation[int]:
    """Move up to `max_promote` delayed jobs that are due into their ready lanes; returns how many."""
    args = (_now(now_ms), check_number(max_promote, "max_promote", 1, MAX_ITEMS), *call)
    return Operation(script("promote_delayed"), queue_anchor(queue), args, replies.number)


def reap_expired(queue: str, *, call: Call, max_reap: int = MAX_ITEMS, now_ms: int = 0) -> Operation[int]:
    """End up to `max_reap` leases that ran out; returns how many."""
    args = (_now(now_ms), check_number(max_reap, "max_reap", 1, MAX_ITEMS), *call)
    return Operation(script("reap_expired"), queue_anchor(queue), args, replies.number)


def pause(queue: str) -> Operation[str]:
    """Let nothing more be reserved from a queue."""
    return Operation(script("pause"), queue_anchor(queue), (), lambda _reply: "OK")


def resume(queue: str) -> Operation[int]:
    """Let a paused queue go on; returns 1, or 0 when it was not paused."""
    return Operation(script("resume"), queue_anchor(queue), (), replies.number)


def next_due(queue: str, *, now_ms: int = 0) -> Operation[int]:
    """Tell in how many milliseconds the earliest delayed job is due: 0 when it is, -1 when there is none."""
    return Operation(script("next_due"), queue_anchor(queue), (_now(now_ms),), int)


def is_paused(queue: str) -> Operation[bool]:
    """Tell whether a queue is paused."""
    return Operation(script("is_paused"), queue_anchor(queue), (), lambda reply: bool(replies.number(reply)))


def retry_failed(queue: str, job_id: str, *, call: Call, now_ms: int = 0) -> Operation[None]:
    """Put a failed job back into its ready lane with all its attempts. Raises JobNotFound, JobNotFailed."""
    args = (check_id(job_id), _now(now_ms), *call)
    return Operation(script("retry_failed"), queue_anchor(queue), args, replies.checked(_job(queue, job_id), replies.done))


def retry_failed_batch(queue: str, job_ids: Sequence[str], *, call: Call, now_ms: int = 0) -> Operation[list[BatchItem]]:
    """Put up to 100 failed jobs back, each as retry_failed does; the result says what became of each."""
    args: tuple[Argument, ...] = (_now(now_ms), *call, *_ids(job_ids))
    return Operation(script("retry_failed_batch"), queue_anchor(queue), args, replies.batch(f"queue {queue}"))


def remove_job(queue: str, job_id: str, lane: str, *, call: Call, now_ms: int = 0) -> Operation[None]:
    """Delete a job from the lane it is in. Raises JobNotFound, JobActive, LaneMismatch, NotInLane."""
    args = (check_id(job_id), _lane(lane), _now(now_ms), *call)
    return Operation(script("remove_job"), queue_anchor(queue), args, replies.checked(_job(queue, job_id), replies.done))


def remove_jobs_batch(queue: str, lane: str, job_ids: Sequence[str], *, call: Call, now_ms: int = 0) -> Operation[list[BatchItem]]:
    """Delete up to 100 jobs from one lane, each as remove_job does; the result says what became of each."""
    args: tuple[Argument, ...] = (_lane(lane), _now(now_ms), *call, *_ids(job_ids))
    return Operation(script("remove_jobs_batch"), queue_anchor(queue), args, replies.batch(f"queue {queue}"))


def child_init(key: str, expected: int, *, owner: str) -> Operation[None]:
    """Open a completion key for `expected` children; the same owner may repeat it. Raises CounterExists."""
    args = (check_number(expected, "expected", 1, MAX_CHILDREN), check_id(owner, "owner"))
    return Operation(script("child_init"), completion_anchor(key), args, replies.checked(f"completion key {key}", replies.done))


def child_ack(key: str, child_id: str, *, keep_ms: int = KEEP_SETTLED_MS) -> Operation[int]:
    """Take a child off: above 0 while open, 0 for the child that settled it, -1 when another did. Raises CounterNotFound."""
    args = (check_id(child_id, "child id"), check_number(keep_ms, "keep_ms", 1, MAX_DELAY_MS))
    return Operation(script("child_ack"), completion_anchor(key), args, replies.checked(f"completion key {key}", replies.remaining))


def _job(queue: str, job_id: str) -> str:
    return f"job {job_id} of queue {queue}"


def _now(now_ms: int) -> int:
    return check_number(now_ms, "now_ms_override", 0, MAX_TIME_MS)


def _lease(lease_ms: int) -> int:
    return check_number(lease_ms, "lease_ms", 0, MAX_TIMEOUT_MS)


def _token(token: object, queue: str, job_id: str) -> bytes:
    if not (isinstance(token, str) and token):
        raise TokenRequired(f"{_job(queue, job_id)}: the lease token is missing; give the one that reserve returned")
    return token.encode("utf-8", "replace")


def _lane(lane: str) -> str:
    if lane in REMOVABLE_LANES:
        return lane
    raise UnknownLane(f"{shown(lane)} is no lane that jobs can be removed from: use {', '.join(REMOVABLE_LANES)}")


def _ids(job_ids: Sequence[str]) -> list[str]:
    if isinstance(job_ids, str | bytes) or not isinstance(job_ids, Iterable):
        raise InvalidId(f"job_ids must be a list of job ids, not {type(job_ids).__name__}: {shown(job_ids)}")
    ids = [check_id(job_id) for job_id in job_ids]
    if len(ids) > MAX_BATCH:
        raise BatchTooLarge(f"{len(ids)} jobs in one batch; at most {MAX_BATCH} are allowed, send the rest in another one")
    return ids
