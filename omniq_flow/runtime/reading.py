"""Reading outcomes back, in chunks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from omniq_flow.compiler.plan import MapNode, Plan, references
from omniq_flow.compiler.template import assemble
from omniq_flow.errors import RunError
from omniq_flow.queue.operation import Operation
from omniq_flow.queue.scripts import script
from omniq_flow.runtime.keys import run_anchor
from omniq_flow.runtime.outcomes import join
from omniq_flow.runtime.talk import Talk


class Part(NamedTuple):
    """What one read found: a whole value, or some elements of ``total``; neither (total -1) when there is no outcome."""

    value: bytes | None
    total: int
    items: Sequence[bytes]


def read(run_id: str, word: str, first: int = 0) -> Operation[Part]:
    """Read an outcome or its next elements; see ``lua/run_read.lua`` for the words."""
    return Operation(script("run_read"), run_anchor(run_id), (word, first), part_of)


def word_for(plan: Plan, node: int) -> str:
    """Return the word that reads the outcome of a node."""
    return f"{'m' if isinstance(plan.nodes[node], MapNode) else 'v'}{node}"


def words_of(plan: Plan) -> list[str]:
    """Return the words that read what a plan's result is made of."""
    return [] if plan.returns is None else [word_for(plan, node) for node in sorted(references(plan.returns))]


def read_outcome(run_id: str, word: str, part: Part | None = None) -> Talk[bytes]:
    """Return an outcome as JSON; raises RunError when it is not there: the run expired or lost data meanwhile.

    ``part`` is what was read of it before.
    """
    first: Part = part or (yield read(run_id, word))
    if first.value is not None:
        return bytes(first.value)
    items = list(first.items)
    while len(items) < first.total:
        more = yield read(run_id, word, len(items))
        if not more.items:
            break
        items += more.items
    if first.total < 0 or len(items) < first.total or None in items:
        raise RunError(f"run {run_id}: the outcome {word} is not there: the run expired, or its data was damaged; `show` tells more")
    return join(items)


def read_result(run_id: str, plan: Plan, parts: Sequence[Part] = ()) -> Talk[bytes]:
    """Return the value of a succeeded run as JSON (null for a flow without one); ``parts`` are those that were read before."""
    if plan.returns is None:
        return b"null"
    outcomes: dict[int, bytes] = {}
    for node, part in zip_longest(sorted(references(plan.returns)), parts):
        outcomes[node] = yield from read_outcome(run_id, word_for(plan, node), part)
    return assemble(plan.returns, outcomes.__getitem__)


def read_item(run_id: str, word: str, index: int) -> Talk[bytes]:
    """Return a child's own item as JSON; raises RunError when it is not there."""
    part = yield read(run_id, word, index)
    if not part.items or part.items[0] is None:
        raise RunError(f"run {run_id}: item {index} of {word} is not there: the run expired, or its data was damaged; `show` tells more")
    return bytes(part.items[0])


def part_of(reply: Any) -> Part:
    """Read what one read found."""
    if reply[0] == b"VALUE":
        return Part(reply[1], 0, ())
    if reply[0] == b"NONE":
        return Part(None, -1, ())
    return Part(None, int(reply[1]), reply[2])
