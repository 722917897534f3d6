"""The lines of a terminal drawing: lanes turned into characters, before any name stands beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from omniq_flow.render.drawing import Arrow
from omniq_flow.render.lanes import Lanes
from omniq_flow.render.looks import MANY
from omniq_flow.render.strokes import Weight, stroke

ROOMY: Final = 12


@dataclass(frozen=True, slots=True)
class Row:
    """One line. ``figure`` stands between the two parts; it is None in the air between two figures."""

    before: str
    figure: str | None = None
    after: str = ""


@dataclass(frozen=True, slots=True)
class _Upright:
    """The vertical part of one lane, from row ``top`` to row ``bottom``."""

    column: int
    top: int
    bottom: int
    weight: Weight


@dataclass(frozen=True, slots=True)
class _Beam:
    """The horizontal part of all arrows that meet a figure on one side; it spans from ``first`` to ``last``."""

    columns: frozenset[int]
    first: int
    last: int
    weight: Weight


def rows(lanes: Lanes, *, plain: bool) -> Iterator[Row]:
    """Yield the lines from top to bottom; up to ROOMY figures have a line of air between them.

    Larger drawings get air only where figures on top of each other would be misread.
    """
    row = {key: place for place, key in enumerate(lanes.order)}
    uprights = _uprights(lanes, row)
    for place, key in enumerate(lanes.order):
        if place and (len(row) <= ROOMY or _is_misleading(lanes, lanes.order[place - 1], key)):
            yield Row(_air(uprights, place, plain=plain).rstrip())
        yield _line(lanes, key, [u for u in uprights if u.top <= place <= u.bottom], place, plain=plain)


def _is_misleading(lanes: Lanes, upper: str, lower: str) -> bool:
    """Tell whether a figure right above another one looks joined to it and is not, or the other way round.

    Without a line between them they look joined, unless the upper one visibly leads on and the lower one is visibly fed.
    """
    if lanes.column[upper] != lanes.column[lower]:
        return False
    joined = any((arrow.source, arrow.target) == (upper, lower) for arrow in lanes.straight)
    leads_on = any(arrow.source == upper for arrow in lanes.right)
    is_fed = any(arrow.target == lower for arrow in lanes.down)
    return joined == (leads_on and is_fed)


def width(lanes: Lanes) -> int:
    """Return how many characters the widest row may take."""
    return 1 + 2 * max(lanes.column.values(), default=0)


def _uprights(lanes: Lanes, row: dict[str, int]) -> list[_Upright]:
    shared: dict[tuple[str, str], list[Arrow]] = {}
    for arrow in lanes.straight | lanes.down:
        shared.setdefault((arrow.source, "below"), []).append(arrow)
    for arrow in lanes.right:
        shared.setdefault((arrow.target, "above"), []).append(arrow)
    return [
        _Upright(
            lanes.column[key],
            min(row[arrow.source] for arrow in arrows),
            max(row[arrow.target] for arrow in arrows),
            _weight(arrows),
        )
        for (key, _), arrows in shared.items()
    ]


def _weight(arrows: Iterable[Arrow]) -> Weight:
    kinds = {arrow.kind for arrow in arrows}
    if kinds and kinds <= MANY:
        return "double"
    return "dashed" if kinds == {"after"} else "single"


def _air(uprights: list[_Upright], place: int, *, plain: bool) -> str:
    """Return the line above a row: nothing but the lanes that run through it."""
    crossing: dict[int, Weight] = {u.column: u.weight for u in uprights if u.top < place <= u.bottom}
    cells = (stroke("NS", crossing[k], "single", plain=plain) if k in crossing else " " for k in range(max(crossing, default=-1) + 1))
    return " ".join(cells)


def _line(lanes: Lanes, key: str, uprights: list[_Upright], place: int, *, plain: bool) -> Row:
    here = lanes.column[key]
    arriving = [arrow for arrow in lanes.down if arrow.target == key]
    leaving = [arrow for arrow in lanes.right if arrow.source == key]
    left = _beam(here, (lanes.column[arrow.source] for arrow in arriving), _weight(arriving))
    right = _beam(here, (lanes.column[arrow.target] for arrow in leaving), _weight(leaving))
    through = {u.column: u for u in uprights if u.column != here}
    before = [_cell(left, k, through.get(k), place, plain=plain) + _gap(left, k, plain=plain) for k in range(here)]
    ends = range(here + 1, max({here, *through, *right.columns}) + 1)
    after = [_gap(right, k - 1, plain=plain) + _cell(right, k, through.get(k), place, plain=plain) for k in ends]
    return Row("".join(before), key, "".join(after))


def _beam(here: int, columns: Iterable[int], weight: Weight) -> _Beam:
    met = frozenset(columns)
    return _Beam(met, min({here, *met}), max({here, *met}), weight)


def _cell(beam: _Beam, column: int, upright: _Upright | None, place: int, *, plain: bool) -> str:
    """Return the character at a column: a joint, a lane that passes in front of the beam, the beam, or nothing."""
    if upright and column in beam.columns:
        sides = {"N": upright.top < place, "E": column < beam.last, "S": place < upright.bottom, "W": beam.first < column}
        return stroke("".join(side for side, touched in sides.items() if touched), upright.weight, beam.weight, plain=plain)
    if upright:
        return stroke("NS", upright.weight, beam.weight, plain=plain)
    return stroke("EW", "single", beam.weight, plain=plain) if beam.first <= column <= beam.last and beam.columns else " "


def _gap(beam: _Beam, column: int, *, plain: bool) -> str:
    """Return the character between a column and the next one."""
    return stroke("EW", "single", beam.weight, plain=plain) if beam.first <= column < beam.last else " "
