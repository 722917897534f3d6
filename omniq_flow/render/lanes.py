"""Where each figure stands in a terminal: one row a figure, and as few columns as keep every line readable.

All lines run downwards and to the right, so that direction needs no arrow heads. An arrow has one bend. It goes *down* from its
source and then right into its target, or *right* from its source and then down onto its target; arrows that share the vertical
part share a lane. Sources that feed many go down, targets that gather many are reached from above, so twelve parallel branches
cost two lanes and not twelve. An arrow that shares its lane with no other is *straight*: both figures stand in one column.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from omniq_flow.render.drawing import Arrow, Drawing


@dataclass(frozen=True, slots=True)
class Lanes:
    """``order`` holds the figures' keys from top to bottom; each arrow is in one of ``straight``, ``down`` and ``right``."""

    order: tuple[str, ...]
    column: dict[str, int]
    straight: frozenset[Arrow]
    down: frozenset[Arrow]
    right: frozenset[Arrow]


def lay_out(drawing: Drawing) -> Lanes:
    """Return the place of every figure of a drawing."""
    order = _order(drawing)
    row = {key: place for place, key in enumerate(order)}
    leaving = Counter(arrow.source for arrow in drawing.arrows)
    arriving = Counter(arrow.target for arrow in drawing.arrows)
    down = {arrow for arrow in drawing.arrows if leaving[arrow.source] >= arriving[arrow.target]}
    right = set(drawing.arrows) - down
    straight = _straight(drawing.arrows, down, row)
    column = _columns(drawing.arrows, straight, down, row)
    return Lanes(order, column, straight, frozenset(down - straight), frozenset(right - straight))


def _order(drawing: Drawing) -> tuple[str, ...]:
    """Put sources before targets; what has just become possible comes next, so that a branch is drawn to its end first."""
    missing = Counter(arrow.target for arrow in drawing.arrows)
    targets: dict[str, list[str]] = {figure.key: [] for figure in drawing.figures}
    for arrow in drawing.arrows:
        targets[arrow.source].append(arrow.target)
    waiting = [figure.key for figure in reversed(drawing.figures) if not missing[figure.key]]
    order: list[str] = []
    while waiting:
        key = waiting.pop()
        order.append(key)
        for target in reversed(targets[key]):
            missing[target] -= 1
            if not missing[target]:
                waiting.append(target)
    return tuple(order)


def _straight(arrows: tuple[Arrow, ...], down: set[Arrow], row: dict[str, int]) -> frozenset[Arrow]:
    downwards = Counter(arrow.source for arrow in down)
    gathered = Counter(arrow.target for arrow in arrows if arrow not in down)
    straight: set[Arrow] = set()
    joined: set[tuple[str, str]] = set()
    for arrow in sorted(arrows, key=lambda arrow: row[arrow.target] - row[arrow.source]):
        sharing = downwards[arrow.source] + gathered[arrow.target] - 1
        ends = {("below", arrow.source), ("above", arrow.target)}
        if sharing or ends & joined or _chain_order(arrows, straight | {arrow}, row) is None:
            continue
        straight.add(arrow)
        joined |= ends
    return frozenset(straight)


def _chain_order(arrows: Iterable[Arrow], straight: Iterable[Arrow], row: dict[str, int]) -> list[str] | None:
    """Return the heads of all chains from left to right, or None when no such order exists."""
    head = _heads(straight, row)
    sorter: TopologicalSorter[str] = TopologicalSorter(dict.fromkeys(head.values(), ()))
    for arrow in set(arrows) - set(straight):
        sorter.add(head[arrow.target], head[arrow.source])
    order: list[str] = []
    try:
        sorter.prepare()
    except CycleError:
        return None
    while ready := sorted(sorter.get_ready(), key=row.__getitem__):
        order += ready
        sorter.done(*ready)
    return order


def _heads(straight: Iterable[Arrow], row: dict[str, int]) -> dict[str, str]:
    """Return for each figure the topmost one of its chain: those that stand in one column."""
    above = {arrow.target: arrow.source for arrow in straight}
    head: dict[str, str] = {}
    for key in sorted(row, key=row.__getitem__):
        head[key] = head[above[key]] if key in above else key
    return head


def _columns(arrows: Iterable[Arrow], straight: frozenset[Arrow], down: set[Arrow], row: dict[str, int]) -> dict[str, int]:
    """Give each chain the leftmost column right of all that lead to it whose rows are free."""
    head = _heads(straight, row)
    top = {key: row[key] for key in head.values()}
    bottom = dict(top)
    left_of: dict[str, set[str]] = {key: set() for key in top}
    for arrow in arrows:
        source, target = head[arrow.source], head[arrow.target]
        lane = source if arrow in down or arrow in straight else target
        top[lane] = min(top[lane], row[arrow.source])
        bottom[lane] = max(bottom[lane], row[arrow.target])
        if source != target:
            left_of[target].add(source)
    taken: dict[str, int] = {}
    for chain in _chain_order(arrows, straight, row) or ():
        column = max((taken[other] + 1 for other in left_of[chain]), default=0)
        while any(taken[other] == column and top[other] <= bottom[chain] and top[chain] <= bottom[other] for other in taken):
            column += 1
        taken[chain] = column
    return {key: taken[head[key]] for key in row}
