"""The read-only operations of a monitor, as values. They work on queues of any make and on a server whose memory is full."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, get_args

from omniq_flow.errors import BatchTooLarge, InvalidId, UnknownLane
from omniq_flow.queue.keys import queue_anchor
from omniq_flow.queue.operation import Argument, Operation
from omniq_flow.queue.operations import MAX_ITEMS
from omniq_flow.queue.replies import text
from omniq_flow.queue.scripts import script
from omniq_flow.queue.views import GroupReady, GroupStatus, JobInfo, Lane, LaneJob, QueueOverview, QueueStats
from omniq_flow.wire.names import check_number, shown

LANES: Final[tuple[Lane, ...]] = get_args(Lane)
MAX_OFFSET: Final = 10**12
ANYWHERE: Final = "{}:meta"
_QUEUE_KEY = re.compile(r"\{([A-Za-z0-9._-]{1,128})\}:(?:stats|paused|wait)")
_TEXTS = frozenset({"state", "gid", "lease_token", "payload", "last_error"})
_JOB_FIELDS = tuple(name for name in JobInfo.__dataclass_fields__ if name != "job_id")
_ROW_FIELDS = tuple(name for name in LaneJob.__dataclass_fields__ if name not in {"lane", "job_id", "idx_score_ms"})


def queues_from(cursor: int = 0, anchor: str = ANYWHERE) -> Operation[tuple[int, set[str]]]:
    """Look at the next thousand keys of the server that has `anchor`; returns the next cursor (0 at the end) and the queues found."""

    def read(reply: Sequence[Any]) -> tuple[int, set[str]]:
        found = (_QUEUE_KEY.fullmatch(text(key)) for key in reply[1])
        return int(reply[0]), {match[1] for match in found if match}

    return Operation(script("monitor_queues"), anchor, (cursor,), read)


def stats(queue: str) -> Operation[QueueStats]:
    """Count what a queue holds; a queue that nobody has written to holds nothing."""

    def read(reply: Sequence[Any]) -> QueueStats:
        paused, ungrouped, total, *lanes = (_number(raw) for raw in reply[:8])
        return QueueStats(queue, bool(paused), ungrouped, max(0, total - ungrouped), total, *lanes, *(_number(raw) for raw in reply[8]))

    return Operation(script("monitor_stats"), queue_anchor(queue), (), read)


def lane_page(queue: str, lane: Lane, *, offset: int = 0, limit: int = 25, reverse: bool = False) -> Operation[list[LaneJob]]:
    """Read a page of a lane in the order in which jobs entered it, or the other way round."""
    args = (_lane(lane), _offset(offset), _limit(limit), int(reverse))
    return Operation(script("monitor_lane"), queue_anchor(queue), args, lambda reply: [_row(lane, row) for row in reply])


def find_jobs(queue: str, lane: Lane, job_ids: Sequence[str]) -> Operation[list[LaneJob]]:
    """Look for up to 1,000 jobs in a lane; those that it does not hold are left out."""
    args: tuple[Argument, ...] = (_lane(lane), *_ids(job_ids, "job id"))
    return Operation(script("monitor_find"), queue_anchor(queue), args, lambda reply: [_row(lane, row) for row in reply])


def job(queue: str, job_id: str) -> Operation[JobInfo | None]:
    """Read all that is known of a job, or None when there is none."""

    def read(reply: Sequence[bytes]) -> JobInfo | None:
        fields = {text(name): value for name, value in zip(reply[::2], reply[1::2], strict=True)}
        return JobInfo(job_id, *(_value(name, fields.get(name)) for name in _JOB_FIELDS)) if fields else None

    return Operation(script("monitor_job"), queue_anchor(queue), (_id(job_id, "job id"),), read)


def groups_ready(queue: str, *, offset: int = 0, limit: int = 200) -> Operation[list[GroupReady]]:
    """Read a page of the groups that are in line for a lease, the next one first."""

    def read(reply: Sequence[bytes]) -> list[GroupReady]:
        return [GroupReady(text(gid), float(score)) for gid, score in zip(reply[::2], reply[1::2], strict=True)]

    return Operation(script("monitor_ready"), queue_anchor(queue), (_offset(offset), _limit(limit)), read)


def group_status(queue: str, gids: Sequence[str]) -> Operation[list[GroupStatus]]:
    """Read how up to 1,000 groups stand; a group that nobody has written to has no leases, nothing waiting and a limit of 1."""
    names = _ids(gids, "gid")

    def read(reply: Sequence[Sequence[bytes]]) -> list[GroupStatus]:
        return [
            GroupStatus(gid, _number(leases), _number(limit), ready == b"1", _number(waiting))
            for gid, (leases, limit, ready, waiting) in zip(names, reply, strict=True)
        ]

    return Operation(script("monitor_groups"), queue_anchor(queue), tuple(names), read)


def overview(queue: str, samples: int) -> list[Operation[Any]]:
    """Return the operations whose results make up a QueueOverview, in the order of its fields."""
    pages = [lane_page(queue, lane, limit=samples, reverse=lane in {"failed", "completed"}) for lane in LANES]
    return [stats(queue), groups_ready(queue, limit=samples), *pages]


def as_overview(results: Sequence[Any]) -> QueueOverview:
    """Put the results of the operations of `overview` together."""
    return QueueOverview(*results)


def _row(lane: Lane, row: Sequence[Any]) -> LaneJob:
    job_id, score, values = row
    return LaneJob(lane, text(job_id), int(float(score)), *(_value(name, raw) for name, raw in zip(_ROW_FIELDS, values, strict=True)))


def _value(name: str, raw: bytes | None) -> Any:
    if name in _TEXTS:
        return text(raw or b"")
    return _number(raw)


def _number(raw: bytes | None) -> int:
    """Read a number; what another client has left empty, or written differently, counts as none."""
    try:
        return int(raw or 0)
    except ValueError:
        return 0


def _lane(lane: Lane) -> Lane:
    if lane in LANES:
        return lane
    raise UnknownLane(f"{shown(lane)} is no lane: use {', '.join(LANES)}")


def _offset(offset: int) -> int:
    return check_number(offset, "offset", 0, MAX_OFFSET)


def _limit(limit: int) -> int:
    return check_number(limit, "limit", 1, MAX_ITEMS)


def _id(value: object, what: str) -> str:
    """Check an id less strictly than where jobs are published: what others have published must be found."""
    if isinstance(value, str) and value and value.encode(errors="ignore").decode() == value:
        return value
    raise InvalidId(f"{shown(value)} is no {what}: give a text that is not empty")


def _ids(ids: Sequence[str], what: str) -> list[str]:
    if isinstance(ids, str | bytes):
        raise InvalidId(f"a list of {what}s is asked for, not {type(ids).__name__}: {shown(ids)}")
    names = [_id(name, what) for name in ids]
    if len(names) > MAX_ITEMS:
        raise BatchTooLarge(f"{len(names)} {what}s in one call; at most {MAX_ITEMS} are allowed, ask for the rest in another one")
    return names
