"""The read-only operations of the doctor, as values; each tells of one slot at one instant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

from omniq_flow.doctor.queue_facts import STATS, GroupFacts, JobFacts, QueueFacts, Spot
from omniq_flow.doctor.run_facts import RunFacts
from omniq_flow.doctor.snapshot import whole
from omniq_flow.queue.keys import queue_anchor
from omniq_flow.queue.operation import Operation
from omniq_flow.queue.replies import text
from omniq_flow.queue.scripts import script
from omniq_flow.runtime.keys import live_index, run_anchor
from omniq_flow.runtime.outline import Outline

PAGE: Final = 125
KINDS: Final = 400
GROUPS: Final = 250
JOBS: Final = 50
CHILDREN: Final = 1000

pack = msgspec.msgpack.encode


class KeyState(NamedTuple):
    """Of which kind a key is (``none``: it is not there), and in how many milliseconds it expires (-1: never)."""

    kind: str
    left_ms: int


@dataclass(frozen=True, slots=True)
class SeenRun:
    """What a look at a run tells: its facts, when it was, and which children are due and not confirmed to be in their queues."""

    facts: RunFacts
    now_ms: int
    due: Mapping[str, str]


class Listed(NamedTuple):
    """Since when the indexes list a run as live, and until when as ended, None where they do not; and the time of the look."""

    since_ms: int | None
    until_ms: int | None
    now_ms: int


def kinds_of(anchor: str, names: Sequence[str]) -> Operation[list[KeyState]]:
    """Tell the kinds of up to 400 keys of one base."""

    def read(reply: Sequence[Any]) -> list[KeyState]:
        return [KeyState(text(kind), int(left)) for kind, left in zip(reply[::2], reply[1::2], strict=True)]

    return Operation(script("doctor_kinds"), anchor, tuple(_raw(name) for name in names), read)


def line_page(queue: str, line: str, first: int) -> Operation[list[JobFacts]]:
    """Read a page (125) of a lane's line or of an index, with the facts of each job but for the other lists in which it may stand."""
    spot = _spot(line)

    def read(reply: Sequence[Any]) -> list[JobFacts]:
        return [_job(queue, row, [] if spot.lane in {"active", "delayed"} or line.startswith("idx:") else [spot]) for row in reply]

    return Operation(script("doctor_lane"), queue_anchor(queue), (_raw(line), first, PAGE), read)


def job_facts(queue: str, jobs: Iterable[tuple[str, Iterable[str]]]) -> Operation[list[tuple[JobFacts, bool]]]:
    """Read all that is known of up to 50 jobs (id, groups in whose lines it may stand), and whether all lines could be searched whole."""
    asked = [[_text(job), *map(_text, gids)] for job, gids in jobs]

    def read(reply: Sequence[Any]) -> list[tuple[JobFacts, bool]]:
        found = []
        for row, lines, sure in reply:
            spots = [_spot(text(line)) for line, times in zip(lines[::2], lines[1::2], strict=True) for _ in range(int(times))]
            found.append((_job(queue, row, spots), bool(sure)))
        return found

    return Operation(script("doctor_jobs"), queue_anchor(queue), (pack(asked),), read)


def group_facts(queue: str, gids: Sequence[str]) -> Operation[list[GroupFacts]]:
    """Read how up to 250 groups stand, their leases counted."""

    def read(reply: Sequence[Any]) -> list[GroupFacts]:
        return [
            GroupFacts(queue, gid, int(counted), None if held < 0 else int(held), int(limit), int(waiting), place is not None)
            for gid, (counted, held, limit, waiting, place) in zip(gids, reply, strict=True)
        ]

    return Operation(script("doctor_groups"), queue_anchor(queue), tuple(_raw(gid) for gid in gids), read)


