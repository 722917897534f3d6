"""What is known of a queue's jobs, groups and counters, each at one instant of the queue's slot.

A queue may hold millions of jobs, so it is looked at job by job, group by group, and once for its counters: each of these facts comes from
one script call, and so each rule about them is exact.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple, get_args

from omniq_flow.doctor.snapshot import Snapshot, hash_at, list_at, number_at, whole
from omniq_flow.queue.keys import queue_base
from omniq_flow.queue.views import Lane

LANES: Final[tuple[Lane, ...]] = get_args(Lane)
STATS: Final[tuple[str, ...]] = (
    "waiting",
    "group_waiting",
    "waiting_total",
    "active",
    "delayed",
    "failed",
    "completed_kept",
    "groups_ready",
)


class Spot(NamedTuple):
    """A place where a job's id stands: a lane, and for `wait` the group whose line it is ("" for the ungrouped one)."""

    lane: str
    gid: str = ""

    def __str__(self) -> str:
        return f"{self.lane} of group {self.gid}" if self.gid else self.lane


@dataclass(frozen=True, slots=True)
class JobFacts:
    """One job: its hash (``state`` None when that is gone), every spot where its id stands, and the indexes that list it."""

    queue: str
    id: str
    state: str | None
    gid: str
    token: str
    spots: tuple[Spot, ...]
    indexes: frozenset[str]


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """One group: the leases that it counts and those that it has, its limit, how many jobs wait, and whether it is in line.

    ``held`` is None where there were too many leases to count them in one call.
    """

    queue: str
    gid: str
    counted: int
    held: int | None
    limit: int
    waiting: int
    in_line: bool


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """One queue's counters: what its stats state (None without any) and what the lanes hold, and whether it is marked as having groups."""

    queue: str
    stats: Mapping[str, str] | None
    counted: Mapping[str, int]
    marked: bool
    grouped: bool


def queues_in(keys: Snapshot) -> list[str]:
    """Return the names of the queues of which a snapshot tells."""
    found = {key[1 : key.index("}")] for key in keys if key.startswith("{") and "}" in key}
    return sorted(name for name in found if ":" not in name and name not in {"", "janitor"})


def jobs_in(keys: Snapshot, queue: str) -> Iterator[JobFacts]:
    """Yield every job of a queue that has a hash, or stands anywhere."""
    base = queue_base(queue)
    spots: dict[str, list[Spot]] = defaultdict(list)
    for lane in LANES:
        for job in _members(keys, f"{base}:{lane}"):
            spots[job].append(Spot(lane))
    for gid in _gids(keys, base):
        for job in list_at(keys, f"{base}:g:{gid}:wait"):
            spots[job].append(Spot("wait", gid))
    indexes: dict[str, set[str]] = defaultdict(set)
    for lane in LANES:
        for job in hash_at(keys, f"{base}:idx:{lane}"):
            indexes[job].add(lane)
    hashed = {key.removeprefix(f"{base}:job:") for key in keys if key.startswith(f"{base}:job:")}
    for job in sorted(hashed | spots.keys() | indexes.keys()):
        fields = hash_at(keys, f"{base}:job:{job}")
        state = fields.get("state", "") if job in hashed else None
        token, gid = fields.get("lease_token", ""), fields.get("gid", "")
        yield JobFacts(queue, job, state, gid, token, tuple(spots[job]), frozenset(indexes[job]))


def groups_in(keys: Snapshot, queue: str) -> Iterator[GroupFacts]:
    """Yield every group of a queue."""
    base = queue_base(queue)
    held = Counter(hash_at(keys, f"{base}:job:{job}").get("gid", "") for job in hash_at(keys, f"{base}:active"))
    in_line = hash_at(keys, f"{base}:groups:ready")
    for gid in sorted(_gids(keys, base) | set(in_line) | (set(held) - {""})):
        group = f"{base}:g:{gid}"
        counted, limit = number_at(keys, f"{group}:inflight") or 0, number_at(keys, f"{group}:limit") or 1
        yield GroupFacts(queue, gid, counted, held[gid], max(1, limit), len(list_at(keys, f"{group}:wait")), gid in in_line)


def queue_in(keys: Snapshot, queue: str) -> QueueFacts:
    """Return the counters of a queue."""
    base = queue_base(queue)
    gids = _gids(keys, base)
    ungrouped = len(list_at(keys, f"{base}:wait"))
    grouped = sum(len(list_at(keys, f"{base}:g:{gid}:wait")) for gid in gids)
    lanes = [len(_members(keys, f"{base}:{lane}")) for lane in ("active", "delayed", "failed", "completed", "groups:ready")]
    stats = keys.get(f"{base}:stats")
    return QueueFacts(
        queue,
        stats if isinstance(stats, dict) else None,
        dict(zip(STATS, (ungrouped, grouped, ungrouped + grouped, *lanes), strict=True)),
        f"{base}:has_groups" in keys,
        bool(gids),
    )


def stated(facts: QueueFacts, name: str) -> int | None:
    """Return what the stats state; a field that was never written states 0, one that is no number nothing."""
    return whole((facts.stats or {}).get(name, "0"))


def _members(keys: Snapshot, name: str) -> list[str]:
    return list_at(keys, name) or list(hash_at(keys, name))


def _gids(keys: Snapshot, base: str) -> set[str]:
    start = f"{base}:g:"
    return {key[len(start) :].rpartition(":")[0] for key in keys if key.startswith(start)}
