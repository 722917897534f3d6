"""A drawing in the DOT language; this needs no Graphviz, only showing it does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from omniq_flow.render.drawing import ArrowKind, Drawing, Figure, FigureKind
from omniq_flow.render.looks import INK, KINDS, PAPER, QUIET_INK, STATES, Look
from omniq_flow.render.wording import TIMES, first_line, in_short_lines, remarks, shorten

FONT: Final = "Helvetica,Arial,sans-serif"
SHAPES: Final[dict[FigureKind, dict[str, str]]] = {
    "param": {"shape": "box", "style": "rounded", "height": "0.3", "margin": "0.12,0.03"},
    "step": {"shape": "box", "style": "rounded"},
    "fan-out": {"shape": "box3d", "style": ""},
    "result": {"shape": "box", "style": "rounded", "height": "0.3", "margin": "0.12,0.03"},
}
LINES: Final[dict[ArrowKind, dict[str, str]]] = {
    "value": {},
    "fan-out": {"penwidth": "2.2"},
    "fan-in": {"penwidth": "2.2", "arrowhead": "teenormal"},
    "after": {"style": "dashed"},
}

_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\\": "\\\\"}


def dot(drawing: Drawing) -> str:
    """Return the text of a digraph; fan-outs are blocks with thick arrows to and from them, and a bar marks a join."""
    return "\n".join(["digraph {", *(f"  {line}" for line in _statements(drawing)), "}"]) + "\n"


def quote(text: str) -> str:
    """Return a DOT string that stands for exactly this text."""
    return '"' + text.replace("\\", "\\\\").replace("&", "&amp;").replace('"', '\\"') + '"'


def markup(text: str) -> str:
    """Return the text as it stands in an HTML-like label, where Graphviz takes no empty one and reads backslashes too."""
    return "".join(_ENTITIES.get(c, c) for c in text) or " "


def _statements(drawing: Drawing) -> Iterator[str]:
    font = f'fontname="{FONT}"'
    title = f'<font point-size="15"><b>{markup(shorten(drawing.title))}</b></font><br/><font point-size="5"> </font>'
    yield f'graph [label=<{title}>, labelloc="t", {font}, fontcolor="{INK}", bgcolor="{PAPER}", nodesep="0.3", ranksep="0.42", pad="0.15"]'
    yield f'node [{font}, fontsize="12", fontcolor="{INK}", height="0.42", margin="0.18,0.07"]'
    yield f'edge [{font}, fontsize="10", fontcolor="{QUIET_INK}", color="{QUIET_INK}", arrowsize="0.7"]'
    for figure in drawing.figures:
        yield f"{figure.key}{_attributes(*_figure(figure))}"
    for arrow in drawing.arrows:
        label = "<br/>".join(f" {markup(said)} " for said in arrow.labels)
        yield f"{arrow.source} -> {arrow.target}{_attributes(label, LINES[arrow.kind])}"


def _attributes(label: str, others: dict[str, str]) -> str:
    written = [f"label=<{label}>"] if label else []
    written += [f"{name}={quote(value)}" for name, value in others.items()]
    return f" [{', '.join(written)}]" if written else ""


def _figure(figure: Figure) -> tuple[str, dict[str, str]]:
    look = STATES[figure.view.state] if figure.view else KINDS[figure.kind]
    shape = dict(SHAPES[figure.kind])
    shape["style"] = ",".join(filter(None, (shape["style"], "filled", "" if look.border == "solid" else look.border)))
    return _label(figure, look), {
        **shape,
        "fillcolor": look.fill,
        "color": look.ink,
        "penwidth": str(look.width),
        "tooltip": figure.detail or figure.label,
    }


def _label(figure: Figure, look: Look) -> str:
    name = markup(shorten(figure.label))
    title = name if figure.kind in ("param", "result") else f"<b>{name}</b>"
    if figure.count:
        title += f" {TIMES}{markup(figure.count)}"
    if figure.view is None:
        return title
    small = f'<font point-size="10" color="{look.ink}">'
    said = f"{figure.view.state}, {remarks(figure.view)}".removesuffix(", ")
    lines = [said, *in_short_lines(first_line(figure.view.error or ""))]
    return "<br/>".join([f"{look.symbol} {title}", *(f"{small}{markup(line)}</font>" for line in lines)])
