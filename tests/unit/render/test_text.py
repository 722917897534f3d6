# ruff: noqa: RUF001 - the sign is what a fan-out is known by
from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from sample_plans import NAMES, cleaning, diamond, digitize, fan_in, map_of_map, plans, two_maps

from omniq_flow.compiler.plan import ParamNode, Plan, Ref, StepNode
from omniq_flow.render.drawing import draw
from omniq_flow.render.state import NodeView, State
from omniq_flow.render.text import coloured, text


def _shown(plan: Plan, columns: int = 80, views: dict[int, NodeView] | None = None, *, plain: bool = False) -> str:
    return "\n" + text(draw(plan, views), columns, plain=plain) + "\n"


def test_a_fan_out_and_its_join() -> None:
    assert _shown(digitize()) == (
        """
app.digitize
 ◇    document_id
 │
 ├─●  split
 │ ║
 │ ◉  read ×N      each page
 │ ║
 ╰─●  merge        all texts
   │
   ◆  result
"""
    )


def test_a_diamond() -> None:
    assert _shown(diamond()) == (
        """
app.diamond
 ◇      x
 │
 ●      load
 │
 ├─●─╮  left    .a
 │   │
 ╰─●─┤  right   .b[0]
     │
     ●  join    other
     │
     ◆  result
"""
    )


def test_two_fan_outs_that_join() -> None:
    assert _shown(two_maps()) == (
        """
app.two_maps
 ◇      doc
 │
 ●      split
 │
 ╞═◉═╗  read ×N  each page of .pages
 │   ║
 ╞═◉═╣  scan ×N  each image of .images
 │   ║
 ╰───●  merge    all texts, all scans, .title → heading
     │
     ◆  result
"""
    )


def test_a_map_over_a_map() -> None:
    assert _shown(map_of_map()) == (
        """
app.crawl
 ◇  urls
 ║
 ◉  fetch ×N  each url
 ║
 ◉  parse ×N  each page of all
 ║
 ◆  result    all
"""
    )


def test_a_step_ordered_behind_another_one() -> None:
    assert _shown(cleaning()) == (
        """
app.clean
 ◇    path
 │
 ├─●  backup
 │ ┆
 ╰─●  wipe    after
"""
    )


def test_many_branches_are_drawn_without_air() -> None:
    assert _shown(fan_in(12)) == (
        """
app.wide
 ◇      order
 ├─●─╮  check_1
 ├─●─┤  check_2
 ├─●─┤  check_3
 ├─●─┤  check_4
 ├─●─┤  check_5
 ├─●─┤  check_6
 ├─●─┤  check_7
 ├─●─┤  check_8
 ├─●─┤  check_9
 ├─●─┤  check_10
 ├─●─┤  check_11
 ╰─●─┤  check_12
     ●  decide
     ◆  result
"""
    )


RUNNING = {
    1: NodeView(state="succeeded", attempts=2, duration_ms=212),
    2: NodeView(state="failed", done=37, total=120, failed=2, duration_ms=12_000, error="ValueError: page 38 has no text layer\n  trace"),
    3: NodeView(state="running", done=3, total=9, duration_ms=5000),
    4: NodeView(state="waiting"),
}


def test_a_run() -> None:
    assert _shown(two_maps(), 76, RUNNING) == (
        """
app.two_maps
 ◇      doc
 │
 ✓      split      succeeded  2 attempts, 212 ms
 │
 ╞═✗═╗  read ×120  failed     37/120, 2 failed, 12 s  ValueError: page 38 h…
 │   ║
 ╞═●═╣  scan ×9    running    3/9, 5.0 s
 │   ║
 ╰───○  merge      waiting
     │
     ◆  result
"""
    )


def test_a_run_in_ascii() -> None:
    assert _shown(two_maps(), 76, RUNNING, plain=True) == (
        """
app.two_maps
 >      doc
 |
 +      split      succeeded  2 attempts, 212 ms
 |
 +=X=+  read x120  failed     37/120, 2 failed, 12 s  ValueError: page 38...
 |   H
 +=>=+  scan x9    running    3/9, 5.0 s
 |   H
 +---.  merge      waiting
     |
     =  result
"""
    )


def test_where_lanes_leave_no_room_each_line_names_its_sources() -> None:
    assert _shown(two_maps(), 28) == (
        """
app.two_maps
 ◇  doc
 ●  split    ← doc
 ◉  read ×N  ← split
 ◉  scan ×N  ← split
 ●  merge    ← split, read,…
 ◆  result   ← merge
"""
    )


def test_a_long_name_leaves_room_for_the_state() -> None:
    plan = Plan("app.flow", (ParamNode(0, "x"), StepNode(1, "a_name_that_goes_on_and_on", "app.step", {"x": Ref(0)})))
    assert _shown(plan, 38, {1: NodeView(state="succeeded", duration_ms=5)}).splitlines()[-1] == " ✓  a_name_that_goes…  succeeded  5 ms"


def test_ascii_spells_out_what_it_cannot_write() -> None:
    plan = Plan("app.größe", (ParamNode(0, "größe"), StepNode(1, "b", "app.b", {"x": Ref(0, ("y",)), "z": Ref(0)})))
    assert _shown(plan, 60, plain=True) == (
        """
app.gr\\xf6\\xdfe
 >  gr\\xf6\\xdfe
 |
 *  b            .y -> x, z
"""
    )


def test_an_empty_flow_is_its_name() -> None:
    assert text(draw(Plan("app.empty", ())), 80) == "app.empty"
    assert text(draw(Plan("app.idle", (ParamNode(0, "日本語"),))), 9) == "app.idle\n ◇  日本…"


@settings(deadline=None)
@given(
    plan=plans(most=30),
    columns=st.integers(1, 120),
    state=st.none() | st.sampled_from(["failed", "running"]),
    error=NAMES,
    plain=st.booleans(),
)
def test_no_line_is_wider_than_the_terminal(plan: Plan, columns: int, state: State | None, error: str, plain: bool) -> None:
    views = {node.id: NodeView(state=state, error=error, done=10**9, duration_ms=10**9) for node in plan.nodes[1:]} if state else None
    drawing = draw(plan, views)
    lines = text(drawing, columns, plain=plain).split("\n")
    assert max(map(cell_len, lines)) <= columns
    assert all(line.isprintable() for line in lines)
    assert all(line.isascii() for line in lines) or not plain
    assert [line.rstrip() for line in coloured(drawing, columns, plain=plain).plain.split("\n")] == lines


def test_states_are_coloured() -> None:
    styles = {str(span.style) for span in coloured(draw(two_maps(), RUNNING), 80).spans}
    assert {"green", "bold red", "bold cyan", "dim"} <= styles
