"""Run ids as they are typed: whole, or any unique beginning."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from omniq_flow.errors import RunNotFound
from omniq_flow.queue.operation import Operation
from omniq_flow.runtime.index import ended_page, live_page
from omniq_flow.runtime.keys import SHARDS
from omniq_flow.runtime.operations import view
from omniq_flow.runtime.session import Session
from omniq_flow.wire.names import check_id

PAGE: Final = 1000
SHOWN: Final = 5


def full_run_id(session: Session, typed: str) -> str:
    """Return the id of the one run that begins like this; raises InvalidId, and RunNotFound when there is none, or several."""
    check_id(typed, "run id")
    if session.client.run(view(typed)).meta:
        return typed
    found = sorted({run_id for run_id in all_runs(session) if run_id.lower().startswith(typed.lower())})
    if len(found) == 1:
        return found[0]
    if not found:
        raise RunNotFound(f"there is no run {typed} on this server: it never existed, or its term is over; `omniq-flow runs` lists them")
    some = ", ".join(found[:SHOWN]) + (", ..." if len(found) > SHOWN else "")
    raise RunNotFound(f"{len(found)} runs begin with {typed}: {some}; type more of it")


def all_runs(session: Session) -> Iterator[str]:
    """Yield the ids of all runs that are kept, live ones first."""
    for page in (live_page, ended_page):
        for shard in range(SHARDS):
            yield from _shard(session, page, shard)


def _shard(session: Session, page: Callable[[int, str, int], Operation[list[str]]], shard: int) -> Iterator[str]:
    after = ""
    while True:
        ids = session.client.run(page(shard, after, PAGE))
        yield from ids
        if len(ids) < PAGE:
            return
        after = ids[-1]
