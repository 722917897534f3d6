from __future__ import annotations

import struct
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_plans import AWKWARD, NAMES, digitize, fan_in, plans, two_maps

from omniq_flow.compiler.plan import Const, ParamNode, Plan, Ref, StepNode
from omniq_flow.errors import MissingExtra
from omniq_flow.render.dot import dot
from omniq_flow.render.drawing import draw
from omniq_flow.render.image import is_possible, png, svg
from omniq_flow.render.picture import Picture
from omniq_flow.render.state import NodeView, State
from omniq_flow.render.wording import LONGEST

TEXT = "{http://www.w3.org/2000/svg}text"


def _texts(document: str) -> list[str]:
    return ["".join(element.itertext()).replace("\xa0", " ") for element in ET.fromstring(document).iter(TEXT)]


def test_an_svg_holds_every_name_and_label() -> None:
    texts = " ".join(_texts(svg(dot(draw(two_maps())))))
    for words in (
        "app.two_maps",
        "doc",
        "split",
        "read",
        "scan",
        "merge",
        "result",
        "each page of .pages",
        "all scans",
        ".title → heading",
    ):
        assert words in texts


@settings(max_examples=60, deadline=None)
@given(plan=plans(most=4), state=st.none() | st.sampled_from(["failed", "running"]), error=NAMES)
def test_every_svg_is_xml_and_shows_the_labels_as_they_are(plan: Plan, state: State | None, error: str) -> None:
    drawing = draw(plan, {node.id: NodeView(state=state, error=error) for node in plan.nodes} if state else None)
    texts = " ".join(_texts(svg(dot(drawing))))
    for figure in drawing.figures:
        assert " ".join(figure.label[:40].split()) in " ".join(texts.split())


@pytest.mark.parametrize("label", [label for label in AWKWARD if label.isprintable() and len(label) < LONGEST])
def test_an_awkward_label_is_shown_letter_by_letter(label: str, capfd: pytest.CaptureFixture[str]) -> None:
    plan = Plan(label, (ParamNode(0, label), StepNode(1, label, label, {"x": Ref(0, (label,)), "y": Const(label)})))
    drawing = draw(plan, {1: NodeView(state="failed", error=label)})
    texts = [text.strip() for text in _texts(svg(dot(drawing)))]
    assert texts.count(label.strip()) >= 3
    assert drawing.arrows[0].label in texts
    assert "syntax error" not in capfd.readouterr().err


def test_a_png_is_large_enough_to_read() -> None:
    graph = dot(draw(fan_in(12)))
    points = float(ET.fromstring(svg(graph)).attrib["width"].removesuffix("pt"))
    picture = png(graph)
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    assert width == pytest.approx(2 * points, rel=0.02)
    assert height > 300
    assert len(picture) > 10_000


@pytest.fixture
def without_graphviz(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygraphviz", None)


@pytest.mark.usefixtures("without_graphviz")
def test_without_graphviz_the_error_says_what_to_type(tmp_path: Path) -> None:
    assert not is_possible()
    picture = Picture(digitize())
    for render in (picture.svg, picture.png, lambda: picture.save(tmp_path / "flow.svg")):
        with pytest.raises(MissingExtra, match=r"pip install 'omniq-flow\[viz\]'") as raised:
            render()
        assert raised.value.name == "pygraphviz"
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("without_graphviz")
def test_without_graphviz_a_notebook_gets_mermaid() -> None:
    picture = Picture(digitize())
    assert picture._repr_svg_() is None
    assert picture._repr_mimebundle_(include=None, exclude=None) == {
        "text/markdown": f"```mermaid\n{picture.mermaid()}```\n",
        "text/plain": picture.text(),
    }


def test_with_graphviz_a_notebook_gets_svg() -> None:
    picture = Picture(digitize())
    bundle = picture._repr_mimebundle_()
    assert set(bundle) == {"image/svg+xml", "text/plain"}
    assert "document_id" in _texts(bundle["image/svg+xml"])
    assert picture._repr_svg_() == bundle["image/svg+xml"]
