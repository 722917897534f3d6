"""Raw replies of the queue's scripts, turned into results or into the errors that they stand for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from omniq_flow.errors import OmniqError, QueueError
from omniq_flow.queue.results import AckFail, BatchItem, ReserveJob, ReservePaused

T = TypeVar("T")

_ERRORS: dict[str, type[QueueError]] = {error.code: error for error in QueueError.__subclasses__()}

_ADVICE = {
    "NO_JOB": "there is no such job: it was removed, or it was completed and is no longer kept",
    "ACTIVE": "the job is leased by a worker: wait for it to finish, or for its lease to run out",
    "NOT_ACTIVE": "no lease is held on the job: it was finished, its lease ran out, or it was never reserved; drop it",
    "NOT_FAILED": "only a failed job can be retried, and this one is in another lane",
    "LANE_MISMATCH": "the job is in another lane than the one named; look it up, or name the lane that it is in",
    "NOT_IN_LANE": "the lane does not hold the job (a grouped job waits in gwait, an ungrouped one in wait)",
    "TOKEN_MISMATCH": "the lease passed to another worker after this one ran out: drop the job",
    "ALREADY_INIT": "the key is open under another owner or with another count: use one completion key per parent job",
    "NO_COUNTER": "no counter is open under this key and none was settled lately: call child_init before the children start",
}
_SUPERSEDED = "the same caller has made a later call meanwhile: nothing was done"


def refusal(code: str, subject: str) -> OmniqError:
    """Return the error that a script's code stands for; `subject` says what the call was about."""
    return _ERRORS.get(code, QueueError)(f"{subject}: {_ADVICE.get(code, code)}")


def checked(subject: str, decode: Callable[[Sequence[bytes]], T]) -> Callable[[Any], T]:
    """Return a decoder that raises what {"ERR", code} stands for and hands all other replies to `decode`."""

    def read(reply: Sequence[bytes]) -> T:
        word = reply[0] if reply else b""
        if word == b"ERR":
            raise refusal(reply[1].decode(), subject)
        if word == b"STALE":
            raise QueueError(f"{subject}: {_SUPERSEDED}")
        return decode(reply)

    return read


def text(raw: bytes) -> str:
    """Return what a client wrote as text; a foreign one may have written bytes that are no UTF-8, which must not stop a queue."""
    return raw.decode("utf-8", "replace")


def second(reply: Sequence[bytes]) -> str:
    """Read {word, text}."""
    return text(reply[1])


def done(_reply: object) -> None:
    """Read a reply that says no more than that it was done."""


def number(reply: Sequence[bytes]) -> int:
    """Read {"OK", n}; a claimant that has moved on gets 0."""
    return int(reply[1]) if reply[0] == b"OK" else 0


def reserved(reply: Sequence[Any]) -> list[ReserveJob] | ReservePaused:
    """Read the reply of reserve; EMPTY and STALE claim nothing."""
    if reply[0] == b"PAUSED":
        return ReservePaused()
    return [_job(job) for job in reply[1:]]


def reserved_one(reply: Sequence[Any]) -> ReserveJob | ReservePaused | None:
    """Read the reply of a reserve that asked for one job."""
    found = reserved(reply)
    if isinstance(found, ReservePaused):
        return found
    return found[0] if found else None


def ack_fail(reply: Sequence[bytes]) -> AckFail:
    """Read {"RETRY", due_ms} or {"FAILED"}."""
    return AckFail("RETRY", int(reply[1])) if reply[0] == b"RETRY" else AckFail("FAILED", None)


def batch(subject: str) -> Callable[[Sequence[bytes]], list[BatchItem]]:
    """Return a decoder of a flat list of id, OK or ERR, code, and of a refusal, which has one word or two: an id may be ERR as well."""
    refusable = checked(subject, _items)
    return lambda reply: refusable(reply) if len(reply) % 3 else _items(reply)


def lost(reply: Sequence[bytes]) -> list[str]:
    """Read {"OK", id...}."""
    return [text(job_id) for job_id in reply[1:]]


def remaining(reply: Sequence[bytes]) -> int:
    """Read the reply of child_ack: above 0 while open, 0 for the child that settled the counter, -1 when another one did."""
    match reply[0]:
        case b"LAST":
            return 0
        case b"SETTLED":
            return -1
        case _:
            return int(reply[1])


def _job(raw: Sequence[Any]) -> ReserveJob:
    job_id, payload, lock, attempt, max_attempts, gid, token, timeout_ms = raw
    return ReserveJob(text(job_id), text(payload), lock, attempt, max_attempts, text(gid), text(token), timeout_ms)


def _items(reply: Sequence[bytes]) -> list[BatchItem]:
    words = [text(word) for word in reply]
    return [
        BatchItem(job_id, "OK" if status == "OK" else "ERR", reason or None)
        for job_id, status, reason in zip(words[::3], words[1::3], words[2::3], strict=True)
    ]
