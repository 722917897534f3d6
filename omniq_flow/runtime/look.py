"""A look at a run: whether it has ended, and its result in the same call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

from omniq_flow.compiler.plan import Plan
from omniq_flow.queue.operation import Operation
from omniq_flow.queue.scripts import script
from omniq_flow.runtime.keys import run_anchor
from omniq_flow.runtime.operations import view
from omniq_flow.runtime.reading import Part, part_of, words_of
from omniq_flow.runtime.state import Status, head_of, present
from omniq_flow.runtime.talk import Talk


class Look(NamedTuple):
    """What a look saw; ``parts`` are the first outcomes of the result, of a run that has succeeded with the plan at hand."""

    status: Status
    plan: str
    queue: str
    parts: Sequence[Part] = ()


def look(run_id: str, at_hand: Plan | None = None) -> Talk[Look]:
    """See whether a run has ended; raises RunNotFound, and RunError when its head is damaged.

    With the plan that it probably has, its result comes along.
    """
    seen = yield glance(run_id, at_hand)
    if seen is None:
        head = head_of(run_id, present(run_id, (yield view(run_id))))
        return Look(head.status, head.plan, head.queue)
    return cast("Look", seen)


def glance(run_id: str, at_hand: Plan | None = None) -> Operation[Look | None]:
    """Look in one call; None when the run is gone, or its head is not whole."""
    args = (at_hand.fingerprint, *words_of(at_hand)) if at_hand else ("",)
    return Operation(script("run_look"), run_anchor(run_id), args, _look)


def _look(reply: Any) -> Look | None:
    if not reply:
        return None
    status, plan, queue, parts = reply
    return Look(cast("Status", status.decode()), plan.decode(), queue.decode(), [part_of(part) for part in parts])
