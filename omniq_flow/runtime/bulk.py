"""Starting many runs of a flow: as many in one call as it may carry, each with its arguments and its id."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

from omniq_flow.errors import OmniqError, RunError, ServerRefused
from omniq_flow.queue.operation import Operation
from omniq_flow.queue.scripts import script
from omniq_flow.runtime.keys import run_anchor
from omniq_flow.runtime.operations import DueEntry, NewRun, due_entries, list_messages, pack_message
from omniq_flow.runtime.shapes import Shapes
from omniq_flow.runtime.starting import StoredPlans, conflict, deliver_first, start_run
from omniq_flow.runtime.talk import Chorus, Talk, together

MOST_JOBS = 100
MOST_BYTES = 256 * 1024


class Said(NamedTuple):
    """What start_many says of a run: CONFLICT, BROKEN and why, or DUE and what is due."""

    place: int
    word: str
    due: tuple[DueEntry, ...] = ()
    why: str = ""


class Started(NamedTuple):
    """Which of the runs, by their places, were surely started, and what kept the others from it."""

    places: Sequence[int]
    error: OmniqError | None


def start_many(runs: Sequence[NewRun], now_ms: int = 0) -> Operation[list[Said]]:
    """Start runs of one flow with one queue and term, none with a staged list; repeatable. One server only.

    Returns what is to be said of some of them.
    """
    each = [(run.id, run.digest, run.key, [(node, body.decode()) for node, body in run.outs], list_messages(run.lists)) for run in runs]
    message = pack_message({**runs[0].common(), "runs": each})
    return Operation(script("start_many"), run_anchor(runs[0].id), (now_ms, message), partial(_said, runs))


def start_runs(runs: Sequence[NewRun], shapes: Shapes, stored_plans: StoredPlans, *, one_server: bool, now_ms: int = 0) -> Chorus[Started]:
    """Start runs of one flow, in order; repeatable at any point. What goes wrong with one ends it after those that went with it."""
    places: list[int] = []
    try:
        if runs:
            (stored,) = yield from together([stored_plans.store(shapes.compiled.plan, runs[0].keep_ms)])
            if isinstance(stored, OmniqError):
                return Started(places, stored)
        for first, some in _portions(runs, shapes, one_server=one_server):
            outcomes: Sequence[object]
            if one_server and _travel_along(some[0]):
                outcomes = yield from _started_together(some, shapes, now_ms)
            else:
                outcomes = yield from together([start_run(run, shapes, stored_plans, one_server=one_server, now_ms=now_ms) for run in some])
            places += [first + at for at, outcome in enumerate(outcomes) if not isinstance(outcome, OmniqError)]
            error = next((outcome for outcome in outcomes if isinstance(outcome, OmniqError)), None)
            if error:
                return Started(places, error)
    except OmniqError as error:
        return Started(places, error)
    return Started(places, None)


def _started_together(runs: Sequence[NewRun], shapes: Shapes, now_ms: int) -> Chorus[list[object]]:
    outcomes: list[object] = [None] * len(runs)
    (reply,) = yield [start_many(runs, now_ms)]
    if isinstance(reply, OmniqError):
        return [reply] * len(runs)
    late: dict[int, Talk[None]] = {}
    for said in reply:
        run = runs[said.place]
        if said.word == "CONFLICT":
            outcomes[said.place] = conflict(run)
        elif said.word == "BROKEN":
            outcomes[said.place] = ServerRefused(f"{run.flow}: run {run.id} cannot be started, a key of it is damaged: {said.why}")
        else:
            late[said.place] = deliver_first(run, shapes, said.due, new=False, now_ms=now_ms)
    delivered = yield from together(list(late.values()))
    for at, outcome in zip(late, delivered, strict=True):
        outcomes[at] = outcome
    return outcomes


def _portions(runs: Sequence[NewRun], shapes: Shapes, *, one_server: bool) -> Iterator[tuple[int, Sequence[NewRun]]]:
    """Yield (place of the first, runs) of those that one call may carry: of so many jobs and bytes, or a single one with a staged list."""
    literal = sum(max(1, size) for n, _, _, size in shapes.created if n in shapes.roots)
    first, jobs, size = 0, 0, 0
    for at, run in enumerate(runs):
        weight = literal + sum(len(one.items) for one in run.lists)
        carried = sum(len(body) for _, body in run.outs) + sum(len(item) for one in run.lists for item in one.items)
        alone = one_server and not (_travel_along(run) and (at == first or _travel_along(runs[first])))
        if at > first and (alone or jobs + weight > MOST_JOBS or size + carried > MOST_BYTES):
            yield first, runs[first:at]
            first, jobs, size = at, 0, 0
        jobs, size = jobs + weight, size + carried
    if runs:
        yield first, runs[first:]


def _travel_along(run: NewRun) -> bool:
    """Whether all lists of a run may travel with the call that starts it."""
    return all(one.small for one in run.lists)


def _said(runs: Sequence[NewRun], reply: Any) -> list[Said]:
    said: list[Said] = []
    for k, word, *more in reply:
        name, place = word.decode(), int(k) - 1
        if name == "DUE":
            said.append(_due(place, runs[place].id, more[0]))
        else:
            said.append(Said(place, name, why=more[0].decode("utf-8", "replace") if more else ""))
    return said


def _due(place: int, run_id: str, flat: Sequence[bytes]) -> Said:
    try:
        return Said(place, "DUE", due_entries(run_id, flat))
    except RunError as error:
        return Said(place, "BROKEN", why=str(error))
