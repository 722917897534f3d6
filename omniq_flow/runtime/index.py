"""The indexes over all runs, and the janitors' turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from omniq_flow.queue.client import OmniqClient
from omniq_flow.queue.connect import address_of
from omniq_flow.queue.operation import Operation
from omniq_flow.queue.scripts import script
from omniq_flow.queue.translation import typed_errors
from omniq_flow.runtime.keys import SHARDS, ended_index, live_index
from omniq_flow.runtime.operations import View, view

JANITOR_TURN = "{janitor}:turn"


def live_page(shard: int, after: str, count: int) -> Operation[list[str]]:
    """Read a page of a shard's live runs, oldest first; a page that is cut short is the last."""
    return Operation(script("runs_page"), live_index(shard), (after, count), _ids)


def ended_page(shard: int, after: str, count: int) -> Operation[list[str]]:
    """Read a page of a shard's ended runs, the one that expires first first."""
    return Operation(script("runs_page"), ended_index(shard), (after, count), _ids)


def trim_ended(shard: int, now_ms: int = 0) -> Operation[int]:
    """Forget the ended runs of a shard whose term is over; repeatable. Returns how many."""
    return Operation(script("runs_trim"), ended_index(shard), (now_ms,), lambda reply: int(reply[1]))


def take_janitor_turn(worker: str, round_ms: int) -> Operation[int]:
    """Take the janitor's turn for one round; 0, or for how many milliseconds another worker still has it."""
    args = (worker, round_ms)
    return Operation(script("janitor_turn"), JANITOR_TURN, args, lambda reply: 0 if reply[0] == b"YOURS" else max(1, int(reply[1])))


class Round(NamedTuple):
    """What a janitor's round on one server begins with, and where the next one goes on. ``taken_ms``: for how long another has the turn."""

    taken_ms: int = 0
    shard: int = 0
    after: str = ""
    live: Sequence[str] = ()
    cursor: int = 0
    unlisted: Sequence[str] = ()


def begin_round(worker: str, round_ms: int, before: Round, count: int, now_ms: int = 0) -> Operation[Round]:
    """Take the janitor's turn and see what is next after the round before; repeatable. One server only."""
    args = (now_ms, worker, round_ms, before.shard, before.after, count, before.cursor)
    return Operation(script("janitor_round"), JANITOR_TURN, args, _round)


def newest_runs(client: OmniqClient, limit: int) -> list[tuple[str, View]]:
    """Return the newest runs that are kept, live or ended, newest first, with their raw state."""
    client.check()
    found: dict[str, View] = {}
    for shard in range(SHARDS):
        for key in (live_index(shard), ended_index(shard)):
            with typed_errors(address_of(client.redis)):
                names: list[Any] = list(client.redis.zrevrange(key, 0, limit - 1))
            ids = [name.decode() for name in names]
            views = client.run_many([view(run_id) for run_id in ids])
            found.update((run_id, state) for run_id, state in zip(ids, views, strict=True) if state.meta)
    return list(islice(_newest_first(found), limit))


def _newest_first(found: dict[str, View]) -> Iterator[tuple[str, View]]:
    return iter(sorted(found.items(), key=lambda pair: pair[1].meta.get("created_ms", "").zfill(20), reverse=True))


def _round(reply: Any) -> Round:
    if reply[0] == b"TAKEN":
        return Round(max(1, int(reply[1])))
    _, shard, after, live, cursor, unlisted = reply
    return Round(0, int(shard), after.decode(), _ids(live), int(cursor), [name.decode("utf-8", "replace") for name in unlisted])


def _ids(reply: list[bytes]) -> list[str]:
    return [name.decode() for name in reply]