def queue_facts(queue: str, gids: Sequence[str] | None) -> Operation[QueueFacts]:
    """Count what a queue with these groups holds, and read what its stats state; None where its groups are not known."""
    named = (b"",) if gids is None or len(gids) > KINDS else tuple(_raw(gid) for gid in gids)

    def read(reply: Sequence[Any]) -> QueueFacts:
        stats, counts, marked = _flat(reply[0]), [int(count) for count in reply[1]], bool(reply[2])
        counted = dict(zip(STATS, (counts[0], counts[1], counts[0] + counts[1], *counts[2:]), strict=True))
        return QueueFacts(queue, stats or None, counted, marked, bool(gids))

    return Operation(script("doctor_queue"), queue_anchor(queue), named, read)


def run_facts(run_id: str, outline: Outline | None, now_ms: int = 0) -> Operation[SeenRun | None]:
    """Read what tells whether a run agrees with its plan, or, without one, its hashes alone; None when it has no head."""
    fan_outs = sorted(outline.fan_outs) if outline else []
    sources = sorted(set(outline.lists.values())) if outline else []

    def read(reply: Sequence[Any]) -> SeenRun | None:
        if not reply:
            return None
        now, meta, nodes, tries, due, outcomes, children, lengths, recorded = reply
        done = frozenset(n for n in (whole(text(name)) for name in outcomes) if n is not None)
        sizes = dict(zip(fan_outs, map(int, children), strict=True))
        lists = dict(zip(sources, map(int, lengths), strict=True))
        facts = RunFacts(run_id, _flat(meta), _flat(nodes), _flat(tries), done, sizes, lists, frozenset(map(text, recorded)))
        return SeenRun(facts, int(now), _flat(due))

    return Operation(script("doctor_run"), run_anchor(run_id), (now_ms, pack(fan_outs), pack(sources)), read)


def children_without_outcome(run_id: str, node: int, start: int, to: int) -> Operation[list[tuple[int, int]]]:
    """Read which children [start, to) of a fan-out, at most 1,000, have no outcome: (index, epoch)."""

    def read(reply: Sequence[Any]) -> list[tuple[int, int]]:
        return [(int(index), int(epoch)) for index, epoch in zip(reply[::2], reply[1::2], strict=True)]

    return Operation(script("doctor_children"), run_anchor(run_id), (node, start, to), read)


def listed(shard: int, run_ids: Sequence[str]) -> Operation[list[Listed]]:
    """Tell how the indexes of a shard list up to 1,000 runs."""

    def read(reply: Sequence[Any]) -> list[Listed]:
        now_ms, times = int(reply[0]), [None if score is None else int(float(score)) for score in reply[1:]]
        return [Listed(since, until, now_ms) for since, until in zip(times[::2], times[1::2], strict=True)]

    return Operation(script("doctor_listed"), live_index(shard), (0, *run_ids), read)


def ahead_of(queue: str, job_id: str, gid: str) -> Operation[int | None]:
    """Tell how many jobs of its line stand ahead of a job; None when it is not among the first 10,000."""
    return Operation(script("doctor_ahead"), queue_anchor(queue), (job_id, gid), lambda reply: int(reply) if int(reply) >= 0 else None)


def _job(queue: str, row: Sequence[Any], stands: list[Spot]) -> JobFacts:
    job_id, state, gid, token, sets, indexes = row
    spots = [*stands, *(Spot(text(lane)) for lane in sets)]
    told = None if state is None else text(state)
    return JobFacts(queue, _name(job_id), told, _name(gid or b""), text(token or b""), tuple(spots), frozenset(map(text, indexes)))


def _spot(line: str) -> Spot:
    return Spot("wait", line[2 : -len(":wait")]) if line.startswith("g:") else Spot(line)


def _flat(reply: Sequence[bytes]) -> dict[str, str]:
    return {text(name): text(value) for name, value in zip(reply[::2], reply[1::2], strict=True)}


def _name(raw: bytes) -> str:
    """Read a name that must lead back to its key, whatever bytes it has."""
    return raw.decode("utf-8", "surrogateescape")


def _raw(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _text(name: str) -> str:
    """Return a name as MessagePack carries it; one that is no UTF-8 is not found under it, and is left alone."""
    return name.encode("utf-8", "replace").decode()
