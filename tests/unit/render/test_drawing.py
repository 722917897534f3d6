# ruff: noqa: RUF001 - the sign is what a fan-out is known by
from __future__ import annotations

from typing import get_args

import pytest
from sample_plans import cleaning, diamond, digitize, map_of_map, two_maps

from omniq_flow.compiler.plan import Const, DictOf, ListOf, MapNode, ParamNode, Plan, Ref, StepNode, Template
from omniq_flow.render import dot, looks, mermaid
from omniq_flow.render.drawing import Arrow, ArrowKind, FigureKind, draw
from omniq_flow.render.state import NodeView, State


def _arrows_into_last(args: dict[str, Template], after: tuple[int, ...] = ()) -> list[Arrow]:
    nodes = (ParamNode(0, "a"), ParamNode(1, "b"), StepNode(2, "use", "app.use", args, after))
    return list(draw(Plan("app.flow", nodes)).arrows)


def test_a_flow_is_its_parameters_nodes_and_result() -> None:
    drawing = draw(digitize())
    assert [(figure.key, figure.kind, figure.title) for figure in drawing.figures] == [
        ("n0", "param", "document_id"),
        ("n1", "step", "split"),
        ("n2", "fan-out", "read ×N"),
        ("n3", "step", "merge"),
        ("result", "result", "result"),
    ]
    assert drawing.arrows == (
        Arrow("n0", "n1", "value"),
        Arrow("n1", "n2", "fan-out", ("each page",)),
        Arrow("n0", "n3", "value"),
        Arrow("n2", "n3", "fan-in", ("all texts",)),
        Arrow("n3", "result", "value"),
    )


def test_projections_are_said_and_names_where_they_tell_something_new() -> None:
    assert [arrow.label for arrow in draw(two_maps()).arrows] == [
        "",
        "each page of .pages",
        "each image of .images",
        "all texts",
        "all scans",
        ".title → heading",
        "",
    ]
    assert [arrow.label for arrow in draw(diamond()).arrows] == ["", ".a", ".b[0]", "", "other", ""]


def test_a_projection_onto_its_own_name_is_said_once() -> None:
    arguments: dict[str, Template] = {"title": Ref(0, ("title",)), "body": Ref(0, ("text",)), "a": Ref(0)}
    assert _arrows_into_last(arguments)[0].labels == (".title", ".text → body")


def test_a_map_over_a_map_gathers_and_spreads() -> None:
    arrow = draw(map_of_map()).arrows[1]
    assert (arrow.kind, arrow.label) == ("fan-out", "each page of all")
    assert draw(map_of_map()).arrows[2] == Arrow("n2", "result", "fan-in", ("all",))


def test_order_without_a_value_is_an_arrow_of_its_own_kind() -> None:
    assert draw(cleaning()).arrows[-1] == Arrow("n1", "n2", "after", ("after",))


def test_order_behind_a_node_whose_value_is_taken_says_nothing_new() -> None:
    assert _arrows_into_last({"x": Ref(0)}, after=(0, 1)) == [Arrow("n0", "n2", "value"), Arrow("n1", "n2", "after", ("after",))]


def test_one_arrow_joins_two_figures_however_often_the_value_is_used() -> None:
    used_twice: dict[str, Template] = {"x": Ref(0, ("left",)), "y": DictOf({"z": Ref(0, (0, "a b"))})}
    assert _arrows_into_last(used_twice) == [Arrow("n0", "n2", "value", (".left → x", '[0]["a b"] → y.z'))]


def test_items_of_a_literal_list_are_not_all_named() -> None:
    assert [arrow.label for arrow in _arrows_into_last({"xs": ListOf((Ref(0), Ref(1))), "y": Ref(1, ("z",))})] == ["", ".z → y"]


def test_parts_of_a_result_are_named() -> None:
    plan = Plan("app.flow", (ParamNode(0, "a"), ParamNode(1, "b")), DictOf({"first": Ref(0), "second": Ref(1)}))
    assert [arrow.label for arrow in draw(plan).arrows] == ["first", "second"]


@pytest.mark.parametrize(
    "over,count",
    [(Const([1, 2, 3]), "3"), (ListOf((Ref(0), Const(1))), "2"), (Ref(0), "N")],
)
def test_a_fan_out_says_how_many_children_it_has_as_soon_as_that_is_known(over: Template, count: str) -> None:
    plan = Plan("app.flow", (ParamNode(0, "xs"), MapNode(1, "each", "app.each", "x", over, {})))
    assert draw(plan).figures[1].count == count
    assert draw(plan, {1: NodeView(state="running", total=120)}).figures[1].title == "each ×120"


def test_constants_stand_in_the_detail() -> None:
    assert [figure.detail for figure in draw(digitize()).figures] == ["", "app.split", 'app.read(lang="de")', "app.merge", ""]


def test_labels_are_fit_to_print() -> None:
    plan = Plan("app.\x1b[31mflow", (ParamNode(0, "a\tb\n\x00\u202e"), StepNode(1, "use", "app.use", {"x": Ref(0, ("\x07" * 99,))})))
    drawing = draw(plan)
    assert drawing.title == "app.\ufffd[31mflow"
    assert drawing.figures[0].label == "a b \ufffd\ufffd"
    assert len(drawing.arrows[0].label) == 60
    assert drawing.arrows[0].label.isprintable()


@pytest.mark.parametrize(
    "table,kind",
    [
        (looks.KINDS, FigureKind),
        (looks.STATES, State),
        (dot.SHAPES, FigureKind),
        (dot.LINES, ArrowKind),
        (mermaid.SHAPES, FigureKind),
        (mermaid.LINES, ArrowKind),
    ],
)
def test_every_kind_has_its_row_in_every_table(table: dict[str, object], kind: object) -> None:
    assert set(table) == set(get_args(kind))
