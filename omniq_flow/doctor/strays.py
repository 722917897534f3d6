"""Runs that no index lists: nobody would look after them, so the keyspace is walked for them, a thousand keys at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from omniq_flow.doctor.questions import listed
from omniq_flow.errors import ServerRefused
from omniq_flow.queue.operation import Operation
from omniq_flow.queue.scripts import script
from omniq_flow.queue.translation import passes
from omniq_flow.runtime.keys import SHARDS, live_index, shard_of
from omniq_flow.runtime.operations import View, view
from omniq_flow.runtime.starting import list_run
from omniq_flow.runtime.talk import Talk

_BEFORE, _AFTER = "{run:", "}:meta"


class Position(NamedTuple):
    """Where a walk is: the shard whose node is walked, and the cursor there.

    On one server the first shard's walk has seen everything; in a cluster the others come after it.
    """

    shard: int = 0
    cursor: int = 0


def list_strays(position: Position) -> Talk[tuple[Position, list[str]]]:
    """Look at the next keys and list the running runs among them that no index lists; returns where to go on, and their ids.

    Those whose index is damaged are left out.
    """
    cursor, ids = yield _runs_from(position)
    unlisted: list[str] = []
    for shard, names in _by_shard(ids).items():
        try:
            entries = yield listed(shard, names)
        except ServerRefused as error:
            if passes(error):
                raise
            continue
        unlisted += [run_id for run_id, entry in zip(names, entries, strict=True) if entry.since_ms is None and entry.until_ms is None]
    found = yield from list_those(unlisted)
    after = position._replace(cursor=cursor) if cursor else Position((position.shard + 1) % SHARDS)
    return after, found


def list_those(unlisted: Iterable[str]) -> Talk[list[str]]:
    """List those of the runs that are running and that no index lists; returns their ids."""
    found: list[str] = []
    for run_id in unlisted:
        if (yield from _is_stray(run_id)):
            yield list_run(run_id, "live")
            found.append(run_id)
    return found


def _is_stray(run_id: str) -> Talk[bool]:
    """Tell whether a run is running and unlisted: as it was before the indexes were asked, or it was started or ended in between."""
    before: View = yield view(run_id)
    if before.meta.get("status") != "running":
        return False
    (entry,) = yield listed(shard_of(run_id), [run_id])
    after: View = yield view(run_id)
    return entry.since_ms is None and _version(after) == _version(before)


def _version(seen: View) -> tuple[str | None, str | None]:
    return seen.meta.get("status"), seen.meta.get("generation")


def _by_shard(ids: set[str]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = defaultdict(list)
    for run_id in sorted(ids):
        found[shard_of(run_id)].append(run_id)
    return found


def _runs_from(position: Position) -> Operation[tuple[int, set[str]]]:
    def read(reply: Any) -> tuple[int, set[str]]:
        names = (key.decode("utf-8", "replace") for key in reply[1])
        return int(reply[0]), {name[len(_BEFORE) : -len(_AFTER)] for name in names if name.endswith(_AFTER)}

    return Operation(script("doctor_strays"), live_index(position.shard), (position.cursor,), read)
