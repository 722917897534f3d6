from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from sample_plans import digitize, fan_in, plans

from omniq_flow.compiler.plan import Plan
from omniq_flow.render.canvas import ROOMY, Row, rows, width
from omniq_flow.render.drawing import Drawing, draw
from omniq_flow.render.lanes import lay_out

SHORT = st.just("x")
NORTH = set("│║┆╰├┴┼╘╞╧╪╙╟╨╫╚╠╩╬┤╡╢╣")
SOUTH = set("│║┆├┼╮┤┬╞╪╕╡╤╟╫╖╢╥╠╬╗╣╦")


def _grid(lines: list[Row]) -> list[str]:
    return [line.before + ("@" if line.figure else "") + line.after for line in lines]


def _at(grid: list[str], row: int, column: int) -> str:
    return grid[row][column] if 0 <= row < len(grid) and column < len(grid[row]) else " "


def _followed(lines: list[Row]) -> set[tuple[str, str]]:
    """Read a drawing as a person does: along the lines from each figure, straight on at crossings."""
    grid = _grid(lines)
    place = {(row, len(line.before)): line.figure for row, line in enumerate(lines) if line.figure}
    found: set[tuple[str, str]] = set()
    for (row, column), figure in place.items():
        below = row + 1
        while _at(grid, below, column) in SOUTH & NORTH:
            below += 1
        if (below, column) in place and below > row + 1:
            found.add((figure, place[below, column]))
        left = column
        while left and _at(grid, row, left - 1) != " ":
            left -= 2
            above = row
            if _at(grid, row, left) in NORTH and _at(grid, row, left) not in "│║┆":
                while (above, left) not in place:
                    above -= 1
                found.add((place[above, left], figure))
        right = column
        while _at(grid, row, right + 1) != " ":
            right += 2
            below = row
            if _at(grid, row, right) in SOUTH and _at(grid, row, right) not in "│║┆":
                while (below, right) not in place:
                    below += 1
                found.add((figure, place[below, right]))
    return found


def _arrows(drawing: Drawing) -> set[tuple[str, str]]:
    return {(arrow.source, arrow.target) for arrow in drawing.arrows}


@settings(max_examples=300, deadline=None)
@given(plan=plans(SHORT, most=ROOMY - 1))
def test_whoever_follows_the_lines_finds_exactly_the_arrows(plan: Plan) -> None:
    drawing = draw(plan)
    assert _followed(list(rows(lay_out(drawing), plain=False))) == _arrows(drawing)


@settings(max_examples=200, deadline=None)
@given(plan=plans(SHORT, most=3 * ROOMY))
def test_every_figure_has_one_row_and_all_lines_run_down_and_right(plan: Plan) -> None:
    drawing = draw(plan)
    lanes = lay_out(drawing)
    lines = list(rows(lanes, plain=True))
    assert sorted(line.figure for line in lines if line.figure) == sorted(figure.key for figure in drawing.figures)
    assert max((len(line) for line in _grid(lines)), default=1) <= width(lanes)
    assert "".join(_grid(lines)).isascii()
    for arrow in drawing.arrows:
        assert lanes.order.index(arrow.source) < lanes.order.index(arrow.target)
        assert lanes.column[arrow.source] + (arrow not in lanes.straight) <= lanes.column[arrow.target]


@settings(max_examples=200, deadline=None)
@given(plan=plans(SHORT, most=3 * ROOMY))
def test_figures_on_top_of_each_other_are_joined_unless_both_have_lines_aside(plan: Plan) -> None:
    lanes = lay_out(draw(plan))
    lines = list(rows(lanes, plain=False))
    for upper, lower in pairwise(lines):
        if upper.figure and lower.figure and len(upper.before) == len(lower.before):
            look_apart = upper.after.strip(" │║┆") and lower.before.strip(" │║┆")
            are_joined = any((arrow.source, arrow.target) == (upper.figure, lower.figure) for arrow in lanes.straight)
            assert are_joined != bool(look_apart)


def test_a_wide_drawing_takes_two_lanes_for_any_number_of_branches() -> None:
    assert width(lay_out(draw(fan_in(40)))) == 5
    assert width(lay_out(draw(digitize()))) == 3
