"""Reading outcomes back, in chunks."""

from __future__ import annotations

from collections.abc import Sequence
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
    return Operation(script("run_read"), run_anchor(run_id), (word, first), _part)


def word_for(plan: Plan, node: int) -> str:
    """Return the word that reads the outcome of a node."""
    return f"{'m' if isinstance(plan.nodes[node], MapNode) else 'v'}{node}"


def read_outcome(run_id: str, word: str) -> Talk[bytes]:
    """Return an outcome as JSON; raises RunError when it is not there: the run expired or lost data meanwhile."""
    part = yield read(run_id, word)
    if part.value is not None:
        return bytes(part.value)
    items = list(part.items)
    while len(items) < part.total:
        more = yield read(run_id, word, len(items))
        if not more.items:
            break
        items += more.items
    if part.total < 0 or len(items) < part.total or None in items:
        raise RunError(f"run {run_id}: the outcome {word} is not there: the run expired, or its data was damaged; `show` tells more")
    return join(items)


def read_result(run_id: str, plan: Plan) -> Talk[bytes]:
    """Return the value of a succeeded run as JSON (null for a flow without one)."""
    if plan.returns is None:
        return b"null"
    outcomes: dict[int, bytes] = {}
    for node in sorted(references(plan.returns)):
        outcomes[node] = yield from read_outcome(run_id, word_for(plan, node))
    return assemble(plan.returns, outcomes.__getitem__)


def read_item(run_id: str, word: str, index: int) -> Talk[bytes]:
    """Return a child's own item as JSON; raises RunError when it is not there."""
    part = yield read(run_id, word, index)
    if not part.items or part.items[0] is None:
        raise RunError(f"run {run_id}: item {index} of {word} is not there: the run expired, or its data was damaged; `show` tells more")
    return bytes(part.items[0])


def _part(reply: Any) -> Part:
    if reply[0] == b"VALUE":
        return Part(reply[1], 0, ())
    if reply[0] == b"NONE":
        return Part(None, -1, ())
    return Part(None, int(reply[1]), reply[2])
