"""A drawing as a Mermaid flowchart, for anything that shows Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from omniq_flow.render.drawing import ArrowKind, Drawing, Figure, FigureKind
from omniq_flow.render.looks import INK, KINDS, STATES, Look
from omniq_flow.render.state import State
from omniq_flow.render.wording import first_line, remarks, shorten

SHAPES: Final[dict[FigureKind, tuple[str, str]]] = {
    "param": ("([", "])"),
    "step": ("(", ")"),
    "fan-out": ("[[", "]]"),
    "result": ("([", "])"),
}
LINES: Final[dict[ArrowKind, str]] = {"value": "-->", "fan-out": "==>", "fan-in": "==>", "after": "-.->"}
DASHES: Final = {"solid": "", "dashed": ",stroke-dasharray:5 4", "dotted": ",stroke-dasharray:2 3"}
LONGEST_ERROR: Final = 100

_HARMLESS: Final = frozenset(" ,/()")


def mermaid(drawing: Drawing) -> str:
    """Return the text of a flowchart; fan-outs are boxes with double sides, and thick arrows lead to and from them."""
    return "\n".join(["flowchart TD", *(f"    {line}" for line in _statements(drawing))]) + "\n"


def escape(label: str) -> str:
    """Return the label with all that Mermaid, Markdown or HTML could take for syntax as numeric entities."""
    return "".join(c if _is_harmless(label, place) else f"#{ord(c)};" for place, c in enumerate(label))


def _is_harmless(label: str, place: int) -> bool:
    c, before, behind = label[place], label[:place][-1:], label[place + 1 : place + 2]
    if c == "_":
        return before.isalnum() and behind.isalnum()
    if c == ".":
        return behind.isalnum()
    if c == " ":
        return bool(before.strip() and behind)
    return c.isalnum() or c in _HARMLESS or not c.isascii()


def _statements(drawing: Drawing) -> Iterator[str]:
    for figure in drawing.figures:
        opening, closing = SHAPES[figure.kind]
        yield f'{figure.key}{opening}"{_label(figure)}"{closing}'
    for arrow in drawing.arrows:
        label = "<br/>".join(map(escape, arrow.labels))
        yield f"{arrow.source} {LINES[arrow.kind]}" + (f'|"{label}"|' if label else "") + f" {arrow.target}"
    yield from _classes(KINDS, ((figure.key, figure.kind) for figure in drawing.figures if not figure.view))
    yield from _classes(STATES, ((figure.key, figure.view.state) for figure in drawing.figures if figure.view))


def _label(figure: Figure) -> str:
    if figure.view is None:
        return escape(shorten(figure.title)) or "#32;"
    state = f"{STATES[figure.view.state].symbol} {figure.view.state}"
    said = ", ".join(filter(None, (state, remarks(figure.view))))
    error = shorten(first_line(figure.view.error or ""), LONGEST_ERROR)
    return "<br/>".join(escape(line) for line in (shorten(figure.title), said, error) if line)


def _classes(looks: Mapping[FigureKind, Look] | Mapping[State, Look], members: Iterable[tuple[str, str]]) -> Iterator[str]:
    by_class: dict[str, list[str]] = {}
    for key, name in members:
        by_class.setdefault(name, []).append(key)
    for name, look in looks.items():
        if name in by_class:
            style = f"fill:{look.fill},stroke:{look.ink},stroke-width:{look.width}px,color:{INK}{DASHES[look.border]}"
            yield f"classDef {name.replace('-', '')} {style}"
            yield f"class {','.join(by_class[name])} {name.replace('-', '')}"
